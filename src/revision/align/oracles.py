"""Maps fitted on pairs. They use more information than unpaired methods have, so they serve as upper bounds."""

from collections.abc import Iterator

import numpy as np

from revision.align.base import Aligner
from revision.align.engine import Engine
from revision.align.transforms import Linear, Transform
from revision.embeddings.moments import Moments, Rows
from revision.errors import ConfigError


def paired_moments(source: Rows, target: Rows, engine: Engine) -> Moments:
    """Return the moments of concatenated pairs (source row, target row).

    Parameters
    ----------
    source, target : Rows
        Paired sets of n rows of dimension d; their blocks may have different sizes.
    engine : Engine
        Runs the pass.

    Returns
    -------
    Moments
        Mean of shape (2d,) and covariance of shape (2d, 2d) of the normalised rows.
    """
    merged: Moments | None = None
    for left, right in _zip_rows(engine.transformed(source, [], "float64"), engine.transformed(target, [], "float64")):
        part = Moments.of(np.concatenate([left, right], axis=1), covariance=True)
        merged = part if merged is None else merged.merge(part)
    assert merged is not None
    return merged


def _zip_rows(left: Iterator[np.ndarray], right: Iterator[np.ndarray]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    first, second = next(left, None), next(right, None)
    while first is not None and second is not None:
        size = min(len(first), len(second))
        yield first[:size], second[:size]
        first = first[size:] if size < len(first) else next(left, None)
        second = second[size:] if size < len(second) else next(right, None)


class _Oracle(Aligner):
    """Base of linear maps that are fitted on pairs."""

    paired = True

    def _fit(self, source: Rows, target: Rows, engine: Engine) -> list[Transform]:
        d = source.dim
        joint = paired_moments(source, target, engine)
        matrix = self._map(joint.covariance[:d, :d], joint.covariance[:d, d:])
        return [Linear(matrix, joint.mean[d:] - joint.mean[:d] @ matrix)]

    def _map(self, source: np.ndarray, cross: np.ndarray) -> np.ndarray:
        """The map (d, d) from the source's covariance and the cross-covariance, both (d, d)."""
        raise NotImplementedError


class Procrustes(_Oracle):
    """Orthogonal map that minimises the squared error over pairs, then unit length.

    The rotation or reflection R minimises the sum of `|(e_y - mu_y) R - (e_x - mu_x)|^2`.
    """

    name = "procrustes"

    def _map(self, source: np.ndarray, cross: np.ndarray) -> np.ndarray:
        left, _, right = np.linalg.svd(cross)
        return left @ right


class Ridge(_Oracle):
    """Ridge regression of target rows on source rows over pairs, then unit length.

    The map is `W = (S_y + lambda I)^-1 S_yx`.

    Parameters
    ----------
    regularisation : float, default=0.1
        The penalty lambda as a multiple of the mean eigenvalue of S_y; above 0.
    """

    name = "ridge"

    def __init__(self, regularisation: float = 0.1) -> None:
        self.regularisation = regularisation

    def _map(self, source: np.ndarray, cross: np.ndarray) -> np.ndarray:
        if not self.regularisation > 0:
            raise ConfigError(f"{self.name}: regularisation must be above 0, got {self.regularisation!r}")
        size = len(source)
        return np.linalg.solve(source + self.regularisation * (np.trace(source) / size) * np.eye(size), cross)
