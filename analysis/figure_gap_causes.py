"""Section 3: the gap after training, and retrieval, for each possible cause of the gap.

Reads the tables of `revision gap-causes`, one per seed.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from figure_inputs import arguments
from style import describe, run, save, save_table

from revision.dynamics.causes import effects

PANELS = (("gap", "gap on held-out pairs"), ("recall_at_1", "R@1"))
BLUE, GREY = "#0072B2", "#999999"


def draw(table: pd.DataFrame, means: pd.DataFrame, path: Path) -> None:
    """Draw one column per cause: the gap above (hollow: before training), R@1 below; the base shaded in grey."""
    causes = list(dict.fromkeys(means.cause))
    counts = [means[means.cause == cause]["at"].nunique() for cause in causes]
    size = max(5.6, 1.0 + 0.42 * sum(counts)), 4.8
    ratios = {"width_ratios": [count + 0.6 for count in counts], "height_ratios": [3, 2]}
    figure, grid = plt.subplots(2, len(causes), figsize=size, sharex="col", sharey="row", squeeze=False, **ratios)
    for column, cause in enumerate(causes):
        names = list(dict.fromkeys(means[means.cause == cause]["at"]))
        for row, (metric, label) in enumerate(PANELS):
            axes = grid[row, column]
            part = means[(means.cause == cause) & (means.metric == metric)].set_index("at").loc[names]
            dots = table[(table.cause == cause) & (table.metric == metric)]
            base = list(part.base).index(True)
            axes.axvspan(base - 0.4, base + 0.4, color=GREY, alpha=0.18, lw=0)
            errors = part.value - part.low, part.high - part.value
            axes.errorbar(range(len(names)), part.value, errors, fmt="o", color=BLUE, markersize=5, capsize=2)
            axes.plot([names.index(at) for at in dots["at"]], dots.value, ".", color="black", markersize=3, alpha=0.6)
            if metric == "gap":
                start = means[(means.cause == cause) & (means.metric == "gap_start")].set_index("at").loc[names]
                axes.plot(range(len(names)), start.value, "o", markerfacecolor="none", color=BLUE, markersize=5)
                axes.set_title(cause, fontsize=9)
            axes.set_xlim(-0.6, len(names) - 0.4)
            if column == 0:
                axes.set_ylabel(label)
        grid[1, column].set_xticks(range(len(names)), names, rotation=50, ha="right", rotation_mode="anchor")
    for axes in grid[:, 0]:
        axes.set_ylim(bottom=0)
    handles = [
        plt.Line2D([], [], marker="o", linestyle="none", color=BLUE, label="after training, 95% interval"),
        plt.Line2D([], [], marker=".", linestyle="none", color="black", label="one seed"),
        plt.Line2D([], [], marker="o", linestyle="none", markerfacecolor="none", color=BLUE, label="before training"),
        plt.Rectangle((0, 0), 1, 1, color=GREY, alpha=0.18, label="base"),
    ]
    figure.legend(handles=handles, fontsize=7, ncols=4, loc="outside lower center")
    save(figure, path)


def main() -> None:
    """Measure, draw and describe."""
    options = arguments(__doc__, "effects", tables={"type": Path, "nargs": "+"})
    (out,) = options.out
    table = pd.concat([pd.read_csv(path, dtype={"at": str}) for path in options.tables], ignore_index=True)
    means = effects(table)
    save_table(table, out)
    save_table(means, options.effects)
    draw(table, means, out)
    changed = means[(means.metric == "gap") & ~means.base]
    largest = changed.loc[changed.groupby("cause", sort=False).difference.apply(lambda part: part.abs().idxmax())]
    describe(
        out,
        {
            "seeds": table.seed.nunique(),
            "base": means[means.base].groupby("metric").value.first(),
            "noise": means[means.metric == "gap_noise"].value.max(),
            "largest": largest.to_dict("records"),
        },
    )


if __name__ == "__main__":
    run(main)
