"""Phantom drift (theorem B.14): normalising a cloud turns its mean; predicted to second order and measured."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from revision.embeddings.rows import Array, as_rows
from revision.errors import DataError


@dataclass(frozen=True)
class Drift:
    """E[z/|z|] - a for z = mu + eps, a = mu/|mu|: both vectors float64 [d]; relative_residual = sqrt(tr S)/|mu|."""

    predicted: Array
    measured: Array
    direction: Array
    relative_residual: float

    @property
    def error(self) -> float:
        """|measured - predicted|; theorem B.14 bounds it by O(E|eps|^3 / |mu|^3)."""
        return float(np.linalg.norm(self.measured - self.predicted))

    def tangential(self) -> tuple[float, float]:
        """Lengths of the predicted and measured drift orthogonal to a: the part that turns the mean direction."""
        along = self.direction
        parts = (self.predicted, self.measured)
        return tuple(float(np.linalg.norm(p - (p @ along) * along)) for p in parts)  # type: ignore[return-value]


def predicted_drift(mean: Array, covariance: Array) -> Array:
    """Second-order drift [d] of theorem B.14 for mean [d] and covariance [d, d]."""
    r = np.linalg.norm(mean)
    if r == 0:
        raise DataError("drift: the mean is zero, so it has no direction")
    a = mean / r
    spread = covariance @ a
    return (-spread - 0.5 * np.trace(covariance) * a + 1.5 * (a @ spread) * a) / r**2


def phantom_drift(rows: Array) -> Drift:
    """Predicted and measured drift of z = `rows` [n, d], not normalised yet (say, after ReAlign's trace step).

    mu and S are the sample's own, so that only the higher orders separate the two.
    """
    as_rows(rows)
    rows = np.asarray(rows, dtype=np.float64)
    mean = rows.mean(axis=0)
    residual = rows - mean
    covariance = residual.T @ residual / len(rows)
    predicted = predicted_drift(mean, covariance)
    a = mean / np.linalg.norm(mean)
    measured = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).mean(axis=0) - a
    return Drift(predicted, measured, a, float(np.sqrt(np.trace(covariance)) / np.linalg.norm(mean)))


def drift_sweep(rows: Array, factors: Sequence[float]) -> list[Drift]:
    """`phantom_drift` of mu + f (rows - mu) for each factor f: how the theorem fares as the residual grows."""
    rows = np.asarray(rows, dtype=np.float64)
    mean = rows.mean(axis=0)
    return [phantom_drift(mean + factor * (rows - mean)) for factor in factors]
