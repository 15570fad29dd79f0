"""Second-moment tools that the covariance aligners share: shrinkage, symmetric roots, the frame (sections 3 and
appendix F).
"""

import numpy as np

from revision.errors import ConfigError
from revision.geometry.spectrum import eigenvectors, energy_rank


def shrink(covariance: np.ndarray, amount: float) -> np.ndarray:
    """(1 - amount) C + amount (tr C / k) I for a [k, k] covariance; keeps the trace; 0 <= amount <= 1."""
    if not 0.0 <= amount <= 1.0:
        raise ConfigError(f"shrinkage must lie in [0, 1], got {amount!r}")
    size = len(covariance)
    return (1.0 - amount) * covariance + amount * (np.trace(covariance) / size) * np.eye(size)


def power(covariance: np.ndarray, exponent: float, floor: float = 1e-12) -> np.ndarray:
    """C^exponent of a symmetric [k, k] matrix; eigenvalues under floor times the largest are raised to it."""
    values, vectors = np.linalg.eigh(covariance)
    values = np.maximum(values, floor * max(values[-1], np.finfo(np.float64).tiny))
    return (vectors * values**exponent) @ vectors.T


def frame(covariance: np.ndarray, energy: float) -> tuple[np.ndarray, int]:
    """Eigenvectors [d, d] by descending eigenvalue, and the least r whose eigenvalues hold `energy` of the trace."""
    values, vectors = eigenvectors(covariance)
    return np.ascontiguousarray(vectors), energy_rank(values, energy)
