"""Accuracies with intervals, paired differences, effect sizes and power, from graded answers (tables 1 to 8)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import norm

from revision.errors import ConfigError, DataError
from revision.stats.intervals import LEVEL, interval, over_seeds

AVERAGE, ALL = "average", "all"
BOOTSTRAP_SEED = 20260207
DRAWS = 4000
POWER = 0.8


@dataclass(frozen=True)
class Answers:
    """Graded answers of several methods to the same questions.

    Attributes
    ----------
    methods : list of str
        Names of the methods.
    correct : dict of ndarray of shape (n_methods, n_seeds, n_questions)
        0 or 1 for each answer, by suite.
    groups : dict of str
        Group of each suite.
    """

    methods: list[str]
    correct: dict[str, np.ndarray]
    groups: dict[str, str]

    def columns(self, suites: bool = True) -> list[tuple[str, str, list[int]]]:
        """List the columns of a table: suites, averages of groups, and the average of all.

        Parameters
        ----------
        suites : bool
            Whether to list single suites too.

        Returns
        -------
        list of tuple
            (suite, group, indices of the suites that are averaged).
        """
        names = list(self.correct)
        columns = [(name, self.groups[name], [k]) for k, name in enumerate(names)] if suites else []
        for group in dict.fromkeys(self.groups.values()):
            columns.append((AVERAGE, group, [k for k, name in enumerate(names) if self.groups[name] == group]))
        return [*columns, (AVERAGE, ALL, list(range(len(names))))]

    def per_seed(self, method: str) -> np.ndarray:
        """Return accuracies of a method, ndarray of shape (n_seeds, n_suites)."""
        row = self.index(method)
        return np.stack([correct[row].mean(axis=1) for correct in self.correct.values()], axis=1)

    def cells(self) -> Iterator[tuple[str, str, str, list[int]]]:
        """Iterate over (method, *column) for each method and each of its `columns`."""
        return ((method, *column) for method in self.methods for column in self.columns())

    def select(self, suites: Sequence[int]) -> list[np.ndarray]:
        """Return the answers to the suites with the indices `suites`, arrays as in `correct`."""
        correct = list(self.correct.values())
        return [correct[suite] for suite in suites]

    def differences(self, first: str, second: str, suites: Sequence[int]) -> list[np.ndarray]:
        """Subtract the answers of `second` from those of `first`.

        Parameters
        ----------
        first, second : str
            Methods.
        suites : sequence of int
            Indices of suites.

        Returns
        -------
        list of ndarray of shape (n_seeds, n_questions)
            Paired differences, one array per suite.
        """
        i, j = self.index(first), self.index(second)
        return [correct[i] - correct[j] for correct in self.select(suites)]

    def index(self, method: str) -> int:
        """Return the index of a method; raise ConfigError with the existing methods if it has no answers."""
        if method not in self.methods:
            raise ConfigError(f"method {method!r} has no answers; there are {', '.join(self.methods)}")
        return self.methods.index(method)


def _read(path: str | Path, columns: list[str]) -> pd.DataFrame:
    try:
        return pd.read_parquet(path, columns=columns, page_checksum_verification=True)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: not a complete table of answers ({error}); run the evaluation again") from error


def read_answers(paths: Sequence[str | Path], methods: Sequence[str] | None = None) -> Answers:
    """Read tables of answers, such as one per seed.

    Parameters
    ----------
    paths : sequence of path
        Parquet files that `revision evaluate` wrote.
    methods : sequence of str, optional
        Methods in the order wanted; all by default.

    Returns
    -------
    Answers
        Questions are ordered by their id.

    Raises
    ------
    DataError
        If a file is incomplete, or if a method lacks answers that another has: the answers could not be paired.
    """
    columns = ["method", "encoder", "seed", "suite", "group", "question", "correct"]
    table = pd.concat([_read(path, columns) for path in paths], ignore_index=True)
    names = list(dict.fromkeys(table.method)) if methods is None else list(methods)
    groups = table.drop_duplicates("suite").set_index("suite").group.to_dict()
    replicates = sorted(set(zip(table.encoder, table.seed, strict=True)))
    correct = {}
    for suite in groups:
        part = table[table.suite == suite]
        wide = part.pivot(index=["method", "encoder", "seed"], columns="question", values="correct")
        wide = wide.reindex([(name, *replicate) for name in names for replicate in replicates])
        incomplete = wide.index[wide.isna().any(axis=1)]
        if len(incomplete):
            method, encoder, seed = incomplete[0]
            raise DataError(
                f"answers of {method}, encoder {encoder}, seed {seed}, suite {suite}: some questions are missing; "
                "run the evaluation again"
            )
        correct[suite] = wide.to_numpy(dtype=float).reshape(len(names), len(replicates), -1)
    return Answers(names, correct, groups)


def resampled(answers: Answers, *, seed: int = BOOTSTRAP_SEED, draws: int = DRAWS) -> np.ndarray:
    """Bootstrap the mean accuracies over seeds and questions (crossed).

    All methods get the same resamples, so that the difference of two methods is a paired difference.

    Parameters
    ----------
    answers : Answers
        Answers of all methods.
    seed : int
        Seed of the resampling.
    draws : int
        Number of resamples.

    Returns
    -------
    ndarray of shape (draws, n_methods, n_suites)
        Mean accuracy on each resample.
    """
    # scipy.stats.bootstrap resamples along one axis: over questions alone the variance of seeds is missing, and over
    # seeds alone that of questions. Here every draw crosses resampled seeds with resampled questions.
    generator = np.random.default_rng(seed)
    count, seeds = next(iter(answers.correct.values())).shape[:2]
    weights = generator.multinomial(seeds, np.full(seeds, 1 / seeds), size=draws) / seeds
    means = []
    for correct in answers.correct.values():
        questions = correct.shape[2]
        share = generator.multinomial(questions, np.full(questions, 1 / questions), size=draws) / questions
        by_seed = (share @ correct.reshape(-1, questions).T).reshape(draws, count, seeds)
        means.append(np.einsum("bms,bs->bm", by_seed, weights))
    return np.stack(means, axis=2)


@dataclass(frozen=True)
class VarianceComponents:
    """Variance components of a difference of averages, seed / S + question / Q + rest / (S Q).

    The layout is two-way without replication: S seeds are crossed with Q questions per suite, and questions are nested
    in suites.

    Attributes
    ----------
    seed, question, rest : float
        Components of seeds, of questions, and of their interaction with noise.
    """

    seed: float
    question: float
    rest: float

    def variance(self, seeds: float, questions: float) -> float:
        """Return the variance of the mean difference over `seeds` seeds and `questions` questions per suite."""
        return self.seed / seeds + self.question / questions + self.rest / (seeds * questions)

    def questions_for(self, error: float, seeds: int) -> float:
        """Return the questions per suite that reduce the standard error to `error`; infinite if only seeds can."""
        remaining = error**2 - self.seed / seeds
        return float("inf") if remaining <= 0 else (self.question + self.rest / seeds) / remaining

    def seeds_for(self, error: float, questions: int) -> float:
        """Return the seeds that reduce the standard error to `error`; infinite if only more questions can."""
        remaining = error**2 - self.question / questions
        return float("inf") if remaining <= 0 else (self.seed + self.rest / questions) / remaining


def variance_components(differences: Sequence[np.ndarray]) -> VarianceComponents:
    """Estimate the variance components of a mean of paired differences, by the method of moments.

    Parameters
    ----------
    differences : sequence of ndarray of shape (n_seeds, n_questions)
        One array per suite.

    Returns
    -------
    VarianceComponents
        Negative estimates are set to zero; all are NaN for a single seed.
    """
    suites, seeds = len(differences), differences[0].shape[0]
    if seeds < 2:
        return VarianceComponents(float("nan"), float("nan"), float("nan"))
    question = rest = noise = 0.0
    for suite in differences:
        size = suite.shape[1]
        interaction = suite - suite.mean(axis=0) - suite.mean(axis=1, keepdims=True) + suite.mean()
        residual = float(np.sum(interaction**2) / ((seeds - 1) * (size - 1)))
        # Suites are averaged, so each contributes its variance over the squared number of suites.
        rest += residual / suites**2
        noise += residual / size / suites**2
        question += max(0.0, float(np.var(suite.mean(axis=0), ddof=1)) - residual / seeds) / suites**2
    by_seed = np.mean([suite.mean(axis=1) for suite in differences], axis=0)
    return VarianceComponents(max(0.0, float(np.var(by_seed, ddof=1)) - noise), question, rest)


def effect_size(differences: Sequence[np.ndarray]) -> float:
    """Cohen's dz over paired questions, averaged over seeds; every suite has the same weight.

    Parameters
    ----------
    differences : sequence of ndarray of shape (n_seeds, n_questions)
        Paired differences, one array per suite.

    Returns
    -------
    float
        Mean difference over its standard deviation; NaN if the deviation is zero.
    """
    means = [suite.mean(axis=0) for suite in differences]
    values = np.concatenate(means)
    weights = np.concatenate([np.full(len(mean), 1 / (len(means) * len(mean))) for mean in means])
    mean = float(weights @ values)
    deviation = float(np.sqrt(weights @ (values - mean) ** 2))
    return mean / deviation if deviation > 0 else float("nan")


def detectable_factor() -> float:
    """Return the difference, in standard errors, that a two-sided test at 5% detects with a power of 80%."""
    return float(norm.ppf(0.5 + LEVEL / 2) + norm.ppf(POWER))


def score_table(answers: Answers, reference: str) -> pd.DataFrame:
    """Tabulate the accuracies of all methods in percent, with their differences from a reference.

    Parameters
    ----------
    answers : Answers
        Answers of all methods to the same questions.
    reference : str
        Method that the others are compared with.

    Returns
    -------
    pandas.DataFrame
        One row per cell, a method with a suite or average of suites: method, suite, group, seeds, questions and the
        columns of `accuracy`, `paired_difference` and `power`. Suite "average" is the unweighted mean over suites.

    Raises
    ------
    ConfigError
        If the reference has no answers.
    """
    draws = resampled(answers)
    about = [
        {
            "method": method,
            "suite": suite,
            "group": group,
            "seeds": len(answers.per_seed(method)),
            "questions": sum(correct.shape[2] for correct in answers.select(suites)),
        }
        for method, suite, group, suites in answers.cells()
    ]
    against = paired_difference(answers, draws, reference)
    parts = [pd.DataFrame(about), accuracy(answers, draws), against, power(answers, reference)]
    return pd.concat(parts, axis=1)


def accuracy(answers: Answers, draws: np.ndarray) -> pd.DataFrame:
    """Compute the accuracy of every cell with its bootstrap interval.

    Parameters
    ----------
    answers : Answers
        Answers of all methods.
    draws : ndarray of shape (n_draws, n_methods, n_suites)
        As returned by `resampled`.

    Returns
    -------
    pandas.DataFrame
        One row per cell of `Answers.cells`: value, low, high, in percent.
    """
    rows = []
    for method, _, _, suites in answers.cells():
        mean = answers.per_seed(method)[:, suites].mean()
        bootstrap = interval(mean, draws[:, answers.index(method), suites].mean(axis=1))
        rows.append({"value": 100 * bootstrap.value, "low": 100 * bootstrap.low, "high": 100 * bootstrap.high})
    return pd.DataFrame(rows)


def paired_difference(answers: Answers, draws: np.ndarray, reference: str) -> pd.DataFrame:
    """Compute the difference in accuracy of every cell from `reference`, in points.

    Parameters
    ----------
    answers : Answers
        Answers of all methods.
    draws : ndarray of shape (n_draws, n_methods, n_suites)
        As returned by `resampled`.
    reference : str
        Method that the others are compared with.

    Returns
    -------
    pandas.DataFrame
        One row per cell of `Answers.cells`: difference with difference_low and difference_high (paired bootstrap over
        seeds and questions), t_low and t_high (Student's t over paired seeds), within_noise (None for the reference
        itself) and dz (Cohen's, over paired questions).
    """
    rows = []
    base, base_index = answers.per_seed(reference), answers.index(reference)
    for method, _, _, suites in answers.cells():
        change = (answers.per_seed(method) - base)[:, suites].mean(axis=1)
        resamples = draws[:, answers.index(method), suites] - draws[:, base_index, suites]
        bootstrap, student = interval(change.mean(), resamples.mean(axis=1)), over_seeds(change)
        rows.append(
            {
                "difference": 100 * bootstrap.value,
                "difference_low": 100 * bootstrap.low,
                "difference_high": 100 * bootstrap.high,
                "t_low": 100 * student.low,
                "t_high": 100 * student.high,
                "within_noise": None if method == reference else bool(bootstrap.low <= 0 <= bootstrap.high),
                "dz": effect_size(answers.differences(method, reference, suites)),
            }
        )
    return pd.DataFrame(rows)


def power(answers: Answers, reference: str) -> pd.DataFrame:
    """Compute the differences that the design detects with a power of 80%.

    Parameters
    ----------
    answers : Answers
        Answers of all methods.
    reference : str
        Method that the others are compared with.

    Returns
    -------
    pandas.DataFrame
        One row per cell of `Answers.cells`: detectable (difference in points), and questions_needed (per suite) or
        seeds_needed to detect the observed difference, infinite if it is zero.
    """
    rows, factor = [], detectable_factor()
    base = answers.per_seed(reference)
    for method, _, _, suites in answers.cells():
        differences = answers.differences(method, reference, suites)
        components, seeds = variance_components(differences), len(base)
        questions = int(np.mean([suite.shape[1] for suite in differences]))
        change = (answers.per_seed(method) - base)[:, suites].mean(axis=1).mean()
        error = 0.0 if np.isclose(change, 0, atol=1e-9) else abs(float(change)) / factor
        rows.append(
            {
                "detectable": 100 * factor * np.sqrt(components.variance(seeds, questions)),
                "questions_needed": components.questions_for(error, seeds) if error else np.inf,
                "seeds_needed": components.seeds_for(error, questions) if error else np.inf,
            }
        )
    return pd.DataFrame(rows)


def paired_table(answers: Answers) -> pd.DataFrame:
    """Compare every ordered pair of methods in all averages of suites.

    Parameters
    ----------
    answers : Answers
        Answers of all methods.

    Returns
    -------
    pandas.DataFrame
        One row per group and pair: first, second, group, difference (first minus second) with low and high (paired
        bootstrap), in points, and dz.
    """
    draws, rows = resampled(answers), []
    for _, group, suites in answers.columns(suites=False):
        means = draws[:, :, suites].mean(axis=2)
        for first, second in permutations(answers.methods, 2):
            differences = answers.differences(first, second, suites)
            value = float(np.mean([suite.mean() for suite in differences]))
            bootstrap = interval(value, means[:, answers.index(first)] - means[:, answers.index(second)])
            rows.append(
                {
                    "first": first,
                    "second": second,
                    "group": group,
                    "difference": 100 * bootstrap.value,
                    "low": 100 * bootstrap.low,
                    "high": 100 * bootstrap.high,
                    "dz": effect_size(differences),
                }
            )
    return pd.DataFrame(rows)


def crossing(counts: Sequence[float], values: Sequence[float], level: float) -> float | None:
    """Find where a curve first reaches a level, interpolating linearly in log(count).

    Parameters
    ----------
    counts : sequence of float
        Ascending positive x values.
    values : sequence of float
        y values.
    level : float
        y value to reach.

    Returns
    -------
    float or None
        None if the curve never reaches the level; the first count if it starts at or above it, since the curve is
        unknown further left.
    """
    above = np.asarray(values) >= level
    if not above.any():
        return None
    first = int(np.argmax(above))
    if first == 0:
        return float(counts[0])
    left, right = np.log(counts[first - 1]), np.log(counts[first])
    fraction = (level - values[first - 1]) / (values[first] - values[first - 1])
    return float(np.exp(left + fraction * (right - left)))
