"""Zero-shot captioning of held-out scenes: metrics of every replicate, and a figure of Stage 1 with floors and ceiling.

Reads the scored captions of every replicate (`revision evaluate --captions`).
"""

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from figure_inputs import arguments
from style import colour_of, describe, name_of, run, save, save_table

from revision.evaluation.captioning import CIDER, METRICS, VISUAL

REPLICATE = ["method", "stage", "condition", "encoder", "seed"]
DRAWN = {"object_f1": "F1 of objects", "pair_f1": "F1 of colour and shape", CIDER: "CIDEr-D"}
OWN, *FLOORS = VISUAL
FLOOR_NAMES = {"other": "another image", "mean": "mean image", "none": "no visual token"}
MARKERS = {"other": "x", "mean": "+", "none": "|"}


def measure(captions: pd.DataFrame) -> pd.DataFrame:
    """One row per value: REPLICATE, metric, value, a mean over images without those where the metric is undefined."""
    captions = captions.assign(
        stage=captions.method.str.split("/").str[0],
        method=captions.method.str.split("/").str[1],
        without_object=captions.object_precision.isna().astype(float),
    )
    means = captions.groupby(REPLICATE, sort=False)[[*METRICS, CIDER, "without_object"]].mean()
    return means.reset_index().melt(REPLICATE, var_name="metric")


def summarise(table: pd.DataFrame, stage: str) -> pd.DataFrame:
    """The drawn metrics of a stage: method, condition, metric, value (mean over replicates), lowest, highest."""
    part = table[(table.stage == stage) & table.metric.isin(DRAWN)]
    cells = part.groupby(["method", "condition", "metric"], sort=False).value
    return cells.agg(value="mean", lowest="min", highest="max").reset_index()


def draw(summary: pd.DataFrame, paired: str, path: Path) -> None:
    """Draw one panel per metric and one row per method: its captions as a dot, its floors as grey marks."""
    methods = list(dict.fromkeys(summary.method))
    size = 7.4, 1.3 + 0.34 * len(methods)
    figure, panels = plt.subplots(1, len(DRAWN), figsize=size, sharey=True)
    for panel, (metric, label) in zip(panels, DRAWN.items(), strict=True):
        values = summary[summary.metric == metric].set_index(["condition", "method"])
        for y, method in enumerate(methods):
            own = values.loc[OWN, method]
            panel.plot([own.lowest, own.highest], [y, y], color=colour_of(method), linewidth=1.5)
            panel.plot(own.value, y, "o", color=colour_of(method), markersize=6)
        for floor, marker in MARKERS.items():
            marks = values.loc[floor].value.reindex(methods)
            style = {"linestyle": "none", "color": "#555555", "markersize": 6, "label": FLOOR_NAMES[floor]}
            panel.plot(marks, range(len(methods)), marker, **style)
        panel.plot([], [], "o", color="#555555", label="own image")
        if paired in methods:
            ceiling = values.loc[OWN, paired].value
            panel.axvline(ceiling, color=colour_of(paired), linestyle=":", label=f"ceiling: {name_of(paired)}")
        panel.set_xlabel(label)
        panel.set_xlim(left=0)
        panel.margins(x=0.08)
        panel.grid(axis="x", alpha=0.3)
    panels[0].set_yticks(range(len(methods)), [name_of(method) for method in methods])
    panels[0].set_ylim(len(methods) - 0.5, -0.5)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=5, fontsize=7)
    save(figure, path)


def findings(table: pd.DataFrame) -> dict[str, Any]:
    """Numbers of the caption: F1 of objects by method with its highest floor, and the captions without an object."""
    means = table.groupby(["stage", "method", "condition", "metric"], sort=False).value.mean()

    def rows(stage: str) -> list[dict[str, Any]]:
        objects = means[stage].xs("object_f1", level="metric").unstack("condition")
        objects = objects[objects[OWN].notna()]  # a text-only model has no image of its own
        return [
            {"method": method, "own": row[OWN], "floor": row[FLOORS].max(), "highest": row[FLOORS].idxmax()}
            for method, row in objects.iterrows()
        ]

    first = rows("stage1")
    return {
        "stage1": first,
        "stage2": rows("stage2"),
        "above": sum(row["own"] > row["floor"] for row in first),
        "without": means["stage1"].xs((OWN, "without_object"), level=("condition", "metric")).max(),
        "replicates": len(table[["encoder", "seed"]].drop_duplicates()),
        "floor_names": FLOOR_NAMES,
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
