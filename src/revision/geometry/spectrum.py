"""Spectra of centred covariances (figures 4a, 9a, 10a): decay, ranks, condition numbers.

The effective condition number is the largest eigenvalue over the last of the leading ones that explain a fraction
`energy` (99% by default) of the trace; directions below it carry little variance and, in a finite sample, are noise.
The plain condition number uses the smallest eigenvalue above the rounding floor.
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
    """Return the `eigenvalues` of the covariance of rows, ndarray of shape (n, d) or Rows, in a stream."""
    return eigenvalues(measured(embeddings, covariance=True).covariance)


def eigenvalues(covariance: Array) -> Array:
    """Return descending eigenvalues (d,) of a covariance matrix (d, d) in float64; negative ones are set to 0."""
    # A covariance has no negative eigenvalues; rounding makes tiny ones.
    return np.maximum(np.linalg.eigvalsh(np.asarray(covariance, dtype=np.float64))[::-1], 0.0)


def eigenvectors(covariance: Array) -> tuple[Array, Array]:
    """Return descending eigenvalues (d,) and eigenvectors (d, d), as columns, of a covariance matrix (d, d)."""
    values, vectors = np.linalg.eigh(np.asarray(covariance, dtype=np.float64))
    return values[::-1], vectors[:, ::-1]


def fixed_signs(vectors: Array) -> Array:
    """Return columns (d, k), negated where needed so that the entry of largest magnitude is positive."""
    largest = np.take_along_axis(vectors, np.abs(vectors).argmax(axis=0)[None], axis=0)
    return vectors * np.where(largest < 0, -1.0, 1.0)


def positive(values: Array) -> Array:
    """Return the eigenvalues above the rounding floor, 1e-12 of the largest, in descending order.

    Parameters
    ----------
    values : ndarray of shape (d,)
        Eigenvalues in any order.

    Returns
    -------
    ndarray of shape (k,)
        k <= d positive eigenvalues.

    Raises
    ------
    DataError
        If no eigenvalue is positive.
    """
    values = np.sort(np.asarray(values, dtype=np.float64))[::-1]
    if not (values.size and values[0] > 0):
        raise DataError("spectrum: all eigenvalues are zero: all rows are the same; check the encoder")
    return values[values > FLOOR * values[0]]


@dataclass(frozen=True)
class PowerLaw:
    """Fit of lambda_k ~ k^-alpha by least squares of log lambda on log k.

    Attributes
    ----------
    alpha : float
        Exponent.
    first, last : int
        Fitted ranks, 1-based and inclusive.
    r_squared : float
        Coefficient of determination of the fit.
    """

    alpha: float
    first: int
    last: int
    r_squared: float


def power_law(values: Array, first: int | None = None, last: int | None = None) -> PowerLaw:
    """Fit the exponent of a spectrum (figure 4a).

    All ranks have the same weight, and the scale of the spectrum does not matter.

    Parameters
    ----------
    values : ndarray of shape (d,)
        Eigenvalues.
    first, last : int, optional
        Ranks to fit, 1-based and inclusive. The paper does not specify them; the default is 1% and 50% of the number
        of eigenvalues above the rounding floor.

    Returns
    -------
    PowerLaw
        The fit.

    Raises
    ------
    DataError
        If there are fewer than three ranks to fit.
    """
    kept = positive(values)
    first = max(1, round(FIT_RANGE[0] * len(kept))) if first is None else first
    last = max(first, round(FIT_RANGE[1] * len(kept))) if last is None else min(last, len(kept))
    if last - first < 2 or first < 1:
        raise DataError(f"power law: ranks {first} to {last} of {len(kept)} are too few for a fit; give three or more")
    log_rank, log_value = np.log(np.arange(first, last + 1)), np.log(kept[first - 1 : last])
    slope, offset = np.polyfit(log_rank, log_value, 1)
    error = log_value - (slope * log_rank + offset)
    total = np.sum((log_value - log_value.mean()) ** 2)
    return PowerLaw(float(-slope), first, last, float(1 - error @ error / total) if total > 0 else 1.0)


def effective_rank(values: Array) -> float:
    """Return exp of the entropy (in nats) of eigenvalues (d,) over their sum (figure 10a)."""
    weights = positive(values) / positive(values).sum()
    return float(np.exp(-(weights * np.log(weights)).sum()))


def effective_dimension(values: Array) -> float:
    """Return the participation ratio tr(S)^2 / tr(S^2) of eigenvalues (d,) (follow-up paper, section 3.2)."""
    kept = positive(values)
    return float(kept.sum() ** 2 / (kept**2).sum())


def energy_rank(values: Array, energy: float) -> int:
    """Count the leading eigenvalues that explain a fraction of the sum.

    Parameters
    ----------
    values : ndarray of shape (d,)
        Eigenvalues.
    energy : float
        The fraction, in (0, 1].

    Returns
    -------
    int
        The fewest that suffice.

    Raises
    ------
    ConfigError
        If `energy` is not in (0, 1].
    """
    if not 0 < energy <= 1:
        raise ConfigError(f"energy must lie in (0, 1], got {energy!r}")
    kept = positive(values)
    fraction = np.cumsum(kept) / kept.sum()
    # The tolerance absorbs rounding where the cumulative sum reaches `energy` exactly.
    return min(int(np.searchsorted(fraction, energy * (1 - FLOOR))) + 1, len(kept))


def condition_number(values: Array) -> float:
    """Return the largest of eigenvalues (d,) over the smallest above the rounding floor."""
    kept = positive(values)
    return float(kept[0] / kept[-1])


def effective_condition_number(values: Array, energy: float = EFFECTIVE_ENERGY) -> float:
    """Return the largest of eigenvalues (d,) over the last that `energy_rank` counts (see the module)."""
    kept = positive(values)
    return float(kept[0] / kept[energy_rank(values, energy) - 1])


def principal_axes(*sets: Array, axes: int = 2) -> tuple[Array, Array]:
    """Principal axes of a union of sets, the common plane of the panels of figure 5.

    Parameters
    ----------
    *sets : ndarray of shape (n_i, d)
        Embeddings.
    axes : int
        Number of axes.

    Returns
    -------
    mean : ndarray of shape (d,)
        Mean of the union.
    vectors : ndarray of shape (d, axes)
        Leading eigenvectors of its covariance; the entry of largest magnitude of each is positive.
    """
    first, *others = [measured(rows, covariance=True) for rows in sets]
    union = first
    for moments in others:
        union = union.merge(moments)
    return union.mean, fixed_signs(eigenvectors(union.covariance)[1][:, :axes])
