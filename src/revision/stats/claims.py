"""Claims of the paper as data: a statement, where it stands, what must hold in our result tables, and the verdict.

A criterion holds if the whole 95% interval of its effect lies where the claim puts it, fails if the whole interval lies
elsewhere, and is inconclusive otherwise. A number that was measured once has no interval; its criterion states a
margin instead, by which the number must clear the threshold. Criteria are written before the run that decides them.
"""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pandas as pd
import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator
from scipy import stats

from revision.errors import ConfigError
from revision.stats.intervals import LEVEL, Interval, over_seeds

SUPPORTED, CONTRADICTED, INCONCLUSIVE, NOT_RUN = "supported", "contradicted", "inconclusive", "not run"
VERDICTS = (SUPPORTED, CONTRADICTED, INCONCLUSIVE, NOT_RUN)
STAGES = {"stage1": "Stage 1", "stage2": "Stage 2"}

Where = Mapping[str, Any]


class _Absent(Exception):
    """A source, row or column that this run does not have."""


class Tables:
    """The result tables (CSV) under a folder with figures/ and tables/, each read when it is asked for."""

    def __init__(self, folder: str | Path) -> None:
        self.folder, self._read = Path(folder), dict[str, pd.DataFrame]()

    def __getitem__(self, source: str) -> pd.DataFrame:
        if source not in self._read:
            if not (self.folder / source).is_file():
                raise _Absent(f"{source} was not made")
            self._read[source] = pd.read_csv(self.folder / source)
        return self._read[source]


class Criterion(BaseModel):
    """A condition on one result table: its effect must lie `above`, `below` or `between`.

    `source` is the table; `quantity` says in words what the effect is. `margin` is asked of numbers measured once.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str
    quantity: str
    above: float | None = None
    below: float | None = None
    between: tuple[float, float] | None = None
    margin: float | None = None

    @model_validator(mode="after")
    def _one_bound(self) -> "Criterion":
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
        """The effect in the source table, with NaN ends if it was measured once. Raises _Absent for a missing row."""

    def subject(self, name_of: Callable[[str], str]) -> str:
        """What is measured, in words."""
        return self.quantity

    def effect(self, tables: Tables) -> Interval:
        """The effect with its interval. Raises _Absent, which names the source, for what the tables lack."""
        table = tables[self.source]
        try:
            return self.measure(table)
        except _Absent as absent:
            raise _Absent(f"{self.source}: {absent}") from None

    def describe(self, name_of: Callable[[str], str] = str) -> str:
        """The criterion in words; `name_of` turns the key of a variant into its name."""
        low, high = self.bounds
        if self.between is not None:
            side = f"between {low:g} and {high:g}"
        else:
            side = f"below {high:g}" if self.below is not None else f"above {low:g}"
        return f"{self.subject(name_of)}: {side}" + (f", by a margin of {self.margin:g}" if self.margin else "")


class Better(Criterion):
    """The first of two variants is more accurate than the second (paired), in the average of `group`."""

    kind: Literal["better"]
    source: str = "tables/pairs.csv"
    quantity: str = ""
    rows: tuple[str, str]
    stage: Literal["stage1", "stage2"] = "stage2"
    group: str = "all"

    @model_validator(mode="before")
    @classmethod
    def _above_zero(cls, values: dict[str, Any]) -> dict[str, Any]:
        return values if {"above", "below", "between"} & set(values) else values | {"above": 0.0}

    def measure(self, table: pd.DataFrame) -> Interval:
        first, second = self.rows
        where = {"stage": self.stage, "first": first, "second": second, "group": self.group}
        return _single(_pick(table, where), "difference", exact=False)

    def subject(self, name_of: Callable[[str], str]) -> str:
        first, second = map(name_of, self.rows)
        suites = "" if self.group == "all" else f" on {self.group} suites"
        return f"{first} minus {second}, accuracy{suites} after {STAGES[self.stage]}, points"


class Value(Criterion):
    """Column `metric` of the rows `where`: one value, or the mean over the replicates in column `over`."""

    kind: Literal["value"]
    metric: str
    where: Where = {}
    over: str = ""
    exact: bool = False

    def measure(self, table: pd.DataFrame) -> Interval:
        rows = _pick(table, self.where)
        if self.over:
            return over_seeds(_replicates(rows, self.metric, self.over).to_numpy())
        return _single(rows, self.metric, self.exact)


class _Comparison(Criterion):
    """Column `metric` of the rows `of` against `to_metric` (by default the same) of the rows `to`, all also `where`.

    Replicates in column `over` are paired; `exact` numbers have no error.
    """

    metric: str
    to_metric: str = ""
    where: Where = {}
    of: Where = {}
    to: Where = {}
    over: str = ""
    exact: bool = False

    def measure(self, table: pd.DataFrame) -> Interval:
        rows = _pick(table, self.where)
        sides = (_pick(rows, self.of), self.metric), (_pick(rows, self.to), self.to_metric or self.metric)
        if not self.over:
            value = self.compare(*(np.array([_single(side, metric, True).value]) for side, metric in sides)).value
            return Interval(value, value, value) if self.exact else Interval(value, np.nan, np.nan)
        first, second = (_replicates(side, metric, self.over) for side, metric in sides)
        both = first.index.intersection(second.index)
        if both.empty:
            raise _Absent(f"no {self.over} is on both sides")
        return self.compare(first[both].to_numpy(), second[both].to_numpy())

    @abstractmethod
    def compare(self, first: np.ndarray, second: np.ndarray) -> Interval:
        """The effect from paired replicates [n]."""


class Difference(_Comparison):
    """Mean difference of two paired sides."""

    kind: Literal["difference"]

    def compare(self, first: np.ndarray, second: np.ndarray) -> Interval:
        return over_seeds(first - second)


class Ratio(_Comparison):
    """Geometric mean of the ratio of two paired sides."""

    kind: Literal["ratio"]

    def compare(self, first: np.ndarray, second: np.ndarray) -> Interval:
        if len(first) == 1:  # exp(log(a / b)) is not a / b to the last digit
            return Interval(float(first[0] / second[0]), np.nan, np.nan)
        logs = over_seeds(np.log(first / second))
        return Interval(*(float(np.exp(value)) for value in (logs.value, logs.low, logs.high)))


class Correlation(Criterion):
    """Pearson's correlation of column `metric` with column `x`, with Fisher's interval."""

    kind: Literal["correlation"]
    metric: str
    x: str
    where: Where = {}

    def measure(self, table: pd.DataFrame) -> Interval:
        x, y = _points(_pick(table, self.where), self.x, self.metric)
        found = stats.pearsonr(x, y)
        ends = found.confidence_interval(LEVEL)
        return Interval(float(found.statistic), float(ends.low), float(ends.high))


class Slope(Criterion):
    """Slope of column `metric` on column `x`, both logarithmic: the exponent of a power law."""

    kind: Literal["slope"]
    metric: str
    x: str
    where: Where = {}

    def measure(self, table: pd.DataFrame) -> Interval:
        x, y = _points(_pick(table, self.where), self.x, self.metric)
        line = stats.linregress(np.log(x), np.log(y))
        half = float(stats.t.ppf(0.5 + LEVEL / 2, len(x) - 2) * line.stderr)
        return Interval(float(line.slope), float(line.slope) - half, float(line.slope) + half)


class Claim(BaseModel):
    """A claim: its statement in own words, its place in the paper, criteria that must all hold, scales it needs."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    statement: str
    place: str
    criteria: Annotated[
        tuple[Annotated[Better | Value | Difference | Ratio | Correlation | Slope, Field(discriminator="kind")], ...],
        Field(min_length=1),
    ]
    scales: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """Of one criterion or claim; `effect` is None where nothing was measured, and `reason` says why."""

    verdict: str
    effect: Interval | None = None
    reason: str = ""


def read_claims(path: str | Path) -> list[Claim]:
    """The claims in a YAML file. Raises ConfigError that names the claim and the key for anything malformed."""
    path = Path(path)
    if not path.is_file():
        raise ConfigError(f"{path}: no such file; give the YAML of claims, config/claims.yaml")
    entries = yaml.safe_load(path.read_text(encoding="utf-8"))
    try:
        claims = TypeAdapter(list[Claim]).validate_python(entries)
    except ValidationError as error:
        first = error.errors()[0]
        number, *keys = first["loc"] or (0,)
        name = entries[number].get("id", number) if isinstance(number, int) and entries else path.name
        raise ConfigError(f"{path}: claim {name}: {'.'.join(map(str, keys))}: {first['msg']}") from error
    names = [claim.id for claim in claims]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(f"{path}: claim {', '.join(twice)} is there twice")
    return claims


def judge(claim: Claim, tables: Tables, scale: str) -> Outcome:
    """The verdict on a claim from the result tables of a run at `scale`.

    Not run if one criterion can't be read; else contradicted if one is; else inconclusive if one is; else supported.
    The effect is that of the first criterion with the claim's verdict.
    """
    if claim.scales and scale not in claim.scales:
        return Outcome(NOT_RUN, reason=f"needs scale {' or '.join(claim.scales)}")
    outcomes = [_outcome(criterion, tables) for criterion in claim.criteria]
    order = (NOT_RUN, CONTRADICTED, INCONCLUSIVE, SUPPORTED)
    return min(outcomes, key=lambda outcome: order.index(outcome.verdict))


def verdict_table(
    claims: Sequence[Claim], results: str | Path, scale: str, name_of: Callable[[str], str] = str
) -> pd.DataFrame:
    """Judge every claim on the tables under `results`, a folder with figures/ and tables/.

    Parameters
    ----------
    claims
        As `read_claims` gives them.
    results
        Folder of the run's tables.
    scale
        Scale of the run; claims that need another are not judged.
    name_of
        Turns the key of a variant into the name that criteria show.

    Returns
    -------
    pandas.DataFrame
        One row a claim: id, statement, place, criterion, verdict, effect, low, high, reason.
    """
    rows, tables = [], Tables(results)
    for claim in claims:
        outcome = judge(claim, tables, scale)
        effect = outcome.effect or Interval(np.nan, np.nan, np.nan)
        rows.append(
            {
                "id": claim.id,
                "statement": claim.statement,
                "place": claim.place,
                "criterion": "; ".join(criterion.describe(name_of) for criterion in claim.criteria),
                "verdict": outcome.verdict,
                "effect": effect.value,
                "low": effect.low,
                "high": effect.high,
                "reason": outcome.reason,
            }
        )
    return pd.DataFrame(rows)


def decide(effect: Interval, bounds: tuple[float, float], margin: float | None = None) -> str:
    """Supported, contradicted or inconclusive for an effect that should lie within `bounds`.

    Without an interval the `margin` stands in for it; without both the outcome is inconclusive.
    """
    low, high = effect.low, effect.high
    if not np.isfinite([low, high]).all():
        if margin is None or not np.isfinite(effect.value):
            return INCONCLUSIVE
        low, high = effect.value - margin, effect.value + margin
    if bounds[0] < low and high < bounds[1]:
        return SUPPORTED
    return CONTRADICTED if high < bounds[0] or low > bounds[1] else INCONCLUSIVE


def _outcome(criterion: Criterion, tables: Tables) -> Outcome:
    try:
        effect = criterion.effect(tables)
    except _Absent as absent:
        return Outcome(NOT_RUN, reason=str(absent))
    once = not np.isfinite([effect.low, effect.high]).all()
    verdict = decide(effect, criterion.bounds, criterion.margin)
    return Outcome(verdict, effect, "measured once: no interval" if once else "")


def _pick(table: pd.DataFrame, where: Where) -> pd.DataFrame:
    for column, wanted in where.items():
        values = _column(table, column)
        if isinstance(wanted, str) or not pd.api.types.is_numeric_dtype(values):
            kept = values.astype(str) == str(wanted)
        else:
            kept = np.isclose(values, wanted)
        table = table[kept]
        if table.empty:
            raise _Absent(f"no row with {column} {wanted}")
    return table


def _column(rows: pd.DataFrame, name: str) -> pd.Series:
    if name not in rows:
        raise _Absent(f"no column {name}")
    return rows[name]


def _replicates(rows: pd.DataFrame, metric: str, over: str) -> pd.Series:
    return _column(rows, metric).groupby(_column(rows, over)).mean()


def _single(rows: pd.DataFrame, metric: str, exact: bool) -> Interval:
    """The one value of a column, with the interval that stands beside it in columns low and high, if any."""
    values = _column(rows, metric).unique()
    if len(values) != 1:
        raise _Absent(f"{len(values)} different values of {metric} where the claim reads one")
    value = float(values[0])
    if exact:
        return Interval(value, value, value)
    row = rows.iloc[0]
    return Interval(value, float(row.get("low", np.nan)), float(row.get("high", np.nan)))


def _points(rows: pd.DataFrame, x: str, y: str) -> tuple[pd.Series, pd.Series]:
    if len(rows) < 4:
        raise _Absent(f"{len(rows)} rows; a correlation or slope with an interval takes 4")
    return _column(rows, x), _column(rows, y)
