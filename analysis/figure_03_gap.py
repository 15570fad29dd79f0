"""Figure 3: distance of the centroids before and after every aligner, on short and long captions.

Reads embeddings and fits every aligner on a random half of the unpaired rows, once per seed.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from figure_inputs import CAPTIONS, arguments, read_aligners, sample
from style import PAPER, colour_of, describe, name_of, number, run, save, save_table

from revision.config import read_yaml
from revision.gap.held_out import read_aligner
from revision.gap.sampling import NOISE, gap_by_half
from revision.stats.intervals import over_seeds

CORPORA = dict(zip(CAPTIONS, ("Bunny", "DenseFusion"), strict=True))
PUBLISHED = {"identity": "original", "c3": "c3", "realign": "realign"}


def mean_gap(table: pd.DataFrame, column: str, method: str, sample: str) -> float:
    """Mean over seeds."""
    part = table[(table.caption == column) & (table.method == method) & (table["sample"] == sample)]
    return over_seeds(part.gap.to_numpy()).value


def draw(table: pd.DataFrame, published: dict, path: Path) -> None:
    """Draw one row per method and one panel per caption length; diamond: the paper's value for the similar corpus."""
    figure, panels = plt.subplots(1, 2, figsize=(7.2, 3.6), sharey=True, sharex=True)
    methods = [name for name in dict.fromkeys(table.method) if name != NOISE]
    for panel, (column, corpus) in zip(panels, CORPORA.items(), strict=True):
        for y, method in enumerate(methods):
            fitted, held_out = (mean_gap(table, column, method, sample) for sample in ("fitted", "held-out"))
            panel.plot(fitted, y, "o", color=colour_of(method), markersize=6)
            panel.plot(held_out, y, "o", color=colour_of(method), markersize=6, fillstyle="none")
            panel.annotate(number(fitted, 2), (fitted, y), (0, 5), textcoords="offset points", ha="center", fontsize=7)
            value = published[corpus].get(PUBLISHED.get(method, ""))
            if value is not None:
                panel.plot(value, y, **PAPER)
        panel.axvline(mean_gap(table, column, NOISE, "held-out"), color="grey", linestyle=":")
        panel.set_title(f"{column} captions (paper: {corpus})", fontsize=9)
        panel.set_xscale("log")
        panel.margins(x=0.12)
        panel.grid(axis="x", alpha=0.3)
    panels[0].set_yticks(range(len(methods)), [name_of(method) for method in methods])
    panels[0].set_ylim(len(methods) - 0.4, -0.7)
    figure.supxlabel("distance of the centroids", fontsize=9)
    handles = [
        plt.Line2D([], [], marker="o", linestyle="none", color="grey", label="on the fitted sample"),
        plt.Line2D([], [], marker="o", linestyle="none", color="grey", fillstyle="none", label="on held-out pairs"),
        plt.Line2D([], [], color="grey", linestyle=":", label="sampling noise, held out"),
        plt.Line2D([], [], **PAPER),
    ]
    figure.legend(handles=handles, fontsize=7, ncols=4, loc="outside upper center")
    save(figure, path)


def main() -> None:
    """Measure, draw and describe."""
    options = arguments(
        __doc__,
        *("text_short", "text_long", "image", "probe_short", "probe_long", "probe_image", "probe_long_image"),
        *("text_table", "text_long_table", "image_table", "probe_table", "probe_long_table"),
        *("moved_short", "moved_long", "aligners", "published"),
        methods={"nargs": "+"},
        seeds={"type": int, "nargs": "+"},
    )
    published = read_yaml(options.published)["figures"]["fig3"]
    aligners = read_aligners(options.aligners, options.methods)
    (out,), images = options.out, sample(options.image, options.image_table)
    short, long = sample(options.text_short, options.text_table), sample(options.text_long, options.text_long_table)
    probes = {
        "short": tuple(sample(one, options.probe_table) for one in (options.probe_short, options.probe_image)),
        "long": tuple(sample(one, options.probe_long_table) for one in (options.probe_long, options.probe_long_image)),
    }
    moved = {"short": options.moved_short, "long": options.moved_long}
    table = pd.concat(
        [
            gap_by_half(
                aligners,
                *(texts, images, probes[caption], options.seeds, read_aligner(moved[caption], "realign")),
            ).assign(caption=caption)
            for caption, texts in (("short", short), ("long", long))
        ],
        ignore_index=True,
    )[["caption", "method", "sample", "seed", "gap"]]
    save_table(table, out)
    draw(table, published, out)
    gaps = {name: mean_gap(table, "short", name, "fitted") for name in PUBLISHED}
    describe(
        out,
        {"gaps": gaps, "seeds": len(options.seeds)},
        [
            (
                f"{corpus} ({column}), {name_of(method)}",
                published[corpus][key],
                mean_gap(table, column, method, "fitted"),
            )
            for column, corpus in CORPORA.items()
            for method, key in PUBLISHED.items()
        ],
    )


if __name__ == "__main__":
    run(main)
