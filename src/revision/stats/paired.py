"""Accuracies with intervals, paired differences, effect sizes and power, from single answers (tables 1 to 8)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
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
    """Who answered what right: for each suite 0/1 [methods, seeds, questions]; `groups` has the group of each suite."""

    methods: list[str]
    correct: dict[str, np.ndarray]
    groups: dict[str, str]

    def columns(self, suites: bool = True) -> list[tuple[str, str, list[int]]]:
        """Columns of a table as (suite, group, positions of the suites in it): suites, group averages, the average."""
        names = list(self.correct)
        found = [(name, self.groups[name], [k]) for k, name in enumerate(names)] if suites else []
        for group in dict.fromkeys(self.groups.values()):
            found.append((AVERAGE, group, [k for k, name in enumerate(names) if self.groups[name] == group]))
        return [*found, (AVERAGE, ALL, list(range(len(names))))]

    def per_seed(self, method: str) -> np.ndarray:
        """Accuracies [seeds, suites] of one method."""
        return np.stack([each[self.place(method)].mean(axis=1) for each in self.correct.values()], axis=1)

    def cells(self) -> Iterator[tuple[str, str, str, list[int]]]:
        """Cells of a table, (method, suite, group, positions of the suites), all columns of one method together."""
        return ((method, *column) for method in self.methods for column in self.columns())

    def picked(self, positions: Sequence[int]) -> list[np.ndarray]:
        """The answers [methods, seeds, questions] of the suites at `positions`."""
        suites = list(self.correct.values())
        return [suites[position] for position in positions]

    def differences(self, first: str, second: str, positions: Sequence[int]) -> list[np.ndarray]:
        """Paired differences [seeds, questions] of two methods, one array a suite at `positions`."""
        one, other = self.place(first), self.place(second)
        return [each[one] - each[other] for each in self.picked(positions)]

    def place(self, method: str) -> int:
        """Position of a method; ConfigError that lists the methods there are."""
        if method not in self.methods:
            raise ConfigError(f"method {method!r} has no answers; there are {', '.join(self.methods)}")
        return self.methods.index(method)


def _read(path: str | Path, columns: list[str]) -> pd.DataFrame:
    try:
        return pd.read_parquet(path, columns=columns, page_checksum_verification=True)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: no whole table of answers ({error}); run the evaluation again") from error


def read_answers(paths: Sequence[str | Path], methods: Sequence[str] | None = None) -> Answers:
    """Read the answers of several seeds, of all methods or of `methods` in that order.

    Raises DataError if a method lacks answers that another one gave: pairing would be lost.
    """
    columns = ["method", "seed", "suite", "group", "question", "correct"]
    table = pd.concat([_read(path, columns) for path in paths], ignore_index=True)
    names = list(dict.fromkeys(table.method)) if methods is None else list(methods)
    groups = table.drop_duplicates("suite").set_index("suite").group.to_dict()
    seeds = sorted(table.seed.unique())
    correct = {}
    for suite in groups:
        part = table[table.suite == suite]
        wide = part.pivot(index=["method", "seed"], columns="question", values="correct")
        wide = wide.reindex(pd.MultiIndex.from_product([names, seeds]))
        gaps = wide.index[wide.isna().any(axis=1)]
        if len(gaps):
            raise DataError(
                f"answers of {gaps[0][0]}, seed {gaps[0][1]}, suite {suite}: some questions are missing; evaluate again"
            )
        correct[suite] = wide.to_numpy(dtype=float).reshape(len(names), len(seeds), -1)
    return Answers(names, correct, groups)


def resampled(answers: Answers, *, seed: int = BOOTSTRAP_SEED, draws: int = DRAWS) -> np.ndarray:
    """Resampled mean accuracies [draws, methods, suites]: seeds and questions drawn anew (crossed).

    All methods get the same resamples, so that the difference of two columns is a paired difference.
    """
    # scipy.stats.bootstrap resamples along one axis: over questions alone the variance of seeds is missing, and over
    # seeds alone that of questions. Here every draw crosses resampled seeds with resampled questions.
    generator = np.random.default_rng(seed)
    count, seeds = next(iter(answers.correct.values())).shape[:2]
    weights = generator.multinomial(seeds, np.full(seeds, 1 / seeds), size=draws) / seeds
    means = []
    for correct in answers.correct.values():
        questions = correct.shape[2]
        picked = generator.multinomial(questions, np.full(questions, 1 / questions), size=draws) / questions
        by_seed = (picked @ correct.reshape(-1, questions).T).reshape(draws, count, seeds)
        means.append(np.einsum("bms,bs->bm", by_seed, weights))
    return np.stack(means, axis=2)


@dataclass(frozen=True)
class Spread:
    """Variance of a difference of averages: `seed` / S + `question` / Q + `rest` / (S Q), Q questions a suite.

    Components of a two-way layout without replication, seeds crossed with questions, questions within suites.
    """

    seed: float
    question: float
    rest: float

    def variance(self, seeds: float, questions: float) -> float:
        """Variance of the mean difference over `seeds` seeds and `questions` questions a suite."""
        return self.seed / seeds + self.question / questions + self.rest / (seeds * questions)

    def questions_for(self, error: float, seeds: int) -> float:
        """Questions a suite that bring the standard error down to `error`; infinite if only more seeds can."""
        room = error**2 - self.seed / seeds
        return float("inf") if room <= 0 else (self.question + self.rest / seeds) / room

    def seeds_for(self, error: float, questions: int) -> float:
        """Seeds that bring the standard error down to `error`; infinite if only more questions can."""
        room = error**2 - self.question / questions
        return float("inf") if room <= 0 else (self.seed + self.rest / questions) / room


def spread(differences: Sequence[np.ndarray]) -> Spread:
    """Variance components of paired differences, one array [S, Q] a suite; NaN for a single seed.

    Negative estimates are set to zero.
    """
    suites, seeds = len(differences), differences[0].shape[0]
    if seeds < 2:
        return Spread(float("nan"), float("nan"), float("nan"))
    question = rest = noise = 0.0
    for each in differences:
        size = each.shape[1]
        inner = each - each.mean(axis=0) - each.mean(axis=1, keepdims=True) + each.mean()
        left = float(np.sum(inner**2) / ((seeds - 1) * (size - 1)))
        rest += left / suites**2
        noise += left / size / suites**2
        question += max(0.0, float(np.var(each.mean(axis=0), ddof=1)) - left / seeds) / suites**2
    by_seed = np.mean([each.mean(axis=1) for each in differences], axis=0)
    return Spread(max(0.0, float(np.var(by_seed, ddof=1)) - noise), question, rest)


def effect_size(differences: Sequence[np.ndarray]) -> float:
    """Cohen's dz over paired questions, the differences [S, Q] of each suite averaged over seeds; equal suites."""
    means = [each.mean(axis=0) for each in differences]
    values = np.concatenate(means)
    weights = np.concatenate([np.full(len(each), 1 / (len(means) * len(each))) for each in means])
    mean = float(weights @ values)
    deviation = float(np.sqrt(weights @ (values - mean) ** 2))
    return mean / deviation if deviation > 0 else float("nan")


def detectable_factor() -> float:
    """Difference over its standard error that a two-sided test at 5% finds in 80% of all runs (normal theory)."""
    return float(norm.ppf(0.5 + LEVEL / 2) + norm.ppf(POWER))


def score_table(answers: Answers, reference: str) -> pd.DataFrame:
    """Accuracies of all methods in percent, and what they are against one of them.

    Parameters
    ----------
    answers
        Answers of all methods to the same questions.
    reference
        Method that the others are compared with.

    Returns
    -------
    pandas.DataFrame
        One row a method and suite or average of suites: method, suite, group, seeds, questions and the columns of
        `accuracy`, `paired_difference` and `power`. Suite "average" is the unweighted mean over suites.

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
            "questions": sum(each.shape[2] for each in answers.picked(picked)),
        }
        for method, suite, group, picked in answers.cells()
    ]
    against = paired_difference(answers, draws, reference)
    parts = [pd.DataFrame(about), accuracy(answers, draws), against, power(answers, reference)]
    return pd.concat(parts, axis=1)


def accuracy(answers: Answers, draws: np.ndarray) -> pd.DataFrame:
    """`value` with `low` and `high`, in percent, a row a cell; `draws` [draws, methods, suites] are `resampled`."""
    rows = []
    for method, _, _, picked in answers.cells():
        mean = answers.per_seed(method)[:, picked].mean()
        found = interval(mean, draws[:, answers.place(method), picked].mean(axis=1))
        rows.append({"value": 100 * found.value, "low": 100 * found.low, "high": 100 * found.high})
    return pd.DataFrame(rows)


def paired_difference(answers: Answers, draws: np.ndarray, reference: str) -> pd.DataFrame:
    """Points that a method is better than `reference`, a row a cell.

    `difference` with `difference_low` and `difference_high` (paired bootstrap over seeds and questions), `t_low` and
    `t_high` (Student's t over paired seeds alone), `within_noise` (None for the reference itself), `dz` (Cohen's, over
    paired questions).
    """
    rows = []
    base, base_place = answers.per_seed(reference), answers.place(reference)
    for method, _, _, picked in answers.cells():
        change = (answers.per_seed(method) - base)[:, picked].mean(axis=1)
        resamples = draws[:, answers.place(method), picked] - draws[:, base_place, picked]
        found, student = interval(change.mean(), resamples.mean(axis=1)), over_seeds(change)
        rows.append(
            {
                "difference": 100 * found.value,
                "difference_low": 100 * found.low,
                "difference_high": 100 * found.high,
                "t_low": 100 * student.low,
                "t_high": 100 * student.high,
                "within_noise": None if method == reference else bool(found.low <= 0 <= found.high),
                "dz": effect_size(answers.differences(method, reference, picked)),
            }
        )
    return pd.DataFrame(rows)


def power(answers: Answers, reference: str) -> pd.DataFrame:
    """What the design can tell apart with a power of 80%, a row a cell.

    `detectable` is the difference in points; `questions_needed` (a suite) or `seeds_needed` are those with which the
    observed difference would be found, infinite if there is none.
    """
    rows, factor = [], detectable_factor()
    base = answers.per_seed(reference)
    for method, _, _, picked in answers.cells():
        pairs = answers.differences(method, reference, picked)
        parts, seeds = spread(pairs), len(base)
        questions = int(np.mean([each.shape[1] for each in pairs]))
        change = (answers.per_seed(method) - base)[:, picked].mean(axis=1).mean()
        error = 0.0 if np.isclose(change, 0, atol=1e-9) else abs(float(change)) / factor
        rows.append(
            {
                "detectable": 100 * factor * np.sqrt(parts.variance(seeds, questions)),
                "questions_needed": parts.questions_for(error, seeds) if error else np.inf,
                "seeds_needed": parts.seeds_for(error, questions) if error else np.inf,
            }
        )
    return pd.DataFrame(rows)


def paired_table(answers: Answers) -> pd.DataFrame:
    """Every ordered pair of methods: `difference` = first - second in points, low, high, dz; averages only."""
    draws, rows = resampled(answers), []
    for group, picked in ((group, picked) for _, group, picked in answers.columns(suites=False)):
        means = draws[:, :, picked].mean(axis=2)
        for one, first in enumerate(answers.methods):
            for other, second in enumerate(answers.methods):
                if one == other:
                    continue
                pairs = answers.differences(first, second, picked)
                value = float(np.mean([each.mean() for each in pairs]))
                found = interval(value, means[:, one] - means[:, other])
                rows.append(
                    {
                        "first": first, "second": second, "group": group, "difference": 100 * found.value,
                        "low": 100 * found.low, "high": 100 * found.high, "dz": effect_size(pairs),
                    }
                )  # fmt: skip
    return pd.DataFrame(rows)


def crossing(counts: Sequence[float], values: Sequence[float], level: float) -> float | None:
    """Where a curve first comes up to `level`, interpolated linearly in log(count); None if it never does.

    A curve that starts at or above the level crosses at its first point: further left nothing is known.
    """
    above = np.asarray(values) >= level
    if not above.any():
        return None
    at = int(np.argmax(above))
    if at == 0:
        return float(counts[0])
    left, right = np.log(counts[at - 1]), np.log(counts[at])
    share = (level - values[at - 1]) / (values[at] - values[at - 1])
    return float(np.exp(left + share * (right - left)))
