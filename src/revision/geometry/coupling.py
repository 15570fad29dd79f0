"""Weak coupling of the residuals: the ridge map from delta to zeta (appendix C)."""

from dataclasses import dataclass

import numpy as np

from revision.embeddings.rows import Array
from revision.errors import DataError

RIDGE = 1e-3


@dataclass(frozen=True)
class Coupling:
    """L [q, r] with |L|_2 and R^2 = 1 - |Z - L D|_F^2 / |Z|_F^2; `ridge` is lambda itself."""

    matrix: Array
    norm: float
    r_squared: float
    ridge: float


def explained(matrix: Array, delta: Array, zeta: Array) -> float:
    """R^2 of the map L [q, r] on residuals delta [n, r], zeta [n, q]; below 0 where L is worse than saying zero.

    On rows that L was not fitted on, independent residuals give about 0 or less, whatever n.
    """
    rest = zeta - np.asarray(delta, dtype=np.float64) @ matrix.T
    return 1 - float(np.sum(rest**2)) / float(np.sum(np.asarray(zeta, dtype=np.float64) ** 2))


def ridge_coupling(delta: Array, zeta: Array, ridge: float = RIDGE) -> Coupling:
    """L = Z D^T (D D^T + lambda I)^-1 from centred coordinates delta [n, r] in U and zeta [n, q] in V.

    lambda = ridge * tr(D D^T) / r, so that it does not depend on n or scale (the paper leaves it open). R^2 is of the
    fit itself: with n not much larger than r it is large by chance, near r / n for independent residuals.
    """
    if len(delta) != len(zeta) or delta.ndim != 2 or zeta.ndim != 2:
        raise DataError(f"coupling: delta {delta.shape} and zeta {zeta.shape} need the same number of rows")
    delta, zeta = np.asarray(delta, dtype=np.float64), np.asarray(zeta, dtype=np.float64)
    gram = delta.T @ delta
    penalty = ridge * np.trace(gram) / len(gram)
    total = float(np.sum(zeta**2))
    if not (penalty > 0 and total > 0):
        raise DataError("coupling: nothing to map: a residual is zero everywhere, or ridge is not positive")
    matrix = np.linalg.solve(gram + penalty * np.eye(len(gram)), delta.T @ zeta).T
    return Coupling(matrix, float(np.linalg.norm(matrix, 2)), explained(matrix, delta, zeta), penalty)
