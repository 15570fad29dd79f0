"""Comparison of encoders by the results of `revision gap --json`."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from revision.gap.measure import BEFORE

RECALL = ("text_to_image_at_1", "image_to_text_at_1")
PARTS = ("beta", "gamma", "delta", "zeta")


def leaderboard(suites: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """Tabulate the suites of several encoders, smallest gap first.

    Parameters
    ----------
    suites : mapping of dict
        As returned by `Suite.to_dict`, by encoder.

    Returns
    -------
    pandas.DataFrame
        Tidy: encoder, set ("image", or the method), metric, value. Beside the metrics of the suite: recall (R@1, mean
        of both directions), gap_closed (fraction of the gap that a method removes) and retrieval_cost (recall that it
        loses). Values that need pairs, or a common space, are NaN
        if there are none.
    """
    rows = []
    gaps = {name: suite["methods"][BEFORE]["gap"] for name, suite in suites.items()}
    for encoder in sorted(suites, key=lambda name: (gaps[name] is None, gaps[name])):
        suite = suites[encoder]
        before = suite["methods"][BEFORE]
        names = sorted(suite["methods"], key=lambda name: name != BEFORE)
        methods = {name: _derived(suite["methods"][name], before, suite["paired"]) for name in names}
        sets = {"image": {"dimension": suite["dimension"]} | suite["image"]} | methods
        rows += [
            {"encoder": encoder, "set": name, "metric": metric, "value": value}
            for name, values in sets.items()
            for metric, value in values.items()
        ]
    return pd.DataFrame(rows, columns=["encoder", "set", "metric", "value"]).astype({"value": float})


def _derived(values: Mapping[str, Any], before: Mapping[str, Any], paired: bool) -> dict[str, Any]:
    """Metrics of a method with those derived from them; None if they need pairs or a common space."""
    paired = paired and values["gap"] is not None
    return dict(values) | {
        "recall": _recall(values) if paired else None,
        "gap_closed": None if before["gap"] is None else 1 - values["gap"] / before["gap"],
        "retrieval_cost": _recall(before) - _recall(values) if paired else None,
    }


def _recall(values: Mapping[str, Any]) -> float:
    return sum(values[direction] for direction in RECALL) / len(RECALL)
