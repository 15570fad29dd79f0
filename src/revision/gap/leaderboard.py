"""Encoders side by side, from what `revision gap --json` says of each: gap, parts, spectra, mixing, costs."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from revision.gap.measure import BEFORE

RECALL = ("text_to_image_at_1", "image_to_text_at_1")
PARTS = ("beta", "gamma", "delta", "zeta")


def leaderboard(suites: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """Tidy table of suites by encoder, smallest gap first: encoder, set ("image", or the method), metric, value.

    Beside the suite's metrics: `recall` is R@1, mean of both ways; `gap_closed` the share of the gap that a method
    takes away; `retrieval_cost` the recall that it loses. What needs pairs is missing where there are none.
    """
    rows = []
    gaps = {name: suite["methods"][BEFORE]["gap"] for name, suite in suites.items()}
    for encoder in sorted(suites, key=lambda name: (gaps[name] is None, gaps[name])):
        suite = suites[encoder]
        methods = {
            name: dict(suite["methods"][name]) for name in sorted(suite["methods"], key=lambda name: name != BEFORE)
        }
        for values in methods.values():
            values["recall"] = _mean([values[way] for way in RECALL])
        before = methods[BEFORE]
        for values in methods.values():
            paired = values["recall"] is not None
            values["gap_closed"] = None if before["gap"] is None else 1 - values["gap"] / before["gap"]
            values["retrieval_cost"] = before["recall"] - values["recall"] if paired else None
        sets = {"image": {"dimension": suite["dimension"]} | suite["image"]} | methods
        rows += [
            {"encoder": encoder, "set": name, "metric": metric, "value": value}
            for name, values in sets.items()
            for metric, value in values.items()
        ]
    return pd.DataFrame(rows, columns=["encoder", "set", "metric", "value"]).astype({"value": float})


def _mean(values: list[float | None]) -> float | None:
    found = [value for value in values if value is not None]
    return sum(found) / len(found) if found else None
