"""Figure 10: effective rank, trace and initial gap of short and long captions; reads embeddings."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from figure_inputs import CAPTIONS, arguments
from figure_inputs import rows as embeddings
from matplotlib.ticker import MaxNLocator
from style import PAGE, colour_of, describe, number_column, rows, run, save, save_table

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


def draw(whole: pd.DataFrame, published: dict, path: Path) -> None:
    """Draw one panel per metric and one row per set: dots with 95% intervals, and numbers beside."""
    figure, panels = plt.subplots(1, 3, figsize=(PAGE, 1.5), sharey=True)
    for panel, (metric, (label, key)) in zip(panels, FIGURES.items(), strict=True):
        table, paper = whole[whole.metric == metric], published[key] if key else {}
        means = intervals(table)
        for y, name in enumerate(LABELS):
            if name in means:
                style = {"color": colour_of(name), "zorder": 3}
                panel.plot(means[name].value, y, "o", **style)
                panel.plot([means[name].low, means[name].high], [y, y], **style)
        values = [means[name].value if name in means else None for name in LABELS]
        number_column(panel, values, "ours")
        if paper:
            number_column(panel, [paper.get(name) for name in LABELS], "paper", 36)
        rows(panel, list(LABELS.values()))
        panel.margins(x=0.1)
        panel.set_xlabel(label)
        panel.xaxis.set_major_locator(MaxNLocator(4))
    save(figure, path)


FIGURES = {
    "effective_rank": ("effective rank", "effective_rank"),
    "trace": ("trace of the covariance", None),
    "gap": ("distance of the centroids", "initial_gap"),
}


def main() -> None:
    """Measure, draw and describe."""
    options = arguments(__doc__, "image", *CAPTIONS, "published", parts={"type": int})
    sets = {name: embeddings(getattr(options, name)) for name in ("image", *CAPTIONS)}
    whole = measure(sets, options.parts)
    published = read_yaml(options.published)["figures"]["fig10"]
    paper = {metric: published[key] if key else {} for metric, (_, key) in FIGURES.items()}
    means = {}
    for out, metric in zip(options.out, FIGURES, strict=True):
        table = whole[whole.metric == metric]
        save_table(table, out)
        means[metric] = {name: mean.value for name, mean in intervals(table).items()}
    path = options.out[0].with_stem(options.out[0].stem.removesuffix("a"))
    draw(whole, published, path)
    samples = whole.samples.iloc[0]
    describe(
        path,
        {"means": means, "parts": options.parts, "samples": samples, "dim": sets["image"].shape[1]},
        [
            (f"{FIGURES[metric][0]}, {LABELS[name]}", paper[metric].get(name), value)
            for metric, values in means.items()
            for name, value in values.items()
        ],
    )


if __name__ == "__main__":
    run(main)
