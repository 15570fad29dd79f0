"""The published numbers (config/published.yaml), and which of them do not follow from their own published parts."""

from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from revision.errors import ConfigError, DataError

UNIT = 0.01  # last printed digit of scores, USD, millions of tokens and relative costs alike
FLOAT_ERROR = 1e-9


def read_published(path: str | Path) -> dict[str, Any]:
    """Read the published numbers; raises ConfigError if the file cannot be read or is not a mapping."""
    try:
        published = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: not readable as YAML ({error}); give config/published.yaml") from error
    if not isinstance(published, dict):
        raise ConfigError(f"{path}: expected a mapping at the top, as in config/published.yaml")
    return published


def cost_usd(input_millions: float, output_millions: float, price: dict[str, float]) -> float:
    """USD for millions of input and output tokens at a price per million of each (appendix H.4)."""
    return input_millions * price["input_per_million"] + output_millions * price["output_per_million"]


def audit(published: dict[str, Any]) -> pd.DataFrame:
    """Recompute table averages from scores, USD from tokens and prices, relative costs from published USD.

    Nothing is corrected. Relative costs rest on the published USD, so that one wrong cost is counted once.

    Parameters
    ----------
    published : dict
        The contents of config/published.yaml.

    Returns
    -------
    pandas.DataFrame
        A row a number: what, published, recomputed, difference (recomputed less published) and holds: whether rounding
        explains the difference, where each printed figure may be one unit of its last digit off. Half a unit would be
        plain rounding, but ReVision-2M's cost is twice the printed 1M row, and truncation reaches one unit as well.

    Raises
    ------
    DataError
        If a row has more or fewer scores than there are benchmarks.
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
