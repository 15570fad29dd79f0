"""Figure 3: distance of the centroids, original, after C3 and after ReAlign, on short and long captions.

The aligners are fitted on random halves of the unpaired texts and reference pictures, one half a seed; "fitted" is
the gap on that half (the paper's reading), "held-out" the gap on the probe pairs.
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import yaml
from style import PAPER, colour_of, name_of, save, save_table

from revision.align import load_aligner
from revision.geometry.gap import centroid_gap
from revision.intervals import over_seeds
from revision.store import open_embeddings

CORPORA = {"short": "Bunny", "long": "DenseFusion"}
PUBLISHED = {"identity": "original", "c3": "c3", "realign": "realign"}


def measure(work: Path, aligners: list[str], seeds: list[int]) -> pd.DataFrame:
    """One row a number: caption, method, sample, seed, gap."""
    reference = open_embeddings(work / "embeddings/reference_image").array()
    probe_image = open_embeddings(work / "embeddings/probe_image").array()
    rows = []
    for column in CORPORA:
        texts = open_embeddings(work / f"embeddings/text_{column}").array()
        probe = open_embeddings(work / f"embeddings/probe_{column}").array()
        for seed in seeds:
            generator = np.random.default_rng(seed)
            half_texts = texts[generator.permutation(len(texts))[: len(texts) // 2]]
            half_images = reference[generator.permutation(len(reference))[: len(reference) // 2]]
            for name in aligners:
                aligner = load_aligner(work / f"aligners/{name}_{column}")
                aligner = type(aligner)(**aligner.get_params()).fit(half_texts, half_images)
                for sample, source, target in (
                    ("fitted", half_texts, half_images),
                    ("held-out", probe, probe_image),
                ):
                    gap = centroid_gap(target, aligner.transform(source))
                    rows.append({"caption": column, "method": name, "sample": sample, "seed": seed, "gap": gap})
    return pd.DataFrame(rows)


def draw(table: pd.DataFrame, published: dict, path: Path) -> None:
    """Bars on a log scale, one panel a caption length; the paper's value for the like corpus as a diamond."""
    figure, panels = plt.subplots(1, 2, figsize=(7.2, 3.0), sharey=True)
    methods = list(dict.fromkeys(table.method))
    for panel, (column, corpus) in zip(panels, CORPORA.items(), strict=True):
        part = table[table.caption == column]
        for place, method in enumerate(methods):
            for offset, sample in ((-0.2, "fitted"), (0.2, "held-out")):
                values = part[(part.method == method) & (part["sample"] == sample)].gap.to_numpy()
                found = over_seeds(values)
                panel.bar(
                    place + offset, found.value, 0.38, color=colour_of(method), alpha=1 if sample == "fitted" else 0.5,
                    hatch=None if sample == "fitted" else "//", edgecolor="white",
                )  # fmt: skip
                panel.text(place + offset, found.value * 1.15, f"{found.value:.2g}", ha="center", fontsize=7)
            value = published[corpus].get(PUBLISHED.get(method, ""))
            if value is not None:
                panel.plot(place - 0.2, value, **PAPER)
        panel.set_yscale("log")
        panel.set_xticks(range(len(methods)), [name_of(method) for method in methods])
        panel.set_title(f"{column} captions (paper: {corpus})", fontsize=9)
    panels[0].set_ylabel("distance of the centroids")
    handles = [
        plt.Rectangle((0, 0), 1, 1, color="grey", label="on the fitted sample"),
        plt.Rectangle((0, 0), 1, 1, facecolor="grey", alpha=0.5, hatch="//", edgecolor="white", label="held-out pairs"),
        plt.Line2D([], [], **PAPER),
    ]
    panels[1].legend(handles=handles, fontsize=7)
    save(figure, path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path)
    parser.add_argument("--aligners", nargs="+", required=True)
    parser.add_argument("--seeds", nargs="+", type=int, required=True)
    parser.add_argument("--published", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    numbers = measure(options.work, options.aligners, options.seeds)
    published = yaml.safe_load(options.published.read_text(encoding="utf-8"))["figures"]["fig3"]
    save_table(numbers, options.out)
    draw(numbers, published, options.out)
