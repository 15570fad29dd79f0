"""Phantom drift (theorem B.14): normalising rows turns their mean; predicted to second order and measured."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from revision.embeddings.rows import Array, as_rows
from revision.errors import DataError


@dataclass(frozen=True)
class Drift:
    """Drift E[z / |z|] - a of z = mu + eps with a = mu / |mu| (theorem B.14).

    Attributes
    ----------
    predicted : ndarray of shape (d,)
        Drift to second order in eps.
    measured : ndarray of shape (d,)
        Drift of the sample.
    direction : ndarray of shape (d,)
        a.
    relative_residual : float
        sqrt(tr S) / |mu|, where S is the covariance of eps.
    """

    predicted: Array
    measured: Array
    direction: Array
    relative_residual: float

    @property
    def error(self) -> float:
        """|measured - predicted|; theorem B.14 bounds it by O(E|eps|^3 / |mu|^3)."""
        return float(np.linalg.norm(self.measured - self.predicted))

    def tangential(self) -> tuple[float, float]:
        """Return the lengths of the predicted and measured drift orthogonal to a, which turn the mean direction."""
        return self._tangential_length(self.predicted), self._tangential_length(self.measured)

    def _tangential_length(self, drift: Array) -> float:
        return float(np.linalg.norm(drift - (drift @ self.direction) * self.direction))


def predicted_drift(mean: Array, covariance: Array) -> Array:
    """Predict the drift to second order (theorem B.14).

    Parameters
    ----------
    mean : ndarray of shape (d,)
        mu.
    covariance : ndarray of shape (d, d)
        Covariance of eps.

    Returns
    -------
    ndarray of shape (d,)
        (-S a - tr(S) a / 2 + 3 (a^T S a) a / 2) / |mu|^2.

    Raises
    ------
    DataError
        If the mean is zero.
    """
    r = np.linalg.norm(mean)
    if r == 0:
        raise DataError("drift: the mean is zero, so it has no direction; the rows must not be centred")
    a = mean / r
    spread = covariance @ a
    return (-spread - 0.5 * np.trace(covariance) * a + 1.5 * (a @ spread) * a) / r**2


def phantom_drift(rows: Array) -> Drift:
    """Predict and measure the drift of a sample.

    mu and S are those of the sample, so that prediction and measurement differ in higher orders alone.

    Parameters
    ----------
    rows : ndarray of shape (n, d)
        Rows before normalisation, such as after ReAlign's trace step.

    Returns
    -------
    Drift
        Predicted and measured drift.

    Raises
    ------
    DataError
        If the rows are not a non-empty, finite array, or their mean is zero.
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
    """Compute the drift for scaled residuals, to test the theorem as they grow.

    Parameters
    ----------
    rows : ndarray of shape (n, d)
        Rows before normalisation.
    factors : sequence of float
        Factors f of the residual in mu + f (rows - mu).

    Returns
    -------
    list of Drift
        `phantom_drift` for each factor.
    """
    rows = np.asarray(rows, dtype=np.float64)
    mean = rows.mean(axis=0)
    return [phantom_drift(mean + factor * (rows - mean)) for factor in factors]
