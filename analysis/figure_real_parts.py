"""Does a real gap behave as the built-in one does? One scale's gap beside another's, before and after each aligner."""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy import stats
from style import colour_of, describe, name_of, save, save_table

CAPTION = "short"
NOISE = "sampling noise"


def measure(folders: list[Path]) -> pd.DataFrame:
    """One row a number: scale, what (gap after an aligner, sampling noise, a fact), name, value; short captions."""
    parts = []
    for folder in folders:
        world, gap = pd.read_csv(folder / "tables/world.csv"), pd.read_csv(folder / "figures/figure_3.csv")
        world = world[world.caption == CAPTION][["metric", "value"]].rename(columns={"metric": "name"})
        gap = gap[(gap.caption == CAPTION) & (gap["sample"] == "held-out")]
        gap = gap.groupby("method", sort=False).gap.mean().rename_axis("name").rename("value").reset_index()
        gap["what"] = np.where(gap["name"] == NOISE, "noise", "gap")
        parts += [world.assign(what="fact", scale=folder.name), gap.assign(scale=folder.name)]
    return pd.concat(parts)[["scale", "what", "name", "value"]]


def beside(table: pd.DataFrame, what: str) -> pd.DataFrame:
    """One row a name, one column a scale; names that both have."""
    part = table[table.what == what]
    names = list(dict.fromkeys(part.name))
    wide = part.pivot(index="name", columns="scale", values="value").dropna()
    return wide.loc[[name for name in names if name in wide.index], list(dict.fromkeys(part.scale))]


def draw(gaps: pd.DataFrame, noise: pd.Series, path: Path) -> None:
    """One line an aligner: its held-out gap, as a share of the gap before it, at the one scale and at the other."""
    shares = (gaps / gaps.loc["identity"]).drop(index="identity")
    ours, theirs = shares.columns
    figure, axes = plt.subplots(figsize=(6.2, 0.9 + 0.27 * len(shares)))
    for place, (name, row) in enumerate(shares.iterrows()):
        axes.plot(row, [place, place], color="lightgrey", zorder=0)
        axes.plot(row[ours], place, "o", color=colour_of(str(name)))
        axes.plot(row[theirs], place, "o", color=colour_of(str(name)), markerfacecolor="white")
    for scale, style in ((ours, "-"), (theirs, ":")):
        axes.axvline(noise[scale] / gaps.loc["identity", scale], color="grey", linestyle=style, linewidth=1, zorder=0)
    axes.set_yticks(range(len(shares)), [name_of(str(name)) for name in shares.index])
    axes.invert_yaxis()
    axes.set(xscale="log", xlabel="share of the gap left on held-out pairs")
    axes.grid(axis="x", which="both", alpha=0.3)
    handles = [
        plt.Line2D([], [], marker="o", linestyle="none", color="grey", markerfacecolor=fill, label=label)
        for fill, label in (("grey", ours), ("white", theirs))
    ] + [
        plt.Line2D([], [], color="grey", linestyle=style, linewidth=1, label=f"{NOISE}, {scale}")
        for scale, style in ((ours, "-"), (theirs, ":"))
    ]
    figure.legend(handles=handles, ncols=2, fontsize=8, loc="outside upper center")
    save(figure, path)


def words(gaps: pd.DataFrame, noise: pd.Series) -> str:
    """What the two scales have in common, in a sentence made of the numbers."""
    ours, theirs = gaps.columns
    order = stats.spearmanr(gaps[ours], gaps[theirs]).statistic
    left, chance = gaps.loc["realign"] / gaps.loc["identity"], noise / gaps.loc["identity"]
    same = order > 0.8 and abs(np.log10(left[ours] / left[theirs])) < 0.5
    return (
        f"{'Yes' if same else 'Not in all'}: the gap is {gaps.loc['identity', ours]:.3f} at {ours} and "
        f"{gaps.loc['identity', theirs]:.3f} at {theirs}; ReAlign leaves {100 * left[ours]:.1f}% and "
        f"{100 * left[theirs]:.1f}% of it on held-out pairs, where sampling noise alone is "
        f"{100 * chance[ours]:.1f}% and {100 * chance[theirs]:.1f}%; the aligners' order agrees with rank correlation "
        f"{order:.2f}. (Yes stands for a correlation above 0.8 and shares left within a factor of 3.2.)"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", type=Path, nargs=2, metavar="RESULTS")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    table = measure(options.folders)
    gaps, known = beside(table, "gap"), beside(table, "fact")
    save_table(table, options.out)
    noise = beside(table, "noise").loc[NOISE]
    draw(gaps, noise, options.out)
    ours, theirs = gaps.columns
    facts = "; ".join(f"{name} {row[ours]:.3g}, {row[theirs]:.3g}" for name, row in known.iterrows())
    describe(
        options.out,
        f"Does the gap of real parts behave as the built-in one's? ({ours} beside {theirs})",
        "beyond the paper",
        f"{words(gaps, noise)} On held-out pairs ({ours}, {theirs}): {facts}. Short captions of the same world, "
        "another encoder; sample sizes differ between the scales, and so does what is left by chance.",
        "A filled and an open dot for each aligner on a logarithmic axis: the share of the gap left at the two scales, "
        "beside lines where sampling noise is.",
    )
