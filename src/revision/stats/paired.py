"""Accuracies with intervals, paired differences, effect sizes and power, from single answers (tables 1 to 8)."""

from collections.abc import Sequence
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
    """One row a number in percent: method, suite, group, seeds, questions, value, low, high, and against `reference`:

    `difference` with `difference_low` and `difference_high` (paired bootstrap over seeds and questions), `t_low` and
    `t_high` (Student's t over paired seeds alone), `within_noise`, `dz` (over paired questions), `detectable` (the
    difference that this design finds with a power of 80%), and `questions_needed` (a suite) or `seeds_needed` for the
    observed difference to be found with that power. Suite "average" is the unweighted mean over suites.
    """
    draws, base_place = resampled(answers), answers.place(reference)
    base, names = answers.per_seed(reference), list(answers.correct)
    factor, rows = detectable_factor(), []
    for place, method in enumerate(answers.methods):
        means = answers.per_seed(method)
        for suite, group, picked in answers.columns():
            found = interval(means[:, picked].mean(), draws[:, place, picked].mean(axis=1))
            change = (means - base)[:, picked].mean(axis=1)
            moved = interval(change.mean(), (draws[:, place, picked] - draws[:, base_place, picked]).mean(axis=1))
            student = over_seeds(change)
            pairs = [answers.correct[names[k]] for k in picked]
            pairs = [each[place] - each[base_place] for each in pairs]
            parts, seeds = spread(pairs), len(means)
            questions = int(np.mean([each.shape[1] for each in pairs]))
            error = 0.0 if np.isclose(moved.value, 0, atol=1e-9) else abs(moved.value) / factor
            rows.append(
                {
                    "method": method, "suite": suite, "group": group, "seeds": seeds,
                    "questions": sum(each.shape[1] for each in pairs),
                    "value": 100 * found.value, "low": 100 * found.low, "high": 100 * found.high,
                    "difference": 100 * moved.value, "difference_low": 100 * moved.low,
                    "difference_high": 100 * moved.high, "t_low": 100 * student.low, "t_high": 100 * student.high,
                    "within_noise": None if method == reference else bool(moved.low <= 0 <= moved.high),
                    "dz": effect_size(pairs),
                    "detectable": 100 * factor * np.sqrt(parts.variance(seeds, questions)),
                    "questions_needed": parts.questions_for(error, seeds) if error else np.inf,
                    "seeds_needed": parts.seeds_for(error, questions) if error else np.inf,
                }
            )  # fmt: skip
    return pd.DataFrame(rows)


def paired_table(answers: Answers) -> pd.DataFrame:
    """Every ordered pair of methods: `difference` = first - second in points, low, high, dz; averages only."""
    draws, names, rows = resampled(answers), list(answers.correct), []
    for group, picked in ((group, picked) for _, group, picked in answers.columns(suites=False)):
        means = draws[:, :, picked].mean(axis=2)
        for one, first in enumerate(answers.methods):
            for other, second in enumerate(answers.methods):
                if one == other:
                    continue
                pairs = [answers.correct[names[k]][one] - answers.correct[names[k]][other] for k in picked]
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
