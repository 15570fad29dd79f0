"""Audit of the published numbers: table averages and costs recomputed from their published parts (appendices G, H.4).

A number is only called a slip if rounding cannot explain it. Tolerance: each printed figure may be one unit of its
last digit away from the true one. Half a unit would be plain rounding; but the ReVision-2M cost row is twice the
printed 1M row, which doubles that (0.10 USD, where half units explain 0.06), and truncation reaches one unit as well.
Nothing is mended; the published value stays.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from revision.errors import ConfigError, DataError

UNIT = 0.01  # last printed digit of scores, USD, millions of tokens and relative costs alike
ROUNDING = 1e-9


@dataclass(frozen=True)
class Check:
    """One published number against the same number recomputed; `tolerance` is what rounding can explain."""

    place: str
    published: float
    recomputed: float
    tolerance: float

    @property
    def holds(self) -> bool:
        """Whether rounding explains the difference."""
        return abs(self.published - self.recomputed) <= self.tolerance + ROUNDING


@dataclass(frozen=True)
class Slip:
    """A check that fails, and what follows from it."""

    check: Check
    consequence: str


@dataclass(frozen=True)
class Disagreement:
    """A number that the paper prints twice, differently; neither can be recomputed from published parts."""

    place: str
    values: dict[str, float]


@dataclass(frozen=True)
class Audit:
    """All checks made, the slips among them, and the numbers printed in two versions."""

    checks: list[Check]
    slips: list[Slip]
    disagreements: list[Disagreement]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "checks": [asdict(check) | {"holds": check.holds} for check in self.checks],
            "slips": [asdict(slip) for slip in self.slips],
            "disagreements": [asdict(one) for one in self.disagreements],
            "last_digit": UNIT,
        }


def read_published(path: str | Path) -> dict[str, Any]:
    """The published numbers; ConfigError if the file is absent or is no mapping."""
    path = Path(path)
    if not path.is_file():
        raise ConfigError(f"{path}: no such file; give the YAML of published numbers, config/published.yaml")
    try:
        published = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not readable as YAML: {error}") from error
    if not isinstance(published, dict):
        raise ConfigError(f"{path}: expected a mapping at the top")
    return published


def cost_usd(input_millions: float, output_millions: float, price: dict[str, float]) -> float:
    """USD for tokens in millions at a price per million of input and of output tokens (appendix H.4)."""
    return input_millions * price["input_per_million"] + output_millions * price["output_per_million"]


def _average_checks(tables: dict[str, Any], benchmarks: list[str]) -> list[Check]:
    checks = []
    for table, content in tables.items():
        for row, values in content["rows"].items():
            scores = values["scores"]
            if len(scores) != len(benchmarks):
                raise DataError(f"{table}, {row}: {len(scores)} scores for {len(benchmarks)} benchmarks")
            mean = sum(scores) / len(scores)
            checks.append(Check(f"{table}, {row}, average", values["avg"], mean, 2 * UNIT))
    return checks


def _cost_checks(costs: dict[str, Any]) -> list[Check]:
    price = costs["price"]
    error = UNIT * sum(price.values()) + UNIT
    return [
        Check(f"appendix H.4, {row}, USD", v["published_usd"], cost_usd(v["input"], v["output"], price), error)
        for row, v in costs["rows"].items()
    ]


def _share_checks(rows: dict[str, Any], usd: dict[str, float], base: float) -> list[Check]:
    """Relative costs of table 2 against `usd` over `base`, the published USD of the paired data."""
    return [
        Check(
            f"table2, {row}, relative cost",
            values["cost"],
            usd[row] / base,
            UNIT + UNIT * (1 + usd[row] / base) / base,
        )
        for row, values in rows.items()
        if "cost" in values
    ]


def audit(published: dict[str, Any]) -> Audit:
    """Recompute every table average, every cost in USD and every relative cost.

    Relative costs are checked against the *published* USD, so that one slip in USD is counted once; what it does to
    the relative costs is told as its consequence. ConfigError names a missing key.
    """
    try:
        rows, costs = published["tables"]["table2"]["rows"], published["costs"]
        usd = {row: values["published_usd"] for row, values in costs["rows"].items()}
        base_row = next(row for row, values in rows.items() if not values["text_only"])
        checks = _average_checks(published["tables"], published["benchmarks"])
        cost_checks = _cost_checks(costs)
        checks += cost_checks + _share_checks(rows, usd, usd[base_row])
        fig4b = published["figures"]["fig4b"]
    except (KeyError, TypeError, StopIteration) as error:
        raise ConfigError(f"published numbers: key {error} is missing or misplaced") from error
    consequences = {}
    for row, check in zip(usd, cost_checks, strict=True):
        if row == base_row and not check.holds:
            new = ", ".join(
                f"{name} {usd[name] / check.recomputed:.2f} for {values['cost']:.2f}"
                for name, values in rows.items()
                if name != base_row
            )
            consequences[check.place] = f"relative costs of table 2 with the recomputed base: {new}"
    slips = [Slip(check, consequences.get(check.place, "")) for check in checks if not check.holds]
    twice = [
        Disagreement(f"figure 4b, {method}", values)
        for method, values in fig4b.items()
        if isinstance(values, dict) and len(set(values.values())) > 1
    ]
    return Audit(checks, slips, twice)
