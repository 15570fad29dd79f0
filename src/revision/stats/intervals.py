"""95% intervals: percentiles of resamples, and Student's t over replicates."""

from dataclasses import dataclass

import numpy as np

LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """An estimate with the lower and upper end of its 95% interval."""

    value: float
    low: float
    high: float


def interval(value: float, resamples: np.ndarray) -> Interval:
    """Percentile interval of an estimate.

    Parameters
    ----------
    value : float
        The estimate.
    resamples : ndarray of shape (n_draws,)
        The estimate on bootstrap resamples.

    Returns
    -------
    Interval
        `value` with the 2.5% and 97.5% percentiles of `resamples`.
    """
    tail = 100 * (1 - LEVEL) / 2
    low, high = np.percentile(resamples, [tail, 100 - tail])
    return Interval(float(value), float(low), float(high))


def over_seeds(values: np.ndarray) -> Interval:
    """Mean over replicates with Student's 95% interval.

    Parameters
    ----------
    values : ndarray of shape (n,)
        One value per seed (or trial, part, query).

    Returns
    -------
    Interval
        Its ends are NaN if n is 1.
    """
    from scipy.stats import t

    count = len(values)
    mean = float(np.mean(values))
    if count < 2:
        return Interval(mean, float("nan"), float("nan"))
    half = float(t.ppf(0.5 + LEVEL / 2, count - 1) * np.std(values, ddof=1) / np.sqrt(count))
    return Interval(mean, mean - half, mean + half)
