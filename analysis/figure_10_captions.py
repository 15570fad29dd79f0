"""Figures 10a, 10b and 10c: effective rank, trace and initial gap for short and long captions."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from figure_inputs import CAPTIONS, arguments, rows
from style import PAPER, colour_of, describe, run, save, save_table

from revision.config import read_yaml
from revision.geometry.gap import centroid_gap
from revision.geometry.spectrum import covariance_eigenvalues, effective_rank
from revision.stats.intervals import over_seeds

LABELS = {"image": "images", "short": "short captions", "long": "long captions"}


def measure(sets: dict[str, np.ndarray], parts: int) -> pd.DataFrame:
    """One row a number: metric, set, part, value, samples; `parts` disjoint parts of equal size of every set."""
    size = min(map(len, sets.values())) // parts
    found = []
    for part in range(parts):
        cut = {name: whole[part * size : (part + 1) * size] for name, whole in sets.items()}
        for name, some in cut.items():
            values = covariance_eigenvalues(some)
            numbers = {"effective_rank": effective_rank(values), "trace": values.sum()}
            if name != "image":
                numbers["gap"] = centroid_gap(cut["image"], some)
            found += [
                {"metric": metric, "set": name, "part": part, "value": value, "samples": size}
                for metric, value in numbers.items()
            ]
    return pd.DataFrame(found)


def values(table: pd.DataFrame) -> dict:
    """Mean with its interval for each set of one metric."""
    return {name: over_seeds(part.value.to_numpy()) for name, part in table.groupby("set", sort=False)}


def draw(table: pd.DataFrame, label: str, published: dict, path: Path) -> None:
    """Bars with 95% intervals over the parts; the paper's values as diamonds."""
    figure, axes = plt.subplots(figsize=(3.6, 3.0))
    for place, (name, found) in enumerate(values(table).items()):
        axes.bar(place, found.value, 0.6, color="#555555" if name == "image" else colour_of(name))
        if found.high > found.low:
            axes.plot([place, place], [found.low, found.high], color="black", linewidth=1)
        axes.annotate(f"{found.value:.3g}", (place, found.value), (12, 3), textcoords="offset points", fontsize=7)
        if published.get(name) is not None:
            axes.plot(place - 0.15, published[name], **PAPER)
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
        means = {name: found.value for name, found in values(table).items()}
        samples = table.samples.iloc[0]
        describe(
            out,
            {"means": means, "parts": options.parts, "samples": samples, "dim": sets["image"].shape[1]},
            [(f"{label}, {LABELS[name]}", paper.get(name), value) for name, value in means.items()],
        )


if __name__ == "__main__":
    run(main)
