"""Shrinkage, powers and eigenvectors of covariance matrices, for the aligners that use second moments."""

import numpy as np

from revision.errors import ConfigError
from revision.geometry.spectrum import eigenvectors, energy_rank


def shrink(covariance: np.ndarray, amount: float) -> np.ndarray:
    """Shrink a covariance C towards its mean eigenvalue: `(1 - amount) C + amount (tr C / k) I`.

    Parameters
    ----------
    covariance : ndarray of shape (k, k)
        The covariance; its trace is preserved.
    amount : float
        Between 0 (no change) and 1 (a multiple of the identity).

    Returns
    -------
    ndarray of shape (k, k)
        The shrunk covariance.

    Raises
    ------
    ConfigError
        If `amount` is not in [0, 1].
    """
    if not 0.0 <= amount <= 1.0:
        raise ConfigError(f"shrinkage must lie in [0, 1], got {amount!r}")
    size = len(covariance)
    return (1.0 - amount) * covariance + amount * (np.trace(covariance) / size) * np.eye(size)


def power(covariance: np.ndarray, exponent: float, floor: float = 1e-12) -> np.ndarray:
    """Raise a symmetric positive semi-definite matrix to a real power.

    Parameters
    ----------
    covariance : ndarray of shape (k, k)
        The matrix.
    exponent : float
        For example 0.5 for the root, -0.5 for whitening.
    floor : float, default=1e-12
        Eigenvalues below `floor` times the largest are set to that value, so that negative powers stay finite.

    Returns
    -------
    ndarray of shape (k, k)
        The power, symmetric.
    """
    values, vectors = np.linalg.eigh(covariance)
    values = np.maximum(values, floor * max(values[-1], np.finfo(np.float64).tiny))
    return (vectors * values**exponent) @ vectors.T


def frame(covariance: np.ndarray, energy: float) -> tuple[np.ndarray, int]:
    """Return the eigenvectors of a covariance and the rank of its dominant subspace.

    Parameters
    ----------
    covariance : ndarray of shape (d, d)
        The covariance.
    energy : float
        Fraction of the trace that the dominant subspace holds, in (0, 1].

    Returns
    -------
    vectors : ndarray of shape (d, d)
        Eigenvectors as columns, by descending eigenvalue.
    rank : int
        Smallest number of eigenvectors whose eigenvalues add up to `energy` of the trace.

    Raises
    ------
    ConfigError
        If `energy` is not in (0, 1].
    """
    values, vectors = eigenvectors(covariance)
    return np.ascontiguousarray(vectors), energy_rank(values, energy)
