"""Transforms of which a fitted aligner consists; rows are normalised to unit length after each of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np

from revision.embeddings.kernels import unit_rows

NOISE_ROWS = 256  # rows of noise that one random generator draws


class Transform(Protocol):
    """A step of a fitted aligner: a frozen dataclass of scalars and arrays, which `pack` saves under its `kind`."""

    kind: ClassVar[str]

    def apply(self, rows: np.ndarray, start: int) -> np.ndarray:
        """Transform a block of rows, without normalising them again.

        Parameters
        ----------
        rows : ndarray of shape (k, d)
            Unit rows, float64.
        start : int
            Index of the first row in its set. Seeded noise depends on it, so that it is the same for any block size.

        Returns
        -------
        ndarray of shape (k, d)
            The transformed rows, float64.
        """


@dataclass(frozen=True)
class Shift:
    """Scale and shift rows: `e -> unit(scale * e + shift)`, with `shift` of shape (d,)."""

    kind: ClassVar[str] = "shift"
    scale: float
    shift: np.ndarray

    def apply(self, rows: np.ndarray, start: int) -> np.ndarray:
        """Transform rows of shape (k, d)."""
        return self.scale * rows + self.shift


@dataclass(frozen=True)
class Linear:
    """Map rows linearly: `e -> unit(e @ matrix + shift)`, with `matrix` of shape (d, d) and `shift` of shape (d,)."""

    kind: ClassVar[str] = "linear"
    matrix: np.ndarray
    shift: np.ndarray

    def apply(self, rows: np.ndarray, start: int) -> np.ndarray:
        """Transform rows of shape (k, d)."""
        return rows @ self.matrix + self.shift


@dataclass(frozen=True)
class Noise:
    """Add Gaussian noise: `e -> unit(e + deviation * g)`, with `g` standard normal in each coordinate.

    The noise is a function of the seed and the index of the row.
    """

    kind: ClassVar[str] = "noise"
    deviation: float
    seed: int

    def apply(self, rows: np.ndarray, start: int) -> np.ndarray:
        """Transform rows of shape (k, d), of which the first has index `start` in its set."""
        # A counter-based generator for each chunk of rows makes any row's noise available without drawing the rest.
        stop = start + len(rows)
        first = start - start % NOISE_ROWS
        parts = [
            np.random.Generator(np.random.Philox(key=[self.seed, chunk])).standard_normal((NOISE_ROWS, rows.shape[1]))
            for chunk in range(first // NOISE_ROWS, -(-stop // NOISE_ROWS))
        ]
        return rows + self.deviation * np.concatenate(parts)[start - first : stop - first]


class Shifts:
    """Consecutive shifts as arrays `scales` (k,) and `shifts` (k, d), which the kernels apply in a single pass.

    Parameters
    ----------
    chain : sequence of Shift
        The k shifts, in order.
    dim : int
        Dimension d, for an empty chain.
    """

    def __init__(self, chain: Sequence[Shift], dim: int) -> None:
        self.scales = np.array([step.scale for step in chain], dtype=np.float64)
        self.shifts = np.array([step.shift for step in chain], dtype=np.float64).reshape(-1, dim)


class Pipeline:
    """A chain of transforms, prepared once for all blocks of a set; consecutive shifts are fused.

    Parameters
    ----------
    transforms : sequence of Transform
        The transforms, in order.
    dim : int
        Dimension d of the rows.
    """

    def __init__(self, transforms: Sequence[Transform], dim: int) -> None:
        self.steps: list[tuple[Shifts, Transform]] = []
        chain: list[Shift] = []
        for transform in transforms:
            if isinstance(transform, Shift):
                chain.append(transform)
            else:
                self.steps.append((Shifts(chain, dim), transform))
                chain = []
        self.last = Shifts(chain, dim)

    def run(self, block: np.ndarray, start: int, out: np.ndarray) -> int:
        """Transform a block of rows.

        Parameters
        ----------
        block : ndarray of shape (k, d)
            Rows of any float type and any length.
        start : int
            Index of the first row in its set.
        out : ndarray of shape (k, d)
            Receives the transformed rows, each of unit length.

        Returns
        -------
        int
            Index in the block of the first row without a direction (zero, NaN, infinity), or -1.
        """
        for fused, transform in self.steps:
            rows = np.empty(block.shape)
            bad = unit_rows(block, fused.scales, fused.shifts, rows)
            if bad >= 0:
                return bad
            block = transform.apply(rows, start)
        return unit_rows(block, self.last.scales, self.last.shifts, out)


def pack(transforms: Sequence[Transform], prefix: str) -> tuple[list[dict[str, Any]], dict[str, np.ndarray]]:
    """Describe transforms by JSON values and named arrays.

    Parameters
    ----------
    transforms : sequence of Transform
        The transforms.
    prefix : str
        Beginning of the names of the arrays.

    Returns
    -------
    table : list of dict
        Kind and scalar fields of each transform.
    arrays : dict of str to ndarray
        Array fields, named ``"<prefix>.<index>.<field>"``.
    """
    table: list[dict[str, Any]] = []
    arrays: dict[str, np.ndarray] = {}
    for index, transform in enumerate(transforms):
        values = vars(transform)
        own_arrays = {key: value for key, value in values.items() if isinstance(value, np.ndarray)}
        scalars = {key: value for key, value in values.items() if key not in own_arrays}
        arrays |= {f"{prefix}.{index}.{key}": np.ascontiguousarray(value) for key, value in own_arrays.items()}
        table.append({"kind": transform.kind} | scalars)
    return table, arrays


def unpack(
    table: list[dict[str, Any]], arrays: dict[str, np.ndarray], prefix: str, kinds: Mapping[str, type]
) -> list[Transform]:
    """Create the transforms that `pack` described.

    Parameters
    ----------
    table, arrays
        What `pack` returned.
    prefix : str
        The prefix that `pack` was called with.
    kinds : mapping of str to type
        Class of each kind of transform.

    Returns
    -------
    list of Transform
        The transforms, in order.
    """
    transforms = []
    for index, values in enumerate(table):
        start = f"{prefix}.{index}."
        own_arrays = {key.removeprefix(start): value for key, value in arrays.items() if key.startswith(start)}
        scalars = {key: value for key, value in values.items() if key != "kind"}
        transforms.append(kinds[values["kind"]](**scalars, **own_arrays))
    return transforms
