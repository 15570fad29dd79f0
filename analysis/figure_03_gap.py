"""Figure 3: distance of the centroids before and after every aligner, on short and long captions."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from figure_inputs import CAPTIONS, arguments, make, probe_images, read_yaml, rows
from style import PAPER, colour_of, describe, name_of, save, save_table

from revision.geometry.gap import centroid_gap, gap_noise
from revision.stats.intervals import over_seeds

CORPORA = dict(zip(CAPTIONS, ("Bunny", "DenseFusion"), strict=True))
PUBLISHED = {"identity": "original", "c3": "c3", "realign": "realign"}


def measure(work: Path, settings: dict, seeds: list[int]) -> pd.DataFrame:
    """One row a number: caption, method, sample, seed, gap."""
    reference = rows(work, "reference", "image")
    found = []
    for column in CAPTIONS:
        texts, probe = rows(work, "text", column), rows(work, "probe", column)
        probe_image = probe_images(work, column)
        for seed in seeds:
            generator = np.random.default_rng(seed)
            half_texts = texts[generator.permutation(len(texts))[: len(texts) // 2]]
            half_images = reference[generator.permutation(len(reference))[: len(reference) // 2]]
            for name, section in settings.items():
                aligner = make(section)
                if aligner.paired:
                    continue
                aligner.fit(half_texts, half_images)
                for sample, source, target in (
                    ("fitted", half_texts, half_images),
                    ("held-out", probe, probe_image),
                ):
                    gap = centroid_gap(aligner.transform_target(target), aligner.transform(source))
                    found.append({"caption": column, "method": name, "sample": sample, "seed": seed, "gap": gap})
        moved = make({"method": "realign"}).fit(texts, reference).transform(probe)
        noise = gap_noise(probe_image, moved, (len(reference) // 2, len(texts) // 2))
        found.append({"caption": column, "method": "sampling noise", "sample": "held-out", "seed": -1, "gap": noise})
    return pd.DataFrame(found)


def mean_gap(table: pd.DataFrame, column: str, method: str, sample: str) -> float:
    """Mean over seeds."""
    part = table[(table.caption == column) & (table.method == method) & (table["sample"] == sample)]
    return over_seeds(part.gap.to_numpy()).value


def draw(table: pd.DataFrame, published: dict, path: Path) -> None:
    """One row a method on a log scale, a panel a caption length; the paper's value for the like corpus as a diamond."""
    figure, panels = plt.subplots(1, 2, figsize=(7.2, 3.6), sharey=True, sharex=True)
    methods = [name for name in dict.fromkeys(table.method) if name != "sampling noise"]
    for panel, (column, corpus) in zip(panels, CORPORA.items(), strict=True):
        for place, method in enumerate(methods):
            fitted, other = (mean_gap(table, column, method, sample) for sample in ("fitted", "held-out"))
            panel.plot(fitted, place, "o", color=colour_of(method), markersize=6)
            panel.plot(other, place, "o", color=colour_of(method), markersize=6, fillstyle="none")
            panel.annotate(
                f"{fitted:.2g}", (fitted, place), (0, 5), textcoords="offset points", ha="center", fontsize=7
            )
            value = published[corpus].get(PUBLISHED.get(method, ""))
            if value is not None:
                panel.plot(value, place, **PAPER)
        panel.axvline(mean_gap(table, column, "sampling noise", "held-out"), color="grey", linestyle=":")
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


if __name__ == "__main__":
    options = arguments(__doc__, "published", "aligners", "seeds").parse_args()
    table = measure(options.work, options.aligners, options.seeds)
    published = read_yaml(options.published)["figures"]["fig3"]
    save_table(table, options.out[0])
    draw(table, published, options.out[0])
    describe(
        options.out[0],
        "Distance of the centroids",
        "figure 3",
        "Aligners are fitted on a random half of the unpaired texts and pictures, a half a seed "
        f"({len(options.seeds)} seeds, mean shown). Full dots: on that half, the paper's reading. Rings: on held-out "
        "pairs; below the dotted line (root mean square of what samples of these sizes leave after a perfect shift "
        "of the mean) they cannot be told from none. Unit rows, float64 statistics. C3's noise a coordinate is a "
        "setting; the paper names none. C3 centred is measured against its own centred pictures. The paper's "
        "corpora are other ones, with 100k samples and d = 1280.",
        "Dots on a logarithmic scale, one row an aligner, for short and for long captions.",
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
