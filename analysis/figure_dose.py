"""Dose and response: what a gap between the inputs of Stage 1 and images costs, and how fast Stage 2 absorbs it.

Reads the tables of `revision dose`, one per replicate.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from figure_inputs import arguments
from matplotlib.axes import Axes
from style import LEVEL, PAGE, colour_of, describe, key, name_of, run, save, save_table

from revision.dose.response import differences, responses

KINDS = {
    "gap": "distance of the\ncentroids, multiple",
    "trace": "trace of the\ntexts, multiple",
    "rotation": "rotation,\ndegrees",
    "residual": "noise, SD of the\npaired residual",
    "noise": "C3's noise, SD\nof a coordinate",
}
METRICS = {
    "accuracy": "accuracy, %",
    "answer_loss": "answer loss, nats/token",
    "caption_loss": "caption loss, nats/token",
}
DIFFERENCES = {"accuracy": "accuracy, points", "answer_loss": "answer loss, nats/token"}
PAIRED, BLIND, NO_ALIGN = "paired", "blind", "identity"
NO_GAP = "0"
CONTROLS = {PAIRED: {"linestyle": "--", "linewidth": 1}, BLIND: {"linestyle": ":", "linewidth": 1}}


def shades(name: str, values: list) -> dict:
    """A colour of a colour map for each of `values`, dark to light."""
    return dict(zip(values, plt.get_cmap(name)(np.linspace(0.0, 0.85, len(values))), strict=True))


def draw_doses(means: pd.DataFrame, path: Path) -> None:
    """Draw one column per kind of dose and one row per metric, with a line per number of Stage-2 steps."""
    steps = sorted(means.steps.unique())
    colours, last = shades("viridis", steps), steps[-1]
    controls = means[means.kind == "aligner"].set_index(["dose", "metric", "steps"]).value
    kinds = [kind for kind in KINDS if (means.kind == kind).any()]
    figure, grid = plt.subplots(3, len(kinds), figsize=(PAGE, 5.4), sharex="col", sharey="row", squeeze=False)
    for column, kind in enumerate(kinds):
        for axes, (metric, label) in zip(grid[:, column], METRICS.items(), strict=True):
            part = means[(means.kind == kind) & (means.metric == metric)]
            doses = list(dict.fromkeys(part.dose))
            for step in sorted(part.steps.unique()):
                line = part[part.steps == step].set_index("dose").loc[doses]
                errors = line.value - line.low, line.high - line.value
                style = {"fmt": "o-", "markersize": 3, "elinewidth": 0.8, "color": colours[step]}
                axes.errorbar(range(len(doses)), line.value, errors, **style)
            step = min(last, part.steps.max())
            for control, style in CONTROLS.items():
                if (control, metric, step) in controls:
                    axes.axhline(controls[control, metric, step], color=colour_of(control), **style)
            axes.set_xticks(range(len(doses)), doses)
            axes.set_xlim(-0.5, len(doses) - 0.5)
            if column == 0:
                axes.set_ylabel(label)
        grid[-1, column].set_xlabel(KINDS[kind])
    handles = [key(color=colours[step], linestyle="-", markersize=3, label=f"{step}") for step in steps] + [
        key(marker="", color=colour_of(name), **style, label=f"{name_of(name)}, {last}")
        for name, style in CONTROLS.items()
    ]
    figure.legend(handles=handles, title="optimiser steps of Stage 2", loc="outside upper center", ncols=7)
    save(figure, path)


def draw_erasure(changes: pd.DataFrame, path: Path) -> None:
    """Draw differences against optimiser steps: gap doses from dose 0 on the left, aligners from No Align right."""
    figure, grid = plt.subplots(2, 2, figsize=(PAGE, 4.6), sharex=True, sharey="row")
    steps = sorted(changes.steps.unique())
    gaps, aligners = changes[changes.kind == "gap"], changes[(changes.kind == "aligner") & (changes.dose != BLIND)]
    dose_colours = shades("plasma", list(dict.fromkeys(gaps.dose)))
    colours = {name: colour_of(name) for name in dict.fromkeys(aligners.dose)}
    for row, (metric, label) in enumerate(DIFFERENCES.items()):
        curves(grid[row, 0], gaps[gaps.metric == metric], steps, dose_colours)
        curves(grid[row, 1], aligners[aligners.metric == metric], steps, colours)
        grid[row, 0].set_ylabel(label)
    grid[0, 0].set_title("gap dose minus gap dose 0")
    grid[0, 1].set_title("aligner minus No Align")
    for axes, (title, shown) in zip(grid[1], (("gap dose", dose_colours), ("aligner", colours)), strict=True):
        handles = [
            key(color=colour, linestyle="-", markersize=3, label=name_of(name)) for name, colour in shown.items()
        ]
        axes.set_xlabel("optimiser steps of Stage 2")
        axes.legend(handles=handles, title=title, loc="upper center", bbox_to_anchor=(0.5, -0.3), ncols=3)
    save(figure, path)


def curves(axes: Axes, part: pd.DataFrame, steps: list[int], colours: dict) -> None:
    """Draw one curve with intervals per dose against steps on a logarithmic axis that starts at 0."""
    axes.axhline(0, **LEVEL)
    first = steps[1]
    for index, (dose, colour) in enumerate(colours.items()):
        line = part[part.dose == dose].sort_values("steps")
        # 0 has no logarithm; curves are drawn beside each other, so that their intervals do not cover each other.
        x = np.maximum(line.steps, first / 4) * 1.07 ** (index - (len(colours) - 1) / 2)
        errors = line.value - line.low, line.high - line.value
        axes.errorbar(x, line.value, errors, color=colour, fmt="o-", markersize=3, elinewidth=0.8)
    axes.set_xscale("log")
    axes.set_xticks([max(step, first / 4) for step in steps], steps)
    axes.minorticks_off()


def main() -> None:
    """Measure, draw and describe."""
    options = arguments(__doc__, "alignment", tables={"type": Path, "nargs": "+"})
    out, erasure = options.out
    table = pd.concat([pd.read_csv(path, dtype={"dose": str}) for path in options.tables], ignore_index=True)
    means = responses(table)
    changes = pd.concat([differences(table, "gap", NO_GAP), differences(table, "aligner", NO_ALIGN)], ignore_index=True)
    aligners = changes[changes.kind == "aligner"].drop(columns="kind")
    aligners = aligners.rename(columns={"dose": "aligner", "value": "difference"})
    save_table(table, out)
    save_table(changes, erasure)
    save_table(aligners, options.alignment)
    draw_doses(means, out)
    draw_erasure(changes, erasure)
    steps = sorted(table.steps.unique())
    gaps = changes[changes.kind == "gap"].set_index(["metric", "dose", "steps"]).sort_index()
    moved = changes[changes.kind == "aligner"].set_index(["metric", "dose", "steps"]).sort_index()
    largest = changes[changes.kind == "gap"].dose.iloc[-1]
    numbers = {
        "encoders": table.encoder.nunique(),
        "replicates": len(table[["encoder", "seed"]].drop_duplicates()),
        "steps": steps,
        "dose": largest,
        "start": gaps.loc["accuracy", largest, 0],
        "end": gaps.loc["accuracy", largest, steps[-1]],
        "curve": [{"steps": step, "cost": gaps.loc["answer_loss", largest, step]} for step in steps],
        "control": moved.loc["accuracy", PAIRED, steps[-1]],
        "control_start": moved.loc["accuracy", PAIRED, 0],
        "aligners": {name: moved.loc["accuracy", name, 0] for name in dict.fromkeys(aligners.aligner) if name != BLIND},
    }
    for path in (out, erasure):
        describe(path, numbers)


if __name__ == "__main__":
    run(main)
