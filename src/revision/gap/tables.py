"""Tables of a `Suite`: one row per method, the smallest gap first."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from revision.align import ALIGNERS
from revision.gap.measure import BEFORE, equal_mixing
from revision.gap.metrics import METRICS, Metric
from revision.gap.suite import Suite
from revision.gap.tasks import TASK_METRICS

ALL_METRICS = METRICS | TASK_METRICS
GROUPS = {
    "gap": "Distance of texts and images",
    "spread": "Spread of each set",
    "neighbours": "Neighbours",
    "retrieval": "Retrieval of pairs",
    "tasks": "Tasks",
    "pairs": "Differences of pairs",
    "frame": "Differences of pairs in the frame of section 3",
}
SUMMARY = (
    "gap",
    "gap_floor",
    "mixing_rate",
    "neighbour_overlap",
    "text_to_image_at_1",
    "image_to_text_at_1",
    "text_to_image_captions_at_1",
    "image_to_text_captions_at_1",
    "zero_shot_at_1",
)
WITHOUT_GAP = ("mutual_knn", "cka", "angular_divergence", "effective_rank", "uniformity")
LEAST_IS_BEST, CHANCE_IS_BEST = ("gap",), ("mixing_rate",)
AT_FLOOR = 1.2  # about the 95% quantile of a gap over its floor for an effective dimension of 40
BEST = (
    "Marked: the best of the aligners that need no pairs; of the gaps, all that are at most 20% above their floor, as "
    "these cannot be told from zero."
)


@dataclass(frozen=True)
class Row:
    """A row of a table: its label, its formatted cells, and which of them are marked."""

    label: str
    cells: list[str]
    best: list[bool]


@dataclass(frozen=True)
class Table:
    """A table of some metrics, with one row per method."""

    title: str
    metrics: list[Metric]
    rows: list[Row]
    first: str = "aligner"


def number(value: float | None) -> str:
    """Format a value with three significant digits; None, for a metric that cannot be computed, is empty."""
    if value is None or math.isnan(value):
        return ""
    if value == 0 or not 1e-4 <= abs(value) < 1e6:
        return f"{value:.3g}"
    return f"{value:.{max(0, 2 - math.floor(math.log10(abs(value))))}f}"


def label(method: str) -> str:
    """Return the displayed name of a method."""
    if method == BEFORE:
        return "before"
    return f"{method} (pairs)" if method in ALIGNERS and ALIGNERS[method].paired else method


def order(suite: Suite) -> list[str]:
    """Return the methods: before alignment, then the aligners, the smallest gap first."""
    return sorted(suite.methods, key=lambda name: (name != BEFORE, suite.methods[name]["gap"] or 0.0))


def summary(suite: Suite) -> Table:
    """Return the table of what one asks first: gap, floor, mixing and recall."""
    names = SUMMARY if suite.methods[BEFORE]["gap"] is not None else WITHOUT_GAP
    return _table(suite, "", [name for name in names if name in suite.methods[BEFORE]])


def tables(suite: Suite) -> list[Table]:
    """Return all measured metrics in tables by topic, each narrow enough for a page.

    Parameters
    ----------
    suite : Suite
        Results.

    Returns
    -------
    list of Table
        Without columns of metrics that were not measured.
    """
    measured = {name: metric for name, metric in ALL_METRICS.items() if name in suite.methods[BEFORE]}
    groups = {
        title: [name for name, metric in measured.items() if metric.group == group] for group, title in GROUPS.items()
    }
    made = [_table(suite, title, names) for title, names in groups.items()]
    return [table for table in made if table.metrics]


def _table(suite: Suite, title: str, names: Sequence[str]) -> Table:
    methods = order(suite)
    names = [name for name in names if any(suite.methods[method][name] is not None for method in methods)]
    marked = {name: _best(suite, name) for name in names}
    rows = []
    if set(names) & set(suite.image):
        rows.append(_row("images", suite.image, names))
    for method in methods:
        best = [method in marked[name] for name in names]
        rows.append(Row(label(method), [number(suite.methods[method][name]) for name in names], best))
    chance = _chance(suite)
    if set(names) & set(chance):
        rows.append(_row("chance", chance, names))
    return Table(title, [ALL_METRICS[name] for name in names], rows)


def _row(name: str, values: Mapping[str, float | None], names: Sequence[str]) -> Row:
    return Row(name, [number(values.get(metric)) for metric in names], [False] * len(names))


def _chance(suite: Suite) -> dict[str, float | None]:
    """What random pairs, or two sets from one distribution, give."""
    images, texts = len(suite.images.sample), len(suite.sides[BEFORE].sample)
    by_rank: dict[str, float | None] = {
        f"{direction}_at_{k}": k / texts for direction in ("text_to_image", "image_to_text") for k in (1, 5, 10)
    }
    alike = {"mixing_rate": equal_mixing(images, texts), "separability": 0.5}
    return by_rank | alike | {"mutual_knn": suite.settings.overlap_k / (texts - 1), "cka": 0.0}


def _best(suite: Suite, name: str) -> set[str]:
    """Names of the best aligners by a metric of the summary, of those that need no pairs, if there are several."""
    values = {
        method: results[name]
        for method, results in suite.methods.items()
        if method != BEFORE and not ALIGNERS[method].paired
    }
    known = {method: value for method, value in values.items() if value is not None}
    if name not in (*SUMMARY, *WITHOUT_GAP[:2]) or name == "gap_floor" or len(known) < 2:
        return set()
    chance = _chance(suite).get(name)
    if name in LEAST_IS_BEST:
        cost = known
    elif name in CHANCE_IS_BEST and chance is not None:
        cost = {method: abs(value - chance) for method, value in known.items()}
    else:
        cost = {method: -value for method, value in known.items()}
    best = {method for method in cost if cost[method] == min(cost.values())}
    if name != "gap":
        return best
    floors = {method: suite.methods[method]["gap_floor"] or 0.0 for method in cost}
    return best | {method for method in cost if cost[method] <= AT_FLOOR * floors[method]}
