"""95% intervals over seeds and questions: a crossed two-level bootstrap, paired between methods."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

DRAWS = 4000
LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """An estimate with the lower and upper end of its 95% interval."""

    value: float
    low: float
    high: float


def bootstrap(correct: Mapping[str, np.ndarray], *, seed: int, draws: int = DRAWS) -> np.ndarray:
    """Resampled mean accuracies [draws, suites] from answers [seeds, questions] for each suite.

    Seeds and questions are resampled independently (crossed), seeds once for all suites. The same seed and shapes
    give the same resamples, so that the difference of two methods' results is a paired difference.
    """
    generator = np.random.default_rng(seed)
    seeds = next(iter(correct.values())).shape[0]
    weights = generator.multinomial(seeds, np.full(seeds, 1 / seeds), size=draws) / seeds
    means = []
    for answers in correct.values():
        questions = answers.shape[1]
        picked = generator.multinomial(questions, np.full(questions, 1 / questions), size=draws) / questions
        means.append(np.einsum("bs,sq,bq->b", weights, answers, picked, optimize=True))
    return np.stack(means, axis=1)


def interval(value: float, resamples: np.ndarray) -> Interval:
    """Percentile interval of `resamples` [draws] around the estimate `value`."""
    tail = 100 * (1 - LEVEL) / 2
    low, high = np.percentile(resamples, [tail, 100 - tail])
    return Interval(float(value), float(low), float(high))


def over_seeds(values: np.ndarray) -> Interval:
    """Mean of values [seeds] with Student's 95% interval; with one seed the interval is not known (NaN)."""
    from scipy.stats import t

    count = len(values)
    mean = float(np.mean(values))
    if count < 2:
        return Interval(mean, float("nan"), float("nan"))
    half = float(t.ppf(0.5 + LEVEL / 2, count - 1) * np.std(values, ddof=1) / np.sqrt(count))
    return Interval(mean, mean - half, mean + half)
