"""What a change of the inputs can show in a training, stated from embeddings alone and before any training.

The projector has a bias, so that it can absorb a displacement by the same vector for all rows. What a comparison of two
alignments can show in the end is in the rest of the displacement.
"""

from dataclasses import dataclass

import numpy as np

from revision.embeddings.rows import Array, measured, same_shape

NEARLY_EQUAL = 0.05
"""Movement, relative to the spread, below which `Displacement.statement` calls rows nearly equal."""
NEARLY_CONSTANT = 0.99
"""Constant share from which it calls a displacement one vector for all rows."""


@dataclass(frozen=True)
class Displacement:
    """How far rows are from where they were.

    Attributes
    ----------
    movement : float
        RMS distance of a row from where it was, relative to the spread sqrt(T) of the rows before.
    constant_share : float
        Share of the mean squared displacement that is one vector for all rows, |E(y' - y)|^2 / E|y' - y|^2; NaN if no
        row moved.
    trace_ratio : float
        Trace after over trace before.
    """

    movement: float
    constant_share: float
    trace_ratio: float

    @property
    def remaining(self) -> float:
        """Movement without the constant vector, relative to the spread."""
        return self.movement * float(np.sqrt(1 - self.constant_share)) if self.movement else 0.0

    def statement(self) -> str:
        """Say in a sentence what a comparison of the two sets of rows can show."""
        if self.movement < NEARLY_EQUAL:
            return (
                f"Rows differ by {self.movement:.2%} of their spread: the inputs of Stage 1 are nearly equal, so that "
                "differences after training are noise."
            )
        if self.constant_share >= NEARLY_CONSTANT:
            return (
                f"{self.constant_share:.2%} of the displacement is one vector, which the projector's bias can absorb; "
                f"without it rows move by {self.remaining:.2%} of their spread. A difference after training shows how "
                "fast the bias is learned."
            )
        return (
            f"Rows move by {self.remaining:.2%} of their spread besides a constant vector: a difference after training "
            "can show the effect of more than a bias."
        )


def displacement(before: Array, after: Array) -> Displacement:
    """Measure the displacement of rows.

    Parameters
    ----------
    before, after : ndarray of shape (n, d)
        The same rows in two places, for example after two aligners.

    Returns
    -------
    Displacement
        Moments are in float64.

    Raises
    ------
    DataError
        If the shapes differ.
    """
    same_shape(before, after)
    moved = measured(np.asarray(after, dtype=np.float64) - before)
    constant = float(moved.mean @ moved.mean)
    squared, trace = moved.trace + constant, measured(before).trace
    return Displacement(
        movement=float(np.sqrt(squared / trace)),
        constant_share=constant / squared if squared else float("nan"),
        trace_ratio=measured(after).trace / trace,
    )
