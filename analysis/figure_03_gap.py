"""Figure 3: distance of the centroids before and after every aligner, on short and long captions.

Reads embeddings and fits every aligner on a random half of the unpaired rows, once per seed.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from figure_inputs import CAPTIONS, arguments, read_aligners, sample
from style import (
    LEVEL,
    PAGE,
    PAPER,
    ROW,
    colour_of,
    describe,
    key,
    method_rows,
    name_of,
    number_column,
    plain_log,
    run,
    save,
    save_table,
)

from revision.config import read_yaml
from revision.gap.held_out import read_aligner
from revision.gap.sampling import NOISE, gap_by_half
from revision.stats.intervals import over_seeds

CORPORA = dict(zip(CAPTIONS, ("Bunny", "DenseFusion"), strict=True))
PUBLISHED = {"identity": "original", "c3": "c3", "realign": "realign"}
LEAST = 1e-5  # an aligner that iterates until the gap is a rounding error is drawn at the edge


def gaps(table: pd.DataFrame, column: str, method: str, sample: str) -> pd.Series:
    """Gaps by seed."""
    return table[(table.caption == column) & (table.method == method) & (table["sample"] == sample)].gap


def mean_gap(table: pd.DataFrame, column: str, method: str, sample: str) -> float:
    """Mean over seeds."""
    return over_seeds(gaps(table, column, method, sample).to_numpy()).value


def draw(table: pd.DataFrame, published: dict, path: Path) -> None:
    """Draw one row per method and one panel per caption length; diamond: the paper's value for the similar corpus."""
    methods = [name for name in dict.fromkeys(table.method) if name != NOISE]
    figure, panels = plt.subplots(1, 2, figsize=(PAGE, 1.0 + ROW * len(methods)), sharey=True, sharex=True)
    for panel, (column, corpus) in zip(panels, CORPORA.items(), strict=True):
        method_rows(panel, methods)
        for y, method in enumerate(methods):
            for on, fill in (("fitted", "full"), ("held-out", "none")):
                seeds, colour = gaps(table, column, method, on).clip(LEAST), colour_of(method)
                marker = "o" if seeds.min() > LEAST else "<"
                panel.plot([seeds.min(), seeds.max()], [y, y], color=colour, linewidth=2.5, alpha=0.4)
                panel.plot(seeds.mean(), y, marker, color=colour, fillstyle=fill)
            value = published[corpus].get(PUBLISHED.get(method, ""))
            if value is not None:
                panel.plot(value, y, **PAPER)
        for on, right in (("fitted", 6), ("held-out", 54)):
            number_column(panel, [mean_gap(table, column, method, on) for method in methods], on, right)
        panel.axvline(mean_gap(table, column, NOISE, "held-out"), **LEVEL)
        panel.set_title(f"{column} captions")
        panel.set_xscale("log")
        panel.margins(x=0.06)
        plain_log(panel.xaxis)
    figure.supxlabel("distance of the centroids of texts and images")
    handles = [
        key(label="fitted sample"),
        key(fillstyle="none", label="held-out pairs"),
        key(marker="", linestyle="-", linewidth=2.5, alpha=0.4, label="range of seeds"),
        plt.Line2D([], [], **LEVEL, label="sampling noise, held out"),
        plt.Line2D([], [], **PAPER),
    ]
    figure.legend(handles=handles, ncols=5, loc="outside upper center")
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
    fitted = {name: mean_gap(table, "short", name, "fitted") for name in PUBLISHED}
    describe(
        out,
        {"gaps": fitted, "seeds": len(options.seeds)},
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
