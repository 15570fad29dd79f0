"""95% intervals: Student's t over replicates, and random effects of encoders, trainings and questions."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import t

LEVEL = 0.95
POWER = 0.8


def quantile(degrees_of_freedom: float) -> float:
    """Return the quantile of Student's t that bounds a 95% interval, in standard errors."""
    return float(t.ppf(0.5 + LEVEL / 2, degrees_of_freedom))


@dataclass(frozen=True)
class Interval:
    """An estimate with its 95% interval.

    Attributes
    ----------
    value, low, high : float
        The estimate and the ends of its interval.
    degrees_of_freedom : float
        Degrees of freedom of the t distribution behind the interval; infinite for a normal one.
    """

    value: float
    low: float
    high: float
    degrees_of_freedom: float = np.inf

    def ends(self) -> dict[str, float]:
        """Return value, low and high by name, as columns of a table."""
        return {"value": self.value, "low": self.low, "high": self.high}


@dataclass(frozen=True)
class MeanEstimate:
    """A mean over encoders, trainings and questions, with its error as a random-effects model estimates it.

    Attributes
    ----------
    value : float
        The mean.
    standard_error, degrees_of_freedom : float
        Of the mean.
    encoder_sd, seed_sd : float
        Standard deviation of the mean between encoders, and between training seeds of one encoder; without the error
        due to questions. NaN with a single encoder or seed; 0 where the estimate of the variance is negative.
    question_sd : float
        Standard deviation between questions of a suite.
    """

    value: float
    standard_error: float
    degrees_of_freedom: float
    encoder_sd: float
    seed_sd: float
    question_sd: float

    def interval(self) -> Interval:
        """Return the mean with Student's interval."""
        half = quantile(self.degrees_of_freedom) * self.standard_error
        return Interval(self.value, self.value - half, self.value + half, self.degrees_of_freedom)

    def detectable(self) -> float:
        """Return the difference that a two-sided test at 5% detects with a power of 80%.

        The sum of two t quantiles times the standard error; it approximates the noncentral t distribution.
        """
        return (quantile(self.degrees_of_freedom) + float(t.ppf(POWER, self.degrees_of_freedom))) * self.standard_error


def random_effects(suites: Sequence[np.ndarray]) -> MeanEstimate:
    """Estimate a mean over suites, where encoders, trainings and questions are random samples.

    Trainings are nested in encoders and crossed with questions; questions are nested in suites; suites are fixed and
    have the same weight. The standard error is from mean squares: the variance between encoders (between trainings, if
    there is one encoder), plus that between questions, minus their interaction, which both contain. The part due to
    questions is at least zero. If the parts due to encoders and to questions have f and g degrees of freedom, the sum
    has h, where 1 / h is the mean of 1 / f and 1 / g, weighted by the parts. Satterthwaite's formula, which squares the
    weights, is too narrow for few encoders (`benchmarks/interval_coverage.py`).

    Parameters
    ----------
    suites : sequence of ndarray of shape (n_encoders, n_seeds, n_questions)
        Answers, or paired differences between them, one array per suite.

    Returns
    -------
    MeanEstimate
        Conditional on one encoder if there is one, and on one training if it has one seed.
    """
    encoders, seeds = suites[0].shape[:2]
    units = [suite.mean(axis=1) if encoders > 1 else suite[0] for suite in suites]
    count, sizes = len(units[0]), np.array([unit.shape[1] for unit in units])
    by_question = np.array([unit.mean(axis=0).var(ddof=1) for unit in units]) / sizes
    within = np.array([_interaction(unit) for unit in units]) / sizes / count
    between = _mean_over_suites(units).var(ddof=1) / count if count > 1 else 0.0
    questions = max(float(np.mean(by_question - within)), 0.0) / len(suites)
    variance = between + questions
    per_freedom = between / max(count - 1, 1) + questions / (sizes - 1).sum()

    trainings = _mean_over_suites(suites)
    noise = np.mean([_interaction(suite).mean() / suite.shape[2] for suite in suites]) / len(suites)
    seed_variance = trainings.var(axis=1, ddof=1).mean() - noise if seeds > 1 else np.nan
    nested = max(seed_variance, 0.0) / seeds if seeds > 1 else 0.0
    encoder_variance = count * (between - within.mean() / len(suites)) - nested if encoders > 1 else np.nan
    return MeanEstimate(
        value=float(trainings.mean()),
        standard_error=float(np.sqrt(variance)),
        degrees_of_freedom=float(variance / per_freedom) if variance > 0 else float(max(count - 1, 1)),
        encoder_sd=_root(encoder_variance),
        seed_sd=_root(seed_variance),
        question_sd=_root(float(np.mean((by_question - within) * sizes))),
    )


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
    count = len(values)
    mean = float(np.mean(values))
    if count < 2:
        return Interval(mean, float("nan"), float("nan"))
    half = quantile(count - 1) * float(np.std(values, ddof=1)) / np.sqrt(count)
    return Interval(mean, float(mean - half), float(mean + half), count - 1)


def over_trainings(values: pd.Series) -> Interval:
    """Mean over trainings with Student's 95% interval over encoders, the model of `random_effects` without questions.

    Parameters
    ----------
    values : pandas.Series
        One value per training. If the index has a level "encoder", seeds are averaged within each encoder first.

    Returns
    -------
    Interval
        Over the encoders; over the trainings if there is one encoder, or no such level.
    """
    if "encoder" in values.index.names and values.index.unique("encoder").size > 1:
        values = values.groupby(level="encoder").mean()
    return over_seeds(values.to_numpy(dtype=float))


def _mean_over_suites(suites: Sequence[np.ndarray]) -> np.ndarray:
    return np.mean([suite.mean(axis=-1) for suite in suites], axis=0)


def _interaction(rows: np.ndarray) -> np.ndarray:
    """Mean square of the interaction of the last two axes; 0 for one row."""
    count = rows.shape[-2]
    spread = rows.var(axis=-1, ddof=1).sum(axis=-1) - count * rows.mean(axis=-2).var(axis=-1, ddof=1)
    return np.asarray(spread / max(count - 1, 1))


def _root(variance: float) -> float:
    return float(np.sqrt(np.maximum(variance, 0.0)))
