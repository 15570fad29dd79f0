"""Beyond the paper: the gap at one scale beside that at another, before and after each aligner.

Reads the tables of facts (world.py) and of figure 3 of both scales.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from figure_inputs import arguments
from scipy import stats
from style import (
    LEVEL,
    PAGE,
    ROW,
    colour_of,
    describe,
    key,
    method_rows,
    number_column,
    plain_log,
    run,
    save,
    save_table,
)

CAPTION = "short"
NOISE = "sampling noise"


def measure(sources: dict[str, tuple[Path, Path]]) -> pd.DataFrame:
    """One row per value: scale, what (gap after an aligner, sampling noise, a fact), name, value; short captions.

    `sources` has the paths of the tables of facts and of figure 3 by scale.
    """
    parts = []
    for scale, paths in sources.items():
        world, gap = (pd.read_csv(path) for path in paths)
        world = world[world.caption == CAPTION][["metric", "value"]].rename(columns={"metric": "name"})
        gap = gap[(gap.caption == CAPTION) & (gap["sample"] == "held-out")]
        gap = gap.groupby("method", sort=False).gap.mean().rename_axis("name").rename("value").reset_index()
        gap["what"] = np.where(gap["name"] == NOISE, "noise", "gap")
        parts += [world.assign(what="fact", scale=scale), gap.assign(scale=scale)]
    return pd.concat(parts)[["scale", "what", "name", "value"]]


def beside(table: pd.DataFrame, what: str) -> pd.DataFrame:
    """One row per name, one column per scale; only names that both scales have."""
    part = table[table.what == what]
    names = list(dict.fromkeys(part.name))
    wide = part.pivot(index="name", columns="scale", values="value").dropna()
    return wide.loc[[name for name in names if name in wide.index], list(dict.fromkeys(part.scale))]


def draw(gaps: pd.DataFrame, noise: pd.Series, path: Path) -> None:
    """Draw one line per aligner between its held-out gaps at both scales, as fractions of the gap before alignment."""
    fractions = (gaps / gaps.loc["identity"]).drop(index="identity")
    scales = dict(zip(fractions.columns, (("full", "--"), ("none", ":")), strict=True))
    figure, axes = plt.subplots(figsize=(PAGE, 1.1 + ROW * len(fractions)))
    method_rows(axes, [str(name) for name in fractions.index])
    for y, (name, row) in enumerate(fractions.iterrows()):
        axes.plot(row, [y, y], color="lightgrey", zorder=1)
        for scale, (fill, _) in scales.items():
            axes.plot(row[scale], y, "o", color=colour_of(str(name)), fillstyle=fill)
    for index, (scale, (_, line)) in enumerate(scales.items()):
        number_column(axes, list(fractions[scale]), scale, 6 + 56 * index)
        axes.axvline(noise[scale] / gaps.loc["identity", scale], **LEVEL | {"linestyle": line})
    axes.set(xscale="log", xlabel="fraction of the gap left on held-out pairs")
    plain_log(axes.xaxis)
    handles = [key(fillstyle=fill, label=scale) for scale, (fill, _) in scales.items()] + [
        plt.Line2D([], [], **LEVEL | {"linestyle": line}, label=f"{NOISE}, {scale}")
        for scale, (_, line) in scales.items()
    ]
    figure.legend(handles=handles, ncols=4, loc="outside upper center")
    save(figure, path)


def findings(gaps: pd.DataFrame, noise: pd.Series) -> dict:
    """Numbers of the caption: gap, fraction left and sampling noise at both scales, and the rank correlation."""
    names = list(gaps.columns)
    order = stats.spearmanr(gaps[names[0]], gaps[names[1]]).statistic
    before, left = gaps.loc["identity"], gaps.loc["realign"] / gaps.loc["identity"]
    return {
        "scales": names,
        "gap": [before[name] for name in names],
        "left": [left[name] for name in names],
        "noise": [noise[name] / before[name] for name in names],
        "order": order,
        "same": bool(order > 0.8 and abs(np.log10(left[names[0]] / left[names[1]])) < 0.5),
    }


def main() -> None:
    """Measure, draw and describe."""
    options = arguments(
        __doc__,
        *("world", "gap", "other_world", "other_gap"),
        scales={"nargs": 2, "help": "names of this scale and of the other"},
    )
    (out,) = options.out
    sources = (options.world, options.gap), (options.other_world, options.other_gap)
    table = measure(dict(zip(options.scales, sources, strict=True)))
    gaps, facts = beside(table, "gap"), beside(table, "fact")
    save_table(table, out)
    noise = beside(table, "noise").loc[NOISE]
    draw(gaps, noise, out)
    describe(out, findings(gaps, noise) | {"facts": facts.reset_index().to_numpy().tolist()})


if __name__ == "__main__":
    run(main)
