"""Spectra of centred covariances (figures 4a, 9a, 10a): decay, ranks, condition numbers.

"Effective" is defined here once for the whole project. The effective condition number is the largest eigenvalue over
the smallest one that is needed to hold a share `energy` (99% by default) of the trace; directions below it carry
next to nothing and, in a finite sample, are noise. The plain condition number takes the smallest eigenvalue above
the rounding floor.
"""

from dataclasses import dataclass

import numpy as np

from revision.embeddings.moments import Rows
from revision.embeddings.rows import Array, measured
from revision.errors import ConfigError, DataError

EFFECTIVE_ENERGY = 0.99
FLOOR = 1e-12
FIT_RANGE = (0.01, 0.5)


def covariance_eigenvalues(embeddings: Array | Rows) -> Array:
    """Eigenvalues float64 [d], descending, of the covariance of [n, d], streamed; tiny negatives are set to 0."""
    return eigenvalues(measured(embeddings, covariance=True).covariance)


def eigenvalues(covariance: Array) -> Array:
    """Eigenvalues float64 [d], descending, of a covariance matrix [d, d]; tiny negatives are set to 0."""
    return np.maximum(np.linalg.eigvalsh(np.asarray(covariance, dtype=np.float64))[::-1], 0.0)


def eigenvectors(covariance: Array) -> tuple[Array, Array]:
    """Eigenvalues [d], descending, and eigenvectors [d, d], one a column, of a covariance matrix [d, d]."""
    values, vectors = np.linalg.eigh(np.asarray(covariance, dtype=np.float64))
    return values[::-1], vectors[:, ::-1]


def fixed_signs(vectors: Array) -> Array:
    """Vectors [d, k], each turned so that its entry of largest size is positive."""
    largest = np.take_along_axis(vectors, np.abs(vectors).argmax(axis=0)[None], axis=0)
    return vectors * np.where(largest < 0, -1.0, 1.0)


def positive(values: Array) -> Array:
    """The descending eigenvalues above the rounding floor, 1e-12 of the largest; DataError if there are none."""
    values = np.sort(np.asarray(values, dtype=np.float64))[::-1]
    kept = values[values > FLOOR * values[0]] if values.size and values[0] > 0 else values[:0]
    if not kept.size:
        raise DataError("spectrum: all eigenvalues are zero: the rows are all the same; check the encoder")
    return kept


@dataclass(frozen=True)
class PowerLaw:
    """lambda_k ~ k^-alpha by least squares of log lambda on log k, over ranks first..last (1-based, inclusive)."""

    alpha: float
    first: int
    last: int
    r_squared: float


def power_law(values: Array, first: int | None = None, last: int | None = None) -> PowerLaw:
    """Fit the exponent of the descending eigenvalues [d] (figure 4a); scaling the spectrum leaves it unchanged.

    Every rank weighs the same. The paper leaves the range open; without `first` and `last` it is ranks 1% to 50% of the
    eigenvalues above the rounding floor. DataError if fewer than three ranks remain.
    """
    kept = positive(values)
    first = max(1, round(FIT_RANGE[0] * len(kept))) if first is None else first
    last = max(first, round(FIT_RANGE[1] * len(kept))) if last is None else min(last, len(kept))
    if last - first < 2 or first < 1:
        raise DataError(f"power law: ranks {first} to {last} of {len(kept)} are too few for a fit; give three or more")
    log_rank, log_value = np.log(np.arange(first, last + 1)), np.log(kept[first - 1 : last])
    slope, offset = np.polyfit(log_rank, log_value, 1)
    rest = log_value - (slope * log_rank + offset)
    spread = np.sum((log_value - log_value.mean()) ** 2)
    return PowerLaw(float(-slope), first, last, float(1 - rest @ rest / spread) if spread > 0 else 1.0)


def effective_rank(values: Array) -> float:
    """exp of the spectral entropy (natural logarithm) of the eigenvalues over their sum (figure 10a)."""
    share = positive(values) / positive(values).sum()
    return float(np.exp(-(share * np.log(share)).sum()))


def effective_dimension(values: Array) -> float:
    """tr(S)^2 / tr(S^2) (participation ratio; follow-up paper, section 3.2)."""
    kept = positive(values)
    return float(kept.sum() ** 2 / (kept**2).sum())


def energy_rank(values: Array, energy: float) -> int:
    """Fewest leading eigenvalues that hold the share `energy` of the sum."""
    if not 0 < energy <= 1:
        raise ConfigError(f"energy must lie in (0, 1], got {energy!r}")
    kept = positive(values)
    share = np.cumsum(kept) / kept.sum()
    return min(int(np.searchsorted(share, energy * (1 - FLOOR))) + 1, len(kept))


def condition_number(values: Array) -> float:
    """Largest eigenvalue over the smallest above the rounding floor."""
    kept = positive(values)
    return float(kept[0] / kept[-1])


def effective_condition_number(values: Array, energy: float = EFFECTIVE_ENERGY) -> float:
    """Largest eigenvalue over the last of those that hold the share `energy` of the trace (see the module)."""
    kept = positive(values)
    return float(kept[0] / kept[energy_rank(values, energy) - 1])


def principal_axes(*sets: Array, axes: int = 2) -> tuple[Array, Array]:
    """Mean [d] and leading eigenvectors [d, axes] of the union of sets [n_i, d]: one plane for all panels of figure 5.

    Signs are fixed: each axis' entry of largest size is positive.
    """
    found = [measured(rows, covariance=True) for rows in sets]
    whole = found[0]
    for part in found[1:]:
        whole = whole.merge(part)
    return whole.mean, fixed_signs(eigenvectors(whole.covariance)[1][:, :axes])
