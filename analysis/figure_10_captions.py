"""Figures 10a, 10b and 10c: effective rank, trace and initial gap of short and long captions; reads embeddings."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from figure_inputs import CAPTIONS, arguments, rows
from style import PAPER, colour_of, describe, number, run, save, save_table

from revision.config import read_yaml
from revision.geometry.gap import centroid_gap
from revision.geometry.spectrum import covariance_eigenvalues, effective_rank
from revision.stats.intervals import Interval, over_seeds

LABELS = {"image": "images", "short": "short captions", "long": "long captions"}


def measure(sets: dict[str, np.ndarray], parts: int) -> pd.DataFrame:
    """One row per value: metric, set, part, value, samples, for `parts` disjoint parts of equal size of every set."""
    size = min(map(len, sets.values())) // parts
    table = []
    for part in range(parts):
        subsets = {name: whole[part * size : (part + 1) * size] for name, whole in sets.items()}
        for name, subset in subsets.items():
            spectrum = covariance_eigenvalues(subset)
            values = {"effective_rank": effective_rank(spectrum), "trace": spectrum.sum()}
            if name != "image":
                values["gap"] = centroid_gap(subsets["image"], subset)
            table += [
                {"metric": metric, "set": name, "part": part, "value": value, "samples": size}
                for metric, value in values.items()
            ]
    return pd.DataFrame(table)


def intervals(table: pd.DataFrame) -> dict[str, Interval]:
    """Mean with its interval for each set of one metric."""
    return {name: over_seeds(part.value.to_numpy()) for name, part in table.groupby("set", sort=False)}


def draw(table: pd.DataFrame, label: str, published: dict, path: Path) -> None:
    """Draw bars with 95% intervals over the parts; the paper's values as diamonds."""
    figure, axes = plt.subplots(figsize=(3.6, 3.0))
    for x, (name, mean) in enumerate(intervals(table).items()):
        axes.bar(x, mean.value, 0.6, color="#555555" if name == "image" else colour_of(name))
        if mean.high > mean.low:
            axes.plot([x, x], [mean.low, mean.high], color="black", linewidth=1)
        axes.annotate(number(mean.value, 3), (x, mean.value), (12, 3), textcoords="offset points", fontsize=7)
        if published.get(name) is not None:
            axes.plot(x - 0.15, published[name], **PAPER)
    axes.set_xticks(range(table.set.nunique()), [LABELS[name] for name in dict.fromkeys(table.set)])
    axes.set_ylabel(label)
    axes.margins(y=0.15)
    if published:
        figure.legend(handles=[plt.Line2D([], [], **PAPER)], fontsize=7, loc="outside upper right")
    save(figure, path)


FIGURES = {
    "effective_rank": ("effective rank", "effective_rank"),
    "trace": ("trace of the covariance", None),
    "gap": ("distance of the centroids", "initial_gap"),
}


def main() -> None:
    """Measure, draw and describe."""
    options = arguments(__doc__, "image", *CAPTIONS, "published", parts={"type": int})
    sets = {name: rows(getattr(options, name)) for name in ("image", *CAPTIONS)}
    whole = measure(sets, options.parts)
    published = read_yaml(options.published)["figures"]["fig10"]
    for out, (metric, (label, key)) in zip(options.out, FIGURES.items(), strict=True):
        table = whole[whole.metric == metric]
        paper = published[key] if key else {}
        save_table(table, out)
        draw(table, label, paper, out)
        means = {name: mean.value for name, mean in intervals(table).items()}
        samples = table.samples.iloc[0]
        describe(
            out,
            {"means": means, "parts": options.parts, "samples": samples, "dim": sets["image"].shape[1]},
            [(f"{label}, {LABELS[name]}", paper.get(name), value) for name, value in means.items()],
        )


if __name__ == "__main__":
    run(main)
