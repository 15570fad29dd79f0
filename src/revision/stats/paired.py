"""Accuracies and paired differences with intervals and power, from graded answers (tables 1 to 8)."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path

import numpy as np
import pandas as pd

from revision.errors import ConfigError, DataError
from revision.stats.intervals import MeanEstimate, random_effects

AVERAGE, ALL = "average", "all"


@dataclass(frozen=True)
class Answers:
    """Graded answers of several methods to the same questions.

    Attributes
    ----------
    methods : list of str
        Names of the methods.
    correct : dict of ndarray of shape (n_methods, n_encoders, n_seeds, n_questions)
        0 or 1 for each answer, by suite; the seeds are of the trainings with one encoder.
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

    def counts(self, suites: Sequence[int]) -> dict[str, int]:
        """Return the number of encoders, of seeds of each, and of questions in the suites with these indices."""
        arrays = list(self.correct.values())
        encoders, seeds = arrays[0].shape[1:3]
        return {"encoders": encoders, "seeds": seeds, "questions": sum(arrays[suite].shape[3] for suite in suites)}

    def select(self, method: str, suites: Sequence[int]) -> list[np.ndarray]:
        """Return the answers of a method to the suites with these indices, (n_encoders, n_seeds, n_questions) each."""
        row, arrays = self.index(method), list(self.correct.values())
        return [arrays[suite][row] for suite in suites]

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
        list of ndarray of shape (n_encoders, n_seeds, n_questions)
            Paired differences, one array per suite.
        """
        return [a - b for a, b in zip(self.select(first, suites), self.select(second, suites), strict=True)]

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
    """Read tables of answers, such as one per training.

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
        If a file is incomplete, or a method, encoder and seed lack answers that others have: these could not be paired.
    """
    columns = ["method", "encoder", "seed", "suite", "group", "question", "correct"]
    table = pd.concat([_read(path, columns) for path in paths], ignore_index=True)
    names = list(dict.fromkeys(table.method)) if methods is None else list(methods)
    groups = table.drop_duplicates("suite").set_index("suite").group.to_dict()
    encoders, seeds = sorted(table.encoder.unique()), sorted(table.seed.unique())
    correct = {}
    for suite in groups:
        part = table[table.suite == suite]
        wide = part.pivot(index=["method", "encoder", "seed"], columns="question", values="correct")
        wide = wide.reindex(pd.MultiIndex.from_product([names, encoders, seeds]))
        incomplete = wide.index[wide.isna().any(axis=1)]
        if len(incomplete):
            method, encoder, seed = incomplete[0]
            raise DataError(
                f"answers of {method}, encoder {encoder}, seed {seed}, suite {suite}: some questions are missing; run"
                " the evaluation again"
            )
        correct[suite] = wide.to_numpy(dtype=float).reshape(len(names), len(encoders), len(seeds), -1)
    return Answers(names, correct, groups)


def score_table(answers: Answers, reference: str) -> pd.DataFrame:
    """Tabulate the accuracies of all methods in percent, with their differences from a reference in points.

    Parameters
    ----------
    answers : Answers
        Answers of all methods to the same questions.
    reference : str
        Method that the others are compared with.

    Returns
    -------
    pandas.DataFrame
        One row per method and suite or average of suites: method, suite, group, encoders, seeds (of each encoder),
        questions, value with low and high, difference with difference_low and difference_high, within_noise (None for
        the reference itself), and the columns of `errors` for the difference. Intervals are those of
        `revision.stats.intervals.random_effects`. Suite "average" is the unweighted mean over suites.

    Raises
    ------
    ConfigError
        If the reference has no answers.
    """
    rows = []
    for method in answers.methods:
        for suite, group, suites in answers.columns():
            alone = random_effects(answers.select(method, suites)).interval()
            estimate = random_effects(answers.differences(method, reference, suites))
            change = estimate.interval()
            rows.append(
                {
                    "method": method,
                    "suite": suite,
                    "group": group,
                    **answers.counts(suites),
                    "value": 100 * alone.value,
                    "low": 100 * max(alone.low, 0.0),
                    "high": 100 * min(alone.high, 1.0),
                    "difference": 100 * change.value,
                    "difference_low": 100 * change.low,
                    "difference_high": 100 * change.high,
                    "within_noise": None if method == reference else bool(change.low <= 0 <= change.high),
                    **errors(estimate),
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
        One row per group and pair: first, second, group, encoders, seeds, questions, difference (first minus second)
        with low and high, in points, and the columns of `errors`.
    """
    rows = []
    for _, group, suites in answers.columns(suites=False):
        for first, second in permutations(answers.methods, 2):
            estimate = random_effects(answers.differences(first, second, suites))
            change = estimate.interval()
            rows.append(
                {
                    "first": first,
                    "second": second,
                    "group": group,
                    **answers.counts(suites),
                    "difference": 100 * change.value,
                    "low": 100 * change.low,
                    "high": 100 * change.high,
                    **errors(estimate),
                }
            )
    return pd.DataFrame(rows)


def errors(estimate: MeanEstimate) -> dict[str, float]:
    """Return the columns of a table that tell how precisely a difference in accuracy is known.

    Parameters
    ----------
    estimate : MeanEstimate
        A difference between two fractions of correct answers.

    Returns
    -------
    dict
        standard_error, degrees_of_freedom, detectable (the difference that is detected with a power of 80%),
        encoder_sd, seed_sd and question_sd, all but the degrees of freedom in points.
    """
    return {
        "standard_error": 100 * estimate.standard_error,
        "degrees_of_freedom": estimate.degrees_of_freedom,
        "detectable": 100 * estimate.detectable(),
        "encoder_sd": 100 * estimate.encoder_sd,
        "seed_sd": 100 * estimate.seed_sd,
        "question_sd": 100 * estimate.question_sd,
    }


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
