"""Criteria of claims: the effect that each kind reads from the result tables, and whether it is within bounds.

A criterion holds if the whole 95% interval of its effect is within the bounds that the claim predicts. It fails if the
whole interval is outside, and is inconclusive otherwise. A value that was measured once has no interval; its criterion
states a margin instead, by which the value must clear the threshold.
"""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, model_validator
from scipy import stats

from revision.errors import ConfigError
from revision.stats.intervals import LEVEL, Interval, over_trainings, quantile

SUPPORTED, CONTRADICTED, INCONCLUSIVE = "supported", "contradicted", "inconclusive"
STAGES = {"stage1": "Stage 1", "stage2": "Stage 2"}
NORMAL = float(stats.norm.ppf(0.5 + LEVEL / 2))

Where = Mapping[str, Any]


class AbsentError(Exception):
    """A source, row or column that this run does not have."""


class Tables:
    """Result tables by source name, each read on first use.

    Parameters
    ----------
    paths : sequence of path
        CSV files that may be read. The name of a source is its file name with its folder, such as
        ``figures/figure_3.csv``.

    Raises
    ------
    ConfigError
        If two paths have the same source name.
    """

    def __init__(self, paths: Sequence[str | Path]) -> None:
        self._tables: dict[str, pd.DataFrame] = {}
        self._paths: dict[str, Path] = {}
        for path in map(Path, paths):
            source = f"{path.parent.name}/{path.name}"
            if source in self._paths:
                raise ConfigError(f"{path}: {self._paths[source]} is also named {source}; give one of the two")
            self._paths[source] = path

    def __getitem__(self, source: str) -> pd.DataFrame:
        if source not in self._paths:
            raise AbsentError(f"{source} was not made")
        if source not in self._tables:
            self._tables[source] = pd.read_csv(self._paths[source])
        return self._tables[source]


class Criterion(BaseModel):
    """A condition on one result table: its effect must be `above`, `below` or `between` given bounds.

    Attributes
    ----------
    source : str
        Name of the table, such as ``figures/figure_3.csv``.
    quantity : str
        Description of the effect.
    above, below : float, optional
        Exclusive bound of the effect. Exactly one of `above`, `below` and `between` is given.
    between : tuple of float, optional
        Exclusive lower and upper bound.
    margin : float, optional
        Half-width of the interval to assume for a value measured once.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str
    quantity: str
    above: float | None = None
    below: float | None = None
    between: tuple[float, float] | None = None
    margin: float | None = None

    @model_validator(mode="after")
    def _check_bounds(self) -> "Criterion":
        if sum(side is not None for side in (self.above, self.below, self.between)) != 1:
            raise ValueError("give exactly one of above, below and between")
        return self

    @property
    def bounds(self) -> tuple[float, float]:
        """The open interval in which the effect must lie."""
        if self.between is not None:
            return self.between
        return (-np.inf, self.below) if self.below is not None else (self.above or 0.0, np.inf)

    @abstractmethod
    def measure(self, table: pd.DataFrame) -> Interval:
        """Return the effect in the source table; its ends are NaN if it was measured once.

        Parameters
        ----------
        table : pandas.DataFrame
            The table `source`.

        Raises
        ------
        AbsentError
            If the table lacks a row or column.
        """

    def subject(self, name_of: Callable[[str], str]) -> str:
        """Return a description of the quantity; `name_of` maps the key of a variant to its name."""
        return self.quantity

    def effect(self, tables: Tables) -> Interval:
        """Return the effect with its interval; raise AbsentError with the source's name if the tables lack it."""
        table = tables[self.source]
        try:
            return self.measure(table)
        except AbsentError as absent:
            raise AbsentError(f"{self.source}: {absent}") from None

    @property
    def within(self) -> str:
        """The bounds in words, such as "above 0" or, for a value measured once, "below 0.5 with 0.1 to spare"."""
        low, high = self.bounds
        if self.between is not None:
            side = f"between {low:g} and {high:g}"
        else:
            side = f"below {high:g}" if self.below is not None else f"above {low:g}"
        return side + (f" with {self.margin:g} to spare" if self.margin else "")

    def describe(self, name_of: Callable[[str], str] = str) -> str:
        """Return the criterion as a sentence; `name_of` maps the key of a variant to its name."""
        return f"{self.subject(name_of)}: {self.within}"


class _Accuracy(Criterion):
    """Criterion on paired differences in accuracy; by default its effect must be above 0."""

    source: str = "tables/pairs.csv"
    quantity: str = ""
    rows: tuple[str, str]
    stage: Literal["stage1", "stage2"] = "stage2"
    group: str = "all"

    @model_validator(mode="before")
    @classmethod
    def _above_zero(cls, values: dict[str, Any]) -> dict[str, Any]:
        return values if {"above", "below", "between"} & set(values) else values | {"above": 0.0}

    def difference(self, table: pd.DataFrame, first: str, second: str) -> Interval:
        """Return the accuracy of variant `first` minus that of `second`."""
        where = {"stage": self.stage, "first": first, "second": second, "group": self.group}
        return _single(_select(table, where), "difference", exact=False)

    @property
    def _accuracy(self) -> str:
        suites = "" if self.group == "all" else f" on {self.group} suites"
        return f"accuracy{suites} after {STAGES[self.stage]}, points"


class Better(_Accuracy):
    """Paired difference in accuracy of two variants; by default the first must be more accurate.

    Attributes
    ----------
    rows : tuple of str
        Keys of the two variants.
    stage : {"stage1", "stage2"}
        Training stage after which accuracy is measured.
    group : str
        Group of suites over which accuracy is averaged; "all" for all suites.
    """

    kind: Literal["better"]

    def measure(self, table: pd.DataFrame) -> Interval:
        return self.difference(table, *self.rows)

    def subject(self, name_of: Callable[[str], str]) -> str:
        first, second = map(name_of, self.rows)
        return f"{first} minus {second}, {self._accuracy}"


class LargerGain(_Accuracy):
    """Difference of two paired differences in accuracy; by default that of `rows` must be larger than that of `than`.

    Its variance follows from those of the six pairs of the variants, with 2 Cov(a - b, c - d) = Var(a - d) +
    Var(b - c) - Var(a - c) - Var(b - d). Var / h, where h are the degrees of freedom, is a sum of mean squares too
    (`revision.stats.intervals.random_effects`), so it follows in the same way.

    Attributes
    ----------
    rows, than : tuple of str
        Keys of the two variants of either difference.
    stage, group : str
        As in `Better`.
    """

    kind: Literal["larger_gain"]
    than: tuple[str, str]

    def measure(self, table: pd.DataFrame) -> Interval:
        def squares(first: str, second: str) -> np.ndarray:
            """The variance of a difference, and that over its degrees of freedom."""
            if first == second:
                return np.zeros(2)
            effect = self.difference(table, first, second)
            freedom = effect.degrees_of_freedom
            variance = ((effect.high - effect.low) / (2 * quantile(freedom))) ** 2
            return np.array([variance, variance / freedom])

        (a, b), (c, d) = self.rows, self.than
        value = self.difference(table, a, b).value - self.difference(table, c, d).value
        twice_covariance = squares(a, d) + squares(b, c) - squares(a, c) - squares(b, d)
        variance, per_freedom = np.maximum(squares(a, b) + squares(c, d) - twice_covariance, 0.0)
        freedom = float(variance / per_freedom) if variance > 0 and per_freedom > 0 else np.inf
        half = quantile(freedom) * float(np.sqrt(variance))
        return Interval(value, value - half, value + half, freedom)

    def subject(self, name_of: Callable[[str], str]) -> str:
        first, second, third, fourth = map(name_of, (*self.rows, *self.than))
        return f"({first} minus {second}) minus ({third} minus {fourth}), {self._accuracy}"


class Value(Criterion):
    """One value of a table, or the mean over replicates.

    Attributes
    ----------
    metric : str
        Column of the value.
    where : mapping
        Values that columns of the selected rows have.
    over : str
        Column that identifies replicates, such as "seed"; empty for a single value. Seeds are nested in encoders if
        the table has a column "encoder": the interval is then over encoders (`over_trainings`).
    exact : bool
        The value is computed without sampling error; its interval has zero width.
    """

    kind: Literal["value"]
    metric: str
    where: Where = {}
    over: str = ""
    exact: bool = False

    def measure(self, table: pd.DataFrame) -> Interval:
        rows = _select(table, self.where)
        if self.over:
            return over_trainings(_replicates(rows, self.metric, self.over))
        return _single(rows, self.metric, self.exact)


class _Comparison(Criterion):
    """Comparison of two sides of a table: column `metric` of the rows `of` against `to_metric` of the rows `to`.

    Attributes
    ----------
    metric, to_metric : str
        Columns of the two sides; `to_metric` defaults to `metric`.
    where : mapping
        Values that columns have in the rows of both sides.
    of, to : mapping
        Values that select the rows of either side.
    over : str
        Column that identifies replicates, which are paired, as in `Value`; empty for a single value on each side.
    exact : bool
        The values are computed without sampling error; the interval has zero width.
    """

    metric: str
    to_metric: str = ""
    where: Where = {}
    of: Where = {}
    to: Where = {}
    over: str = ""
    exact: bool = False

    def measure(self, table: pd.DataFrame) -> Interval:
        rows = _select(table, self.where)
        sides = (_select(rows, self.of), self.metric), (_select(rows, self.to), self.to_metric or self.metric)
        if not self.over:
            value = self.compare(*(pd.Series([_single(side, metric, True).value]) for side, metric in sides)).value
            return Interval(value, value, value) if self.exact else Interval(value, np.nan, np.nan)
        first, second = (_replicates(side, metric, self.over) for side, metric in sides)
        both = first.index.intersection(second.index)
        if both.empty:
            raise AbsentError(f"no {self.over} is on both sides")
        return self.compare(first[both], second[both])

    @abstractmethod
    def compare(self, first: pd.Series, second: pd.Series) -> Interval:
        """Return the effect of paired replicates, one value each, with the same index."""


class Difference(_Comparison):
    """Mean of the difference of two paired sides."""

    kind: Literal["difference"]

    def compare(self, first: pd.Series, second: pd.Series) -> Interval:
        return over_trainings(first - second)


class Ratio(_Comparison):
    """Geometric mean of the ratio of two paired sides."""

    kind: Literal["ratio"]

    def compare(self, first: pd.Series, second: pd.Series) -> Interval:
        # exp(log(a / b)) differs from a / b in the last digit, so one pair skips the logarithm.
        if len(first) == 1:
            return Interval(float(first.iloc[0] / second.iloc[0]), np.nan, np.nan)
        logs = over_trainings(np.log(first / second))
        value, low, high = (float(np.exp(end)) for end in logs.ends().values())
        return Interval(value, low, high, logs.degrees_of_freedom)


class Correlation(Criterion):
    """Pearson correlation of columns `metric` and `x` in the rows `where`, with Fisher's interval.

    Attributes
    ----------
    metric, x : str
        Columns that are correlated.
    given : str
        Column that is held fixed (partial correlation); empty for none.
    where : mapping
        Values that columns of the selected rows have.
    """

    kind: Literal["correlation"]
    metric: str
    x: str
    given: str = ""
    where: Where = {}

    def measure(self, table: pd.DataFrame) -> Interval:
        rows = _select(table, self.where)
        x, y = _points(rows, self.x, self.metric)
        if self.given:
            x, y = (_residual(side, _column(rows, self.given)) for side in (x, y))
        value = float(np.corrcoef(x, y)[0, 1])
        half = NORMAL / np.sqrt(len(x) - (4 if self.given else 3))
        return Interval(value, *(float(np.tanh(np.arctanh(value) + side)) for side in (-half, half)))


class Slope(Criterion):
    """Slope of log `metric` on log `x` in the rows `where`, the exponent of a power law, with Student's interval."""

    kind: Literal["slope"]
    metric: str
    x: str
    where: Where = {}

    def measure(self, table: pd.DataFrame) -> Interval:
        x, y = _points(_select(table, self.where), self.x, self.metric)
        line = stats.linregress(np.log(x), np.log(y))
        half = quantile(len(x) - 2) * float(line.stderr)
        return Interval(float(line.slope), float(line.slope) - half, float(line.slope) + half)


def decide(effect: Interval, bounds: tuple[float, float], margin: float | None = None) -> str:
    """Decide whether an effect is within bounds.

    Parameters
    ----------
    effect : Interval
        Estimate; NaN or infinite ends mean that it was measured once.
    bounds : tuple of float
        Exclusive lower and upper bound.
    margin : float, optional
        Half-width of the interval to assume for a value measured once; without it the verdict is inconclusive.

    Returns
    -------
    str
        "supported" if the whole interval is within the bounds, "contradicted" if it is wholly outside, else
        "inconclusive".
    """
    low, high = effect.low, effect.high
    if not np.isfinite([low, high]).all():
        if margin is None or not np.isfinite(effect.value):
            return INCONCLUSIVE
        low, high = effect.value - margin, effect.value + margin
    if bounds[0] < low and high < bounds[1]:
        return SUPPORTED
    return CONTRADICTED if high < bounds[0] or low > bounds[1] else INCONCLUSIVE


def _select(table: pd.DataFrame, where: Where) -> pd.DataFrame:
    for column, wanted in where.items():
        values = _column(table, column)
        if isinstance(wanted, str) or not pd.api.types.is_numeric_dtype(values):
            selected = values.astype(str) == str(wanted)
        else:
            selected = np.isclose(values, wanted)
        table = table[selected]
        if table.empty:
            raise AbsentError(f"no row with {column} {wanted}")
    return table


def _column(rows: pd.DataFrame, name: str) -> pd.Series:
    if name not in rows:
        raise AbsentError(f"no column {name}")
    return rows[name]


def _replicates(rows: pd.DataFrame, metric: str, over: str) -> pd.Series:
    levels = ["encoder", over] if over == "seed" and "encoder" in rows else [over]
    return _column(rows, metric).groupby([_column(rows, level) for level in levels]).mean()


def _single(rows: pd.DataFrame, metric: str, exact: bool) -> Interval:
    """The only value of a column, with its interval from columns low, high and degrees_of_freedom, if any."""
    values = _column(rows, metric).unique()
    if len(values) != 1:
        raise AbsentError(f"{len(values)} different values of {metric} where the claim reads one")
    value = float(values[0])
    if exact:
        return Interval(value, value, value)
    row = rows.iloc[0]
    freedom = float(row.get("degrees_of_freedom", np.inf))
    return Interval(value, float(row.get("low", np.nan)), float(row.get("high", np.nan)), freedom)


def _points(rows: pd.DataFrame, x: str, y: str) -> tuple[pd.Series, pd.Series]:
    if len(rows) < 4:
        raise AbsentError(f"{len(rows)} rows; a correlation or slope with an interval takes 4")
    return _column(rows, x), _column(rows, y)


def _residual(values: pd.Series, given: pd.Series) -> pd.Series:
    line = stats.linregress(given, values)
    return values - line.intercept - line.slope * given
