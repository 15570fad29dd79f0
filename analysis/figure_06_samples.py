"""Figure 6: gap on held-out pairs against the number of unpaired samples behind the statistics.

Reads embeddings and fits every aligner once per size and trial.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from figure_inputs import arguments, read_aligners, sample
from style import LEVEL, PAGE, colour_of, describe, key, name_of, plain_log, run, save, save_table

from revision.config import read_yaml
from revision.gap.sampling import NOISE, TRIALS, gap_by_size

SHOWN = ("c3", "realign_1", "realign", "bc_align", "gaussian_ot", "aniso_align")
PLATEAU = 1.1


def plateau(samples: list[int], gaps: list[float]) -> int:
    """The first size with a gap of at most 1.1 times that at the largest size."""
    return next(size for size, gap in zip(samples, gaps, strict=True) if gap <= PLATEAU * gaps[-1])


def draw(table: pd.DataFrame, plateau_at: int, path: Path) -> None:
    """Draw mean and standard deviation over trials against N, a panel per aligner with the means of the others."""
    figure, grid = plt.subplots(2, 3, figsize=(PAGE, 3.7), sharex=True, sharey=True)
    groups = {name: table[table.method == name].groupby("samples").gap for name in SHOWN}
    noise = table[table.method == NOISE]
    for axes, (name, by_size) in zip(grid.flat, groups.items(), strict=True):
        for other in SHOWN:
            axes.plot(groups[other].mean(), color="lightgrey", linewidth=0.8)
        axes.errorbar(by_size.mean().index, by_size.mean(), by_size.std(), fmt="o-", color=colour_of(name))
        axes.plot(noise.samples, noise.gap, **LEVEL)
        axes.axvline(plateau_at, color="black", linestyle="--", linewidth=0.8)
        axes.set(xscale="log", yscale="log", title=name_of(name))
    plain_log(grid[0, 0].xaxis, grid[0, 0].yaxis)
    figure.supxlabel("unpaired samples of each modality")
    figure.supylabel("gap on held-out pairs")
    handles = [
        key(linestyle="-", label=f"mean and SD over {TRIALS} trials"),
        plt.Line2D([], [], color="lightgrey", linewidth=0.8, label="the other aligners"),
        plt.Line2D([], [], **LEVEL, label=NOISE),
        plt.Line2D([], [], color="black", linestyle="--", linewidth=0.8, label="plateau in the paper"),
    ]
    figure.legend(handles=handles, ncols=4, loc="outside upper center")
    save(figure, path)


def main() -> None:
    """Measure, draw and describe."""
    options = arguments(
        __doc__,
        *("text", "image", "probe_text", "probe_image", "text_table", "image_table", "probe_table"),
        *("aligners", "published"),
        methods={"nargs": "+"},
    )
    (out,) = options.out
    published = read_yaml(options.published)["figures"]["fig6"]
    aligners = read_aligners(options.aligners, options.methods)
    texts, images = sample(options.text, options.text_table), sample(options.image, options.image_table)
    probe = tuple(sample(one, options.probe_table) for one in (options.probe_text, options.probe_image))
    table = gap_by_size(aligners, texts, images, probe, published["sizes"])
    save_table(table, out)
    draw(table, published["plateau_at"], out)
    means = table[table.method == "realign"].groupby("samples").gap.mean()
    level = plateau(list(means.index), list(means))
    describe(
        out,
        {"trials": TRIALS, "within": PLATEAU - 1, "plateau": level, "means": means},
        [("plateau of ReAlign, samples", published["plateau_at"], level)],
    )


if __name__ == "__main__":
    run(main)
