"""Figures 7a and 7b: precision of the mean, and time and memory of ReAlign, by number of samples; reads embeddings."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from figure_inputs import arguments, rows
from style import PAPER, describe, run, save, save_table

from revision.align import make_aligner
from revision.config import read_yaml
from revision.gap.cost import Cycled, mean_errors, operator_cost

PRECISION_SIZES = (1_000, 5_000, 10_000, 50_000, 100_000, 500_000)
COST_SIZES = (10_000, 100_000, 1_000_000)
COLOURS = {"float32": "#D55E00", "float32 pairwise": "#E69F00", "float64": "#009E73"}


def precision(texts: np.ndarray) -> pd.DataFrame:
    """One row per value: samples, precision of the sum, error of the mean."""
    return pd.DataFrame(
        [
            {"samples": size, "precision": name, "error": error}
            for size in PRECISION_SIZES
            for name, error in mean_errors(Cycled(texts, size)).items()
        ]
    )


def cost(texts: np.ndarray, images: np.ndarray) -> pd.DataFrame:
    """One row per size: samples of each modality, seconds, peak MB."""

    def row(size: int) -> tuple:
        return size, *operator_cost(make_aligner("realign"), Cycled(texts, size), Cycled(images, size))

    row(100)  # compiles the kernels
    return pd.DataFrame(map(row, COST_SIZES), columns=["samples", "seconds", "peak_mb"])


def draw_precision(table: pd.DataFrame, published: dict, path: Path) -> None:
    """Draw the error against N on logarithmic axes."""
    figure, axes = plt.subplots(figsize=(4.6, 3.2))
    for name, part in table.groupby("precision"):
        axes.plot(part.samples, part.error, "o-", color=COLOURS[name], markersize=4, label=name)
    for name, error in published.items():
        axes.plot(PRECISION_SIZES[-1], error, **PAPER | {"label": "paper" if name == "float32" else None})
    axes.set(xscale="log", yscale="log", xlabel="samples", ylabel="error of the mean (Euclidean)")
    axes.legend(fontsize=7)
    save(figure, path)


def draw_cost(table: pd.DataFrame, published: dict, path: Path) -> None:
    """Draw time on the left, memory on the right."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(7.2, 3.0))
    left.plot(table.samples, table.seconds, "o-", color=COLOURS["float64"], markersize=4, label="here")
    left.plot(list(published["seconds"]), list(published["seconds"].values()), **PAPER)
    left.set(xscale="log", yscale="log", xlabel="samples of each modality", ylabel="seconds")
    right.plot(table.samples, table.peak_mb, "o-", color=COLOURS["float64"], markersize=4, label="here")
    right.axhline(published["peak_mb"], color="black", linestyle="--", label="paper")
    right.set(xscale="log", xlabel="samples of each modality", ylabel="peak memory, MB", ylim=(0, None))
    left.legend(fontsize=7)
    right.legend(fontsize=7)
    save(figure, path)


def main() -> None:
    """Measure, draw and describe."""
    options = arguments(__doc__, "text", "image", "published")
    out_precision, out_cost = options.out
    published = read_yaml(options.published)["figures"]
    texts, images = rows(options.text), rows(options.image)

    table = precision(texts)
    save_table(table, out_precision)
    draw_precision(table, published["fig7a"], out_precision)
    last = table[table.samples == PRECISION_SIZES[-1]].set_index("precision").error
    facts = {"rows": len(texts), "dim": texts.shape[1]}
    describe(
        out_precision,
        facts | {"error": last, "most": PRECISION_SIZES[-1]},
        [
            (f"error at N = {PRECISION_SIZES[-1]:,}, {name}", published["fig7a"][name.split()[0]], last[name])
            for name in COLOURS
        ],
    )

    table = cost(texts, images)
    save_table(table, out_cost)
    draw_cost(table, published["fig7b"], out_cost)
    by_size, paper = table.set_index("samples"), published["fig7b"]
    describe(
        out_cost,
        facts | {"most": COST_SIZES[-1], "last": by_size.iloc[-1]},
        [(f"seconds, N = {size:,}", value, by_size.seconds[size]) for size, value in paper["seconds"].items()]
        + [(f"peak memory in MB, N = {COST_SIZES[-1]:,}", paper["peak_mb"], by_size.peak_mb.iloc[-1])],
    )


if __name__ == "__main__":
    run(main)
