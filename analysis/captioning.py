"""Zero-shot captioning of held-out images: metrics of every replicate, and a figure of Stage 1 with floors and ceiling.

Reads the scored captions of every replicate (`revision evaluate --captions`).
"""

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from figure_inputs import arguments
from matplotlib.ticker import MaxNLocator
from style import PAGE, colour_of, describe, key, method_rows, name_of, run, save, save_table

from revision.evaluation.captioning import CIDER, METRICS, VISUAL
from revision.stats.intervals import over_trainings

REPLICATE = ["method", "stage", "condition", "encoder", "seed"]
DRAWN = {"object_f1": "F1 of objects", "pair_f1": "F1 of colour and shape", CIDER: "CIDEr-D"}
OWN, *FLOORS = VISUAL
FLOOR_NAMES = {"other": "another image", "mean": "mean image", "none": "no visual token"}
MARKERS = {"other": "x", "mean": "+", "none": "|"}


def measure(captions: pd.DataFrame) -> pd.DataFrame:
    """One row per value: REPLICATE, metric, value, a mean over images without those where the metric is undefined.

    Metrics that no image has are left out: the content of photographs is not known.
    """
    captions = captions.assign(
        stage=captions.method.str.split("/").str[0],
        method=captions.method.str.split("/").str[1],
        without_object=captions.object_precision.isna().astype(float),
    )
    names = [name for name in (*METRICS, CIDER) if captions[name].notna().any()]
    names += ["without_object"] if "object_f1" in names else []
    means = captions.groupby(REPLICATE, sort=False)[names].mean()
    return means.reset_index().melt(REPLICATE, var_name="metric")


def summarise(table: pd.DataFrame, stage: str) -> pd.DataFrame:
    """The drawn metrics of a stage: method, condition, metric, value (mean over replicates), low, high."""
    part = table[(table.stage == stage) & table.metric.isin(DRAWN)].set_index(["encoder", "seed"])
    keys = ["method", "condition", "metric"]
    cells = part.groupby(keys, sort=False).value
    return pd.DataFrame([dict(zip(keys, key, strict=True)) | over_trainings(cell).ends() for key, cell in cells])


def draw(summary: pd.DataFrame, paired: str, path: Path) -> None:
    """Draw one panel per metric and one row per method: captions as a dot with interval, floors as grey marks."""
    methods = list(dict.fromkeys(summary.method))
    drawn = {metric: label for metric, label in DRAWN.items() if metric in set(summary.metric)}
    size = PAGE, 0.9 + 0.27 * len(methods)
    figure, (panels,) = plt.subplots(1, len(drawn), figsize=size, sharey=True, squeeze=False)
    floors = {name: {"marker": mark, "color": "#555555", "linestyle": "none"} for name, mark in MARKERS.items()}
    ceiling = {"color": colour_of(paired), "linestyle": ":", "linewidth": 1}
    for panel, (metric, label) in zip(panels, drawn.items(), strict=True):
        method_rows(panel, methods)
        values = summary[summary.metric == metric].set_index(["condition", "method"])
        for y, method in enumerate(methods):
            own = values.loc[OWN, method]
            errors = [own.value - own.low], [own.high - own.value]
            panel.errorbar(own.value, y - 0.15, xerr=errors, fmt="o", color=colour_of(method))
        for floor, style in floors.items():
            panel.plot(values.loc[floor].value.reindex(methods), np.arange(len(methods)) + 0.22, **style, zorder=3)
        if paired in methods:
            panel.axvline(values.loc[OWN, paired].value, **ceiling)
        panel.set_xlabel(label)
        panel.set_xlim(left=0)
        panel.xaxis.set_major_locator(MaxNLocator(3))
    handles = [
        key(label="own image, 95% interval"),
        *(plt.Line2D([], [], **style, label=FLOOR_NAMES[floor]) for floor, style in floors.items()),
        plt.Line2D([], [], **ceiling, label=name_of(paired)),
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=5)
    save(figure, path)


def leading(table: pd.DataFrame) -> str:
    """The first metric of DRAWN that the table has."""
    return next(metric for metric in DRAWN if metric in set(table.metric))


def above_floors(table: pd.DataFrame, stage: str) -> list[dict[str, Any]]:
    """The first drawn metric by method, its difference from the highest floor, and whether it is above all floors.

    It is above a floor if the interval of the difference, paired by replicate, is above 0.
    """
    rows = []
    for method, part in table[(table.stage == stage) & (table.metric == leading(table))].groupby("method", sort=False):
        objects = part.pivot(index=["encoder", "seed"], columns="condition", values="value")
        if OWN not in objects:
            continue  # a text-only model has no image of its own
        highest = objects[FLOORS].mean().idxmax()
        differences = {floor: over_trainings(objects[OWN] - objects[floor]) for floor in FLOORS}
        rows.append(
            {
                "method": method,
                "own": over_trainings(objects[OWN]),
                "highest": highest,
                "difference": differences[highest],
                "above": all(difference.low > 0 for difference in differences.values()),
            }
        )
    return rows


def findings(table: pd.DataFrame) -> dict[str, Any]:
    """Numbers of the caption: the first metric by method and above its floors, and captions without an object."""
    first = above_floors(table, "stage1")
    without = table[(table.stage == "stage1") & (table.condition == OWN) & (table.metric == "without_object")]
    return {
        "stage1": first,
        "stage2": above_floors(table, "stage2"),
        "above": sum(row["above"] for row in first),
        "without": without.groupby("method").value.mean().max() if len(without) else None,
        "encoders": table.encoder.nunique(),
        "replicates": len(table[["encoder", "seed"]].drop_duplicates()),
        "floor_names": FLOOR_NAMES,
        "scenes": leading(table) != CIDER,
    }


def main() -> None:
    """Measure, draw and describe."""
    options = arguments(
        __doc__,
        "table",
        captions={"type": Path, "nargs": "+", "help": "scored captions of every replicate"},
        paired={"help": "variant trained on pairs, the ceiling"},
    )
    (out,) = options.out
    captions = pd.concat([pd.read_parquet(path, page_checksum_verification=True) for path in options.captions])
    table = measure(captions)
    save_table(table, options.table)
    summary = summarise(table, "stage1")
    save_table(summary, out)
    draw(summary, options.paired, out)
    images = captions.image.nunique()
    describe(out, findings(table) | {"images": images, "paired": options.paired})


if __name__ == "__main__":
    run(main)
