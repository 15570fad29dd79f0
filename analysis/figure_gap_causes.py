"""Section 3: the gap after training, and retrieval, for each possible cause of the gap.

Reads the tables of `revision gap-causes`, one per seed.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from figure_inputs import arguments
from style import PAGE, describe, rows, run, save, save_table

from revision.dynamics.causes import effects

PANELS = {
    "gap": ("distance of the centroids on held-out pairs", 2),
    "recall_at_1": ("R@1", 1),
}  # label, largest possible
BEFORE = {"marker": "o", "linestyle": "none", "color": "#777777", "fillstyle": "none"}
AFTER = {"marker": "o", "linestyle": "none", "color": "black"}
SEED = {"marker": "|", "linestyle": "none", "color": "black", "markersize": 6, "markeredgewidth": 0.8}


def draw(table: pd.DataFrame, means: pd.DataFrame, path: Path) -> None:
    """Draw one row per setting under a heading per cause: the gap (ring: before training) and R@1; base in bold."""
    names: list[str] = []
    figure, panels = plt.subplots(1, 2, figsize=(PAGE, 0), sharey=True, width_ratios=(3, 2))
    for cause, settings in means.groupby("cause", sort=False):
        names.append(cause)
        for at, values in settings.groupby("at", sort=False):
            y, seeds = len(names), table[(table.cause == cause) & (table["at"] == at)]
            cells = values.set_index("metric")
            panels[0].plot(cells.value["gap_start"], y, **BEFORE)
            for panel, (metric, (_, most)) in zip(panels, PANELS.items(), strict=True):
                cell = cells.loc[metric]
                panel.plot([max(cell.low, 0), min(cell.high, most)], [y, y], color=AFTER["color"], linewidth=1)
                panel.plot(seeds[seeds.metric == metric].value, [y] * seeds.seed.nunique(), **SEED)
                panel.plot(cell.value, y, **AFTER)
            names.append(f"{at} (base)" if values.base.any() and at != "base" else at)
    figure.set_figheight(0.9 + 0.16 * len(names))
    for panel, (label, _) in zip(panels, PANELS.values(), strict=True):
        rows(panel, names)
        panel.set_xlim(left=0)
        panel.set_xlabel(label)
    for tick, name in zip(panels[0].get_yticklabels(), names, strict=True):
        tick.set_fontweight("bold" if name in set(means.cause) else "normal")
    handles = [
        plt.Line2D([], [], **BEFORE, label="before training"),
        plt.Line2D([], [], **AFTER | {"linestyle": "-"}, label="after training, mean and 95% interval"),
        plt.Line2D([], [], **SEED, label="one seed"),
    ]
    figure.legend(handles=handles, ncols=3, loc="outside upper center")
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
