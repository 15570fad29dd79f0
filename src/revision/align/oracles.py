"""Supervised maps on pairs: upper bounds that no unpaired method can be blamed for missing."""

from collections.abc import Iterator

import numpy as np

from revision.align.base import Aligner, Engine
from revision.align.transforms import Linear, Transform
from revision.embeddings.moments import Moments, Rows
from revision.errors import ConfigError


def paired_moments(source: Rows, target: Rows, engine: Engine) -> Moments:
    """Moments with covariance [2d, 2d] of the joined rows (source, target), however each set is cut into blocks."""
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
    paired = True

    def _fit(self, source: Rows, target: Rows, engine: Engine) -> list[Transform]:
        joint, d = paired_moments(source, target, engine), source.dim
        matrix = self._map(joint.covariance[:d, :d], joint.covariance[:d, d:])
        return [Linear(matrix, joint.mean[d:] - joint.mean[:d] @ matrix)]

    def _map(self, source: np.ndarray, cross: np.ndarray) -> np.ndarray:
        raise NotImplementedError


class Procrustes(_Oracle):
    """The rotation (or reflection) R that minimises sum |(e_y - mu_y) R - (e_x - mu_x)|^2 over pairs, then unit
    length.
    """

    name = "procrustes"

    def _map(self, source: np.ndarray, cross: np.ndarray) -> np.ndarray:
        left, _, right = np.linalg.svd(cross)
        return left @ right


class Ridge(_Oracle):
    """Ridge regression of e_x on e_y over pairs, then unit length.

    W = (S_y + lambda I)^-1 S_yx with lambda = `regularisation` times the mean eigenvalue of S_y.
    """

    name = "ridge"

    def __init__(self, regularisation: float = 0.1) -> None:
        self.regularisation = regularisation

    def _map(self, source: np.ndarray, cross: np.ndarray) -> np.ndarray:
        if not self.regularisation > 0:
            raise ConfigError(f"{self.name}: regularisation must be above 0, got {self.regularisation!r}")
        size = len(source)
        return np.linalg.solve(source + self.regularisation * (np.trace(source) / size) * np.eye(size), cross)
