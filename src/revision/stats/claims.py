"""Claims of the paper as data: a statement, where it stands, what must hold in our result tables, and the verdict.

A criterion holds if the whole 95% interval of its effect lies where the claim puts it, fails if the whole interval lies
elsewhere, and is inconclusive otherwise. A number that was measured once has no interval; its criterion states a
margin instead, by which the number must clear the threshold. Criteria are written before the run that decides them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from pydantic import ConfigDict
from scipy import stats

from revision.config import parse
from revision.errors import ConfigError
from revision.stats.intervals import LEVEL, Interval, over_seeds

SUPPORTED, CONTRADICTED, INCONCLUSIVE, NOT_RUN = "supported", "contradicted", "inconclusive", "not run"
VERDICTS = (SUPPORTED, CONTRADICTED, INCONCLUSIVE, NOT_RUN)
KINDS = ("better", "value", "difference", "ratio", "correlation", "slope", "verdict")
PAIRS = "tables/pairs.csv"


@dataclass(frozen=True)
class Criterion:
    """One condition on a result table, by `kind`:

    better: the first of `rows` is more accurate than the second (paired; in `stage`, in the average of `group`).
    value: `metric` of the rows `where`. difference, ratio: of the rows `of` against the rows `to`, both also `where`.
    correlation, slope: of column `metric` with column `x`; slope is on logarithmic axes.
    verdict: the verdict that another table gives the claim named `metric`.

    The effect must lie `above`, `below` or `between`. `over` names the column of replicates, by which differences and
    ratios are paired; `exact` numbers have no error; `margin` is asked of numbers that were measured once.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")
    kind: str
    source: str = PAIRS
    metric: str = ""
    where: Mapping[str, Any] = field(default_factory=dict)
    of: Mapping[str, Any] = field(default_factory=dict)
    to: Mapping[str, Any] = field(default_factory=dict)
    to_metric: str = ""
    rows: Sequence[str] = ()
    stage: str = "stage2"
    group: str = "all"
    x: str = ""
    over: str = ""
    above: float | None = None
    below: float | None = None
    between: Sequence[float] = ()
    exact: bool = False
    margin: float | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ConfigError(f"kind {self.kind!r} does not exist; the kinds are {', '.join(KINDS)}")
        if self.kind == "better" and len(self.rows) != 2:
            raise ConfigError(f"kind better needs rows: [better, worse], got {list(self.rows)}")
        if self.kind != "better" and not self.metric:
            raise ConfigError(f"kind {self.kind} needs a metric")
        sides = sum(bool(side) for side in (self.above is not None, self.below is not None, self.between))
        if sides > 1 or (sides == 0 and self.kind not in ("better", "verdict")):
            raise ConfigError("give exactly one of above, below and between")

    @property
    def bounds(self) -> tuple[float, float]:
        """The open interval in which the effect must lie; `better` without a bound means above 0."""
        if self.between:
            low, high = self.between
            return float(low), float(high)
        if self.below is not None:
            return -np.inf, float(self.below)
        return float(self.above or 0.0), np.inf

    def words(self) -> str:
        """The criterion in words."""
        if self.kind == "verdict":
            return f"as {self.source} finds for {self.metric}"
        if self.kind == "better":
            subject = f"accuracy of {self.rows[0]} minus {self.rows[1]} ({self.stage}, {self.group}), points"
        elif self.kind in ("difference", "ratio"):
            sides = [" ".join(map(str, side.values())) for side in (self.of, self.to)]
            names = [f"{self.metric} {sides[0]}", f"{self.to_metric or self.metric} {sides[1]}"]
            subject = f" {'minus' if self.kind == 'difference' else 'over'} ".join(name.strip() for name in names)
        elif self.kind == "value":
            subject = self.metric
        else:
            subject = f"{self.kind} of {self.metric} {'with' if self.kind == 'correlation' else 'on'} {self.x}"
        about = f" [{' '.join(map(str, self.where.values()))}]" if self.where else ""
        low, high = self.bounds
        side = f"in {low:g} to {high:g}" if self.between else f"below {high:g}" if low == -np.inf else f"above {low:g}"
        return f"{subject}{about} {side}" + (f" by {self.margin:g}" if self.margin else "")


@dataclass(frozen=True)
class Claim:
    """A claim: its statement in own words, its place in the paper, criteria that must all hold, scales it needs."""

    __pydantic_config__ = ConfigDict(extra="forbid")
    id: str
    statement: str
    place: str
    criteria: tuple[Criterion, ...]
    scales: tuple[str, ...] = ()


@dataclass(frozen=True)
class Found:
    """Outcome of one criterion or claim; `effect` is None where nothing was measured, and `reason` says why."""

    verdict: str
    effect: Interval | None = None
    reason: str = ""


class _Absent(Exception):
    """A source, row or column that this run does not have."""


def read_claims(path: str | Path) -> list[Claim]:
    """The claims in a YAML file. Raises ConfigError that names the claim and the key for anything malformed."""
    path = Path(path)
    if not path.is_file():
        raise ConfigError(f"{path}: no such file; give the YAML of claims, config/claims.yaml")
    claims = []
    for number, entry in enumerate(yaml.safe_load(path.read_text(encoding="utf-8"))):
        where = f"{path}: claim {entry.get('id', number)}"
        try:
            criteria = tuple(parse(Criterion, one, "criterion") for one in entry["criteria"])
            values = entry | {"criteria": criteria, "scales": tuple(entry.get("scales", ()))}
            claims.append(parse(Claim, values, "claim"))
        except (ConfigError, KeyError, TypeError) as error:
            raise ConfigError(f"{where}: {error}") from error
        if not criteria:
            raise ConfigError(f"{where}: no criteria")
    names = [claim.id for claim in claims]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(f"{path}: claim {', '.join(twice)} is there twice")
    return claims


def judge(claim: Claim, results: str | Path, scale: str) -> Found:
    """The verdict on a claim from the tables under `results`, a folder with figures/ and tables/.

    Not run if one criterion can't be read; else contradicted if one is; else inconclusive if one is; else supported.
    The effect is that of the first criterion with the claim's verdict.
    """
    if claim.scales and scale not in claim.scales:
        return Found(NOT_RUN, reason=f"needs scale {' or '.join(claim.scales)}")
    outcomes = [_outcome(criterion, Path(results)) for criterion in claim.criteria]
    for verdict in (NOT_RUN, CONTRADICTED, INCONCLUSIVE, SUPPORTED):
        for outcome in outcomes:
            if outcome.verdict == verdict:
                return outcome
    raise ConfigError(f"claim {claim.id}: no criteria")


def verdict_table(claims: Sequence[Claim], results: str | Path, scale: str) -> pd.DataFrame:
    """One row a claim: id, statement, place, criterion, verdict, effect, low, high, reason."""
    rows = []
    for claim in claims:
        found = judge(claim, results, scale)
        effect = found.effect or Interval(np.nan, np.nan, np.nan)
        rows.append(
            {
                "id": claim.id, "statement": claim.statement, "place": claim.place,
                "criterion": "; ".join(criterion.words() for criterion in claim.criteria), "verdict": found.verdict,
                "effect": effect.value, "low": effect.low, "high": effect.high, "reason": found.reason,
            }
        )  # fmt: skip
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


def _outcome(criterion: Criterion, results: Path) -> Found:
    path = results / criterion.source
    if not path.is_file():
        return Found(NOT_RUN, reason=f"{criterion.source} was not made")
    table = pd.read_csv(path)
    try:
        if criterion.kind == "verdict":
            return _adopted(criterion, table)
        effect = _effect(criterion, table)
    except _Absent as absent:
        return Found(NOT_RUN, reason=f"{criterion.source}: {absent}")
    once = not np.isfinite([effect.low, effect.high]).all()
    return Found(
        decide(effect, criterion.bounds, criterion.margin), effect, "measured once: no interval" if once else ""
    )


def _adopted(criterion: Criterion, table: pd.DataFrame) -> Found:
    rows = _pick(table, {"claim": criterion.metric})
    verdict = rows.claim_verdict.iloc[0]
    deciding = rows[rows.verdict == verdict].iloc[0]
    return Found(verdict, Interval(deciding.value, deciding.low, deciding.high), deciding.metric)


def _effect(criterion: Criterion, table: pd.DataFrame) -> Interval:
    if criterion.kind == "better":
        first, second = criterion.rows
        rows = _pick(table, {"stage": criterion.stage, "first": first, "second": second, "group": criterion.group})
        return _single(rows, "difference", exact=False)
    rows = _pick(table, criterion.where)
    if criterion.kind in ("correlation", "slope"):
        return _relation(criterion, rows)
    if criterion.kind == "value":
        if criterion.over:
            return over_seeds(_replicates(rows, criterion.metric, criterion.over).to_numpy())
        return _single(rows, criterion.metric, criterion.exact)
    sides = [_pick(rows, criterion.of), _pick(rows, criterion.to)]
    metrics = [criterion.metric, criterion.to_metric or criterion.metric]
    if not criterion.over:
        one, other = (_single(side, metric, True).value for side, metric in zip(sides, metrics, strict=True))
        value = one / other if criterion.kind == "ratio" else one - other
        return Interval(value, value, value) if criterion.exact else Interval(value, np.nan, np.nan)
    first, second = (_replicates(side, metric, criterion.over) for side, metric in zip(sides, metrics, strict=True))
    both = first.index.intersection(second.index)
    if both.empty:
        raise _Absent(f"no {criterion.over} is on both sides")
    first, second = first[both].to_numpy(), second[both].to_numpy()
    if criterion.kind == "difference":
        return over_seeds(first - second)
    logs = over_seeds(np.log(first / second))
    return Interval(*(float(np.exp(value)) for value in (logs.value, logs.low, logs.high)))


def _pick(table: pd.DataFrame, where: Mapping[str, Any]) -> pd.DataFrame:
    for column, wanted in where.items():
        if column not in table:
            raise _Absent(f"no column {column}")
        values = table[column]
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
    values = _column(rows, metric).unique()
    if len(values) != 1:
        raise _Absent(f"{len(values)} different values of {metric} where the claim reads one")
    value = float(values[0])
    if exact:
        return Interval(value, value, value)
    row = rows.iloc[0]
    return Interval(value, float(row.get("low", np.nan)), float(row.get("high", np.nan)))


def _relation(criterion: Criterion, rows: pd.DataFrame) -> Interval:
    x, y = _column(rows, criterion.x), _column(rows, criterion.metric)
    if len(x) < 4:
        raise _Absent(f"{len(x)} rows; a {criterion.kind} with an interval takes 4")
    if criterion.kind == "correlation":
        found = stats.pearsonr(x, y)
        ends = found.confidence_interval(LEVEL)
        return Interval(float(found.statistic), float(ends.low), float(ends.high))
    line = stats.linregress(np.log(x), np.log(y))
    half = float(stats.t.ppf(0.5 + LEVEL / 2, len(x) - 2) * line.stderr)
    return Interval(float(line.slope), float(line.slope) - half, float(line.slope) + half)
