"""Weak coupling of the residuals: the ridge regression of zeta on delta (appendix C)."""

from dataclasses import dataclass

import numpy as np

from revision.embeddings.rows import Array
from revision.errors import DataError

RIDGE = 1e-3


@dataclass(frozen=True)
class Coupling:
    """Fitted map L from delta to zeta.

    Attributes
    ----------
    matrix : ndarray of shape (q, r)
        L.
    norm : float
        Spectral norm |L|_2.
    r_squared : float
        1 - |Z - L D|_F^2 / |Z|_F^2 on the rows that L was fitted on.
    ridge : float
        The penalty lambda.
    """

    matrix: Array
    norm: float
    r_squared: float
    ridge: float


def explained(matrix: Array, delta: Array, zeta: Array) -> float:
    """Coefficient of determination R^2 of a map on residuals.

    On rows that L was not fitted on, independent residuals give about 0 or less, whatever n is.

    Parameters
    ----------
    matrix : ndarray of shape (q, r)
        The map L.
    delta : ndarray of shape (n, r)
        Residuals in U.
    zeta : ndarray of shape (n, q)
        Residuals in V.

    Returns
    -------
    float
        Negative where L predicts worse than zero does.
    """
    error = zeta - np.asarray(delta, dtype=np.float64) @ matrix.T
    return 1 - float(np.sum(error**2)) / float(np.sum(np.asarray(zeta, dtype=np.float64) ** 2))


def ridge_coupling(delta: Array, zeta: Array, ridge: float = RIDGE) -> Coupling:
    """Fit L = Z D^T (D D^T + lambda I)^-1 (appendix C).

    Parameters
    ----------
    delta : ndarray of shape (n, r)
        Centred coordinates in U.
    zeta : ndarray of shape (n, q)
        Centred coordinates in V.
    ridge : float
        lambda over tr(D D^T) / r, so that the penalty scales with n and the data (the paper does not specify it).

    Returns
    -------
    Coupling
        Its R^2 is in-sample: near r / n for independent residuals, so large by chance unless n is much larger than r.

    Raises
    ------
    DataError
        If the numbers of rows differ, a residual is zero everywhere, or `ridge` is not positive.
    """
    if len(delta) != len(zeta) or delta.ndim != 2 or zeta.ndim != 2:
        raise DataError(f"coupling: delta {delta.shape} and zeta {zeta.shape} need the same number of rows")
    delta, zeta = np.asarray(delta, dtype=np.float64), np.asarray(zeta, dtype=np.float64)
    gram = delta.T @ delta
    penalty = ridge * np.trace(gram) / len(gram)
    total = float(np.sum(zeta**2))
    if not (penalty > 0 and total > 0):
        raise DataError(
            "coupling: nothing to fit: a residual is zero everywhere, or ridge is not positive; check the embeddings"
        )
    matrix = np.linalg.solve(gram + penalty * np.eye(len(gram)), delta.T @ zeta).T
    return Coupling(matrix, float(np.linalg.norm(matrix, 2)), explained(matrix, delta, zeta), penalty)
