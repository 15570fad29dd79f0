"""Comparison of encoders by the results of `revision gap --json`."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from revision.errors import DataError
from revision.gap.measure import BEFORE
from revision.gap.metrics import Metric
from revision.gap.tables import Row, Table, number

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
        loses). Values that need pairs, or a common space, are NaN if there are none, and so are those of a method that
        an encoder lacks and another has.
    """
    rows = []
    gaps = {name: suite["methods"][BEFORE]["gap"] for name, suite in suites.items()}
    every = sorted(
        {name for suite in suites.values() for name in suite["methods"]}, key=lambda name: (name != BEFORE, name)
    )
    for encoder in sorted(suites, key=lambda name: (gaps[name] is None, gaps[name])):
        suite = suites[encoder]
        before = suite["methods"][BEFORE]
        empty = dict.fromkeys(before)
        methods = {name: _derived(suite["methods"].get(name, empty), before, suite["paired"]) for name in every}
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
        "gap_closed": None if values["gap"] is None else 1 - values["gap"] / before["gap"],
        "retrieval_cost": _recall(before) - _recall(values) if paired else None,
    }


def _recall(values: Mapping[str, Any]) -> float:
    return sum(values[direction] for direction in RECALL) / len(RECALL)


def read_results(paths: Sequence[Path]) -> dict[str, Any]:
    """Read JSON files, by their names without suffixes; raise DataError for a file that is not JSON."""
    results = {}
    for path in paths:
        try:
            results[path.name.partition(".")[0]] = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise DataError(f"{path}: not readable as JSON ({error}); write it with `revision gap --json`") from error
    return results


def board(suites: Mapping[str, Mapping[str, Any]]) -> Table:
    """Return the leaderboard: one row per encoder, the smallest gap first.

    Parameters
    ----------
    suites : mapping of dict
        As returned by `Suite.to_dict`, by encoder.

    Returns
    -------
    Table
        Dimension and rows, the geometry before alignment, and gap and recall after ReAlign, or after the aligner with
        the smallest mean gap. Values that no encoder has are left out.
    """
    values = leaderboard(suites).set_index(["encoder", "set", "metric"]).value
    gaps = values[values.index.get_level_values("metric") == "gap"].groupby("set").mean().drop(BEFORE)
    best = "realign" if "realign" in gaps.index else gaps.idxmin() if len(gaps) else None
    columns = {
        (BEFORE, "gap"): "gap",
        (BEFORE, "gap_floor"): "floor",
        (BEFORE, "beta"): "|beta|",
        (BEFORE, "gamma"): "|gamma|",
        (BEFORE, "mixing_rate"): "mixing rate",
        (BEFORE, "recall"): "R@1",
        ("image", "alpha"): "exponent, images",
        (BEFORE, "alpha"): "exponent, texts",
        (BEFORE, "cka"): "CKA",
    }
    if best is not None:
        after = {"gap": "gap", "gap_floor": "floor", "mixing_rate": "mixing rate", "recall": "R@1"}
        columns |= {(best, name): f"{label} after {best}" for name, label in after.items()}
    order = list(dict.fromkeys(values.index.get_level_values("encoder")))
    cells = {key: [float(values.get((encoder, *key), math.nan)) for encoder in order] for key in columns}
    shown = {key: column for key, column in cells.items() if not all(map(math.isnan, column))}
    rows = []
    for index, encoder in enumerate(order):
        facts = [str(suites[encoder]["dimension"]), str(suites[encoder]["counts"]["text_measured"])]
        rows.append(
            Row(
                encoder,
                facts + [number(column[index]) for column in shown.values()],
                [False, False, *(_is_best(key, column, index) for key, column in shown.items())],
            )
        )
    labels = ["dim", "texts", *(columns[key] for key in shown)]
    title = f"{len(order)} encoders, the smallest centroid gap first; R@1 is the mean of both directions"
    return Table(title, [Metric(label, "", "") for label in labels], rows, "encoder")


def _is_best(key: tuple[str, str], column: Sequence[float], index: int) -> bool:
    """Whether a cell has the smallest gap after alignment or the highest recall of its column."""
    known = [value for value in column if not math.isnan(value)]
    if key == (BEFORE, "gap") or key[1] not in ("gap", "recall") or len(known) < 2:
        return False
    return column[index] == (min(known) if key[1] == "gap" else max(known))


def warnings_of(
    suites: Mapping[str, Mapping[str, Any]], checks: Mapping[str, Sequence[Mapping[str, Any]]]
) -> list[str]:
    """Return the warnings of the suites and of the checks of encoders, each with its encoder's name."""
    warnings = [f"{name}: {warning}" for name, suite in suites.items() for warning in suite.get("warnings", [])]
    return warnings + [
        f"{name}: {check['name']}: {check['detail']}"
        for name, results in checks.items()
        for check in results
        if not check["passed"]
    ]
