"""Claims of the paper as data: a statement, its section, criteria on the result tables, and the verdict.

Criteria (`revision.stats.criteria`) are written before the run that decides them. A claim may require positive
controls, criteria that the same run must meet before the claim is decided, and may name the effect that the paper
prints. A badly posed claim is kept, and a second version is written beside it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator
from scipy import stats

from revision.errors import ConfigError
from revision.stats.criteria import (
    CONTRADICTED,
    INCONCLUSIVE,
    SUPPORTED,
    AbsentError,
    Better,
    Correlation,
    Difference,
    LargerGain,
    Ratio,
    Slope,
    Tables,
    Value,
    decide,
)
from revision.stats.intervals import Interval, quantile

SMALLER, NOT_TESTABLE, NOT_RUN = "smaller than published", "not testable here", "not run"
VERDICTS = (SUPPORTED, CONTRADICTED, SMALLER, INCONCLUSIVE, NOT_TESTABLE, NOT_RUN)
GEOMETRY, TRAINING, ARITHMETIC, BEYOND = "geometry", "training", "arithmetic", "beyond the paper"

AnyCriterion = Annotated[
    Better | LargerGain | Value | Difference | Ratio | Correlation | Slope, Field(discriminator="kind")
]


class Published(BaseModel):
    """A printed effect: the difference between the averages of two rows of one of the paper's tables, in points.

    Attributes
    ----------
    table : str
        Key of the table in config/published.yaml.
    rows : tuple of str
        Names of the two rows.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    table: str
    rows: tuple[str, str]

    def effect(self, published: Mapping[str, Any], group: str = "all") -> float:
        """Return the first row's average minus the second's, over all benchmarks or those of a group.

        Parameters
        ----------
        published : mapping
            The contents of config/published.yaml.
        group : str
            Group of benchmarks; "all" for the printed averages.

        Raises
        ------
        ConfigError
            If a table, row or group is not there.
        """
        try:
            first, second = (published["tables"][self.table]["rows"][row] for row in self.rows)
            if group == "all":
                return float(first["avg"] - second["avg"])
            columns = [published["benchmarks"].index(name) for name in published["benchmark_groups"][group]]
        except KeyError as error:
            raise ConfigError(
                f"published effect {self.table}, {' minus '.join(self.rows)}, {group}: no {error} in the published"
                " numbers; give a table, rows and group of config/published.yaml"
            ) from error
        return float(np.mean([first["scores"][column] - second["scores"][column] for column in columns]))


class Claim(BaseModel):
    """A claim of the paper.

    Attributes
    ----------
    id : str
        Unique name.
    statement : str
        The claim in our words.
    place : str
        Section, figure or table of the paper, or "beyond the paper".
    criteria : tuple of Criterion
        Conditions that must all hold.
    scales : tuple of str
        Scales at which the claim can be judged; empty for all.
    requires : tuple of Criterion
        Positive controls that must hold in the same run for the claim to be decided.
    published : Published, optional
        The printed effect that a claim of kind `better` is compared with.
    second_version_of, reason : str
        Id of the badly posed claim that this one is written beside, and what was wrong with it.
    exploratory : tuple of str
        Scales whose committed run was seen before the claim was written, so that only a new run decides it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    statement: str
    place: str
    criteria: Annotated[tuple[AnyCriterion, ...], Field(min_length=1)]
    scales: tuple[str, ...] = ()
    requires: tuple[AnyCriterion, ...] = ()
    published: Published | None = None
    second_version_of: str = ""
    reason: str = ""
    exploratory: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _check(self) -> "Claim":
        if bool(self.second_version_of) != bool(self.reason):
            raise ValueError("a second version takes second_version_of, the id of the first, and a reason")
        if self.published and not (len(self.criteria) == 1 and isinstance(self.criteria[0], Better)):
            raise ValueError("a published effect takes one criterion of kind better")
        return self

    @property
    def family(self) -> str:
        """What the claim is about: geometry (with dynamics and costs of the operator), training or arithmetic.

        Questions that the paper does not ask are a family of their own, `place` "beyond the paper".
        """
        if self.place == BEYOND:
            return BEYOND
        source = self.criteria[0].source
        if source == "figures/costs.csv":
            return ARITHMETIC
        return TRAINING if source.startswith(("tables/", "figures/dose")) else GEOMETRY

    def published_effect(self, published: Mapping[str, Any]) -> float:
        """Return the effect that the paper prints, from the contents of config/published.yaml; NaN for none."""
        if self.published is None:
            return np.nan
        return self.published.effect(published, getattr(self.criteria[0], "group", "all"))


@dataclass(frozen=True)
class Outcome:
    """Verdict on a criterion or claim; `effect` is None if nothing was measured, for the given `reason`.

    `criterion` is the one whose effect and verdict these are.
    """

    verdict: str
    criterion: AnyCriterion
    effect: Interval | None = None
    reason: str = ""


def read_claims(path: str | Path) -> list[Claim]:
    """Read the claims in a YAML file.

    Parameters
    ----------
    path : path
        A list of claims, as in config/claims.yaml.

    Returns
    -------
    list of Claim
        In the order of the file.

    Raises
    ------
    ConfigError
        If the file is missing, a claim is malformed (the message has its id and key), or an id occurs twice.
    """
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
    ids = [claim.id for claim in claims]
    for claim in claims:
        if claim.second_version_of and claim.second_version_of not in ids:
            raise ConfigError(f"{path}: claim {claim.id}: second_version_of: no claim {claim.second_version_of}")
    repeated = sorted({id_ for id_ in ids if ids.count(id_) > 1})
    if repeated:
        raise ConfigError(f"{path}: more than one claim has the id {', '.join(repeated)}; ids must be unique")
    return claims


def judge(claim: Claim, tables: Tables, scale: str) -> Outcome:
    """Judge a claim on the result tables of a run by its own criteria, whether or not its positive controls hold.

    The verdict is "not run" if a criterion cannot be evaluated, else "contradicted" if one is contradicted, else
    "inconclusive" if one is inconclusive, else "supported".

    Parameters
    ----------
    claim : Claim
        The claim.
    tables : Tables
        Result tables of the run.
    scale : str
        Scale of the run.

    Returns
    -------
    Outcome
        With the effect of the first criterion that has the verdict of the claim.
    """
    if claim.scales and scale not in claim.scales:
        return Outcome(NOT_RUN, claim.criteria[0], reason=f"needs scale {' or '.join(claim.scales)}")
    outcomes = [_outcome(criterion, tables) for criterion in claim.criteria]
    order = (NOT_RUN, CONTRADICTED, INCONCLUSIVE, SUPPORTED)
    return min(outcomes, key=lambda outcome: order.index(outcome.verdict))


def judge_with_controls(
    claim: Claim,
    outcome: Outcome,
    tables: Tables,
    published: float = np.nan,
    name_of: Callable[[str], str] = str,
) -> Outcome:
    """Revise the verdict on a claim by its positive controls and the published effect.

    Parameters
    ----------
    claim : Claim
        The claim.
    outcome : Outcome
        As returned by `judge`.
    tables : Tables
        Result tables of the run.
    published : float
        Positive effect that the paper prints; NaN for none.
    name_of : callable
        Maps the key of a variant to its name.

    Returns
    -------
    Outcome
        "not testable here" if a positive control is not supported, with the control's effect as the reason; else
        "smaller than published" if the claim is contradicted or inconclusive and the interval is below the published
        effect; else `outcome`. A claim that was not run stays so.
    """
    if outcome.verdict == NOT_RUN:
        return outcome
    smaller = (
        outcome.verdict != SUPPORTED
        and outcome.effect is not None
        and outcome.effect.high < published
        and published > 0
    )
    note = f"the interval is below the published effect, {published:+.2f}" if smaller else ""
    for control in claim.requires:
        held = _outcome(control, tables)
        if held.verdict != SUPPORTED:
            measured = _written(held.effect) if held.effect else held.reason
            reason = f"positive control not met: {control.describe(name_of)}; measured: {measured}"
            return replace(outcome, verdict=NOT_TESTABLE, reason=f"{reason}; {note}" if note else reason)
    return replace(outcome, verdict=SMALLER, reason=f"{note}, in this test bed") if smaller else outcome


def p_value(claim: Claim, outcome: Outcome) -> float:
    """Two-sided p-value of the effect against the nearest bound, below 0.05 where the 95% interval excludes the bound.

    Parameters
    ----------
    claim : Claim
        The claim.
    outcome : Outcome
        As returned by `judge`.

    Returns
    -------
    float
        From the t statistic and degrees of freedom of the interval; NaN unless the only criterion compares accuracies.
    """
    criterion, effect = claim.criteria[0], outcome.effect
    if effect is None or len(claim.criteria) > 1 or not isinstance(criterion, Better | LargerGain):
        return np.nan
    bound = min(criterion.bounds, key=lambda side: abs(effect.value - side))
    half = effect.value - effect.low if bound < effect.value else effect.high - effect.value
    distance = abs(effect.value - bound)
    if half == 0:
        return 0.0 if distance else 1.0
    return float(2 * stats.t.sf(quantile(effect.degrees_of_freedom) * distance / half, effect.degrees_of_freedom))


def verdict_table(
    claims: Sequence[Claim],
    sources: Sequence[str | Path],
    scale: str,
    name_of: Callable[[str], str] = str,
    published: Mapping[str, Any] | None = None,
) -> pd.DataFrame:
    """Judge every claim on the result tables of a run.

    Parameters
    ----------
    claims : sequence of Claim
        As returned by `read_claims`.
    sources : sequence of path
        CSV files of the run, in folders figures and tables. No other table is read, so that a stale one in the same
        folder cannot enter a verdict.
    scale : str
        Scale of the run; claims that need another scale are not judged.
    name_of : callable
        Maps the key of a variant to the name that criteria display.
    published : mapping, optional
        The contents of config/published.yaml; without it no effect is compared with the paper's.

    Returns
    -------
    pandas.DataFrame
        One row per claim: id, statement, place, family, criterion (all of them), quantity, bounds and source (of the
        criterion that gave effect and verdict), verdict, effect, low, high, reason, verdict_without_control (by the
        claim's criteria alone), control (what it requires), published, p, second_version_of, replaced_because,
        exploratory.
    """
    rows, tables = [], Tables(sources)
    for claim in claims:
        alone = judge(claim, tables, scale)
        printed = claim.published_effect(published) if published else np.nan
        outcome = judge_with_controls(claim, alone, tables, printed, name_of)
        effect = outcome.effect or Interval(np.nan, np.nan, np.nan)
        rows.append(
            {
                "id": claim.id,
                "statement": claim.statement,
                "place": claim.place,
                "family": claim.family,
                "criterion": "; ".join(criterion.describe(name_of) for criterion in claim.criteria),
                "quantity": outcome.criterion.subject(name_of),
                "bounds": outcome.criterion.within,
                "source": outcome.criterion.source,
                "verdict": outcome.verdict,
                "effect": effect.value,
                "low": effect.low,
                "high": effect.high,
                "reason": outcome.reason,
                "verdict_without_control": alone.verdict,
                "control": "; ".join(control.describe(name_of) for control in claim.requires),
                "published": printed,
                "p": p_value(claim, alone),
                "second_version_of": claim.second_version_of,
                "replaced_because": claim.reason,
                "exploratory": scale in claim.exploratory,
            }
        )
    return pd.DataFrame(rows)


def _written(effect: Interval) -> str:
    ends = f" [{effect.low:.3g}, {effect.high:.3g}]" if effect.low < effect.high else ""
    return f"{effect.value:.3g}{ends}"


def _outcome(criterion: AnyCriterion, tables: Tables) -> Outcome:
    try:
        effect = criterion.effect(tables)
    except AbsentError as absent:
        return Outcome(NOT_RUN, criterion, reason=str(absent))
    measured_once = not np.isfinite([effect.low, effect.high]).all()
    verdict = decide(effect, criterion.bounds, criterion.margin)
    return Outcome(verdict, criterion, effect, "measured once: no interval" if measured_once else "")
