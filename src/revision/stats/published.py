"""The published numbers (config/published.yaml), and which of them do not follow from their own published parts."""

from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from revision.errors import ConfigError, DataError

UNIT = 0.01  # last printed digit of scores, USD, millions of tokens and relative costs alike
FLOAT_ERROR = 1e-9


def read_published(path: str | Path) -> dict[str, Any]:
    """Read the published numbers; raise ConfigError if the file cannot be read or is not a mapping."""
    try:
        published = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: not readable as YAML ({error}); give config/published.yaml") from error
    if not isinstance(published, dict):
        raise ConfigError(f"{path}: expected a mapping at the top, as in config/published.yaml")
    return published


def cost_usd(input_millions: float, output_millions: float, price: dict[str, float]) -> float:
    """Cost of generating captions (appendix H.4).

    Parameters
    ----------
    input_millions, output_millions : float
        Millions of input and output tokens.
    price : dict
        USD per million tokens, with the keys `input_per_million` and `output_per_million`.

    Returns
    -------
    float
        USD.
    """
    return input_millions * price["input_per_million"] + output_millions * price["output_per_million"]


def audit(published: dict[str, Any]) -> pd.DataFrame:
    """Recompute table averages from scores, USD from tokens and prices, and relative costs from published USD.

    Nothing is corrected. Relative costs are computed from the published USD, so that an error in a cost is counted
    once.

    Parameters
    ----------
    published : dict
        The contents of config/published.yaml.

    Returns
    -------
    pandas.DataFrame
        One row per published number: what, published, recomputed, difference (recomputed minus published) and holds:
        whether rounding explains the difference if each printed value may be off by one unit of its last digit. Plain
        rounding is off by half a unit, but ReVision-2M's cost is twice the printed 1M row, and truncation is off by up
        to one unit.

    Raises
    ------
    DataError
        If a row does not have one score per benchmark.
    """
    tables, price, costs = published["tables"], published["costs"]["price"], published["costs"]["rows"]
    checks, benchmarks = [], len(published["benchmarks"])
    for table, content in tables.items():
        for row, values in content["rows"].items():
            if len(values["scores"]) != benchmarks:
                raise DataError(f"{table}, {row}: {len(values['scores'])} scores for {benchmarks} benchmarks")
            checks.append((f"{table}, {row}, average", values["avg"], sum(values["scores"]) / benchmarks, 2 * UNIT))
    for row, values in costs.items():
        usd = cost_usd(values["input"], values["output"], price)
        checks.append((f"appendix H.4, {row}, USD", values["published_usd"], usd, UNIT * (1 + sum(price.values()))))
    compared = tables["table2"]["rows"]
    base = next(costs[row]["published_usd"] for row, values in compared.items() if not values["text_only"])
    for row, values in compared.items():
        relative = costs[row]["published_usd"] / base
        checks.append((f"table2, {row}, relative cost", values["cost"], relative, UNIT * (1 + (1 + relative) / base)))
    table = pd.DataFrame(checks, columns=["what", "published", "recomputed", "rounding"])
    table["difference"] = table.recomputed - table.published
    table["holds"] = table.difference.abs() <= table.pop("rounding") + FLOAT_ERROR
    return table
