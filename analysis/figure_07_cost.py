"""Figure 7: precision of the mean, and time and memory of ReAlign, by number of samples; reads embeddings."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from figure_inputs import arguments, rows
from style import PAGE, PAPER, colour_of, describe, name_of, plain_log, run, save, save_table

from revision.align import make_aligner
from revision.config import read_yaml
from revision.gap.cost import Cycled, mean_errors, operator_cost

PRECISION_SIZES = (1_000, 5_000, 10_000, 50_000, 100_000, 500_000)
COST_SIZES = (10_000, 100_000, 1_000_000)
STYLES = {
    "float32": {"color": "black", "marker": "o"},
    "float32 pairwise": {"color": "#777777", "marker": "s", "linestyle": "--"},
    "float64": {"color": "black", "marker": "^", "linestyle": ":"},
}


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


def draw(precision: pd.DataFrame, cost: pd.DataFrame, published: dict, path: Path) -> None:
    """Draw the error of the mean, the time and the memory against N, all on logarithmic axes."""
    figure, panels = plt.subplots(1, 3, figsize=(PAGE, 2.5))
    handles = []
    for name, style in STYLES.items():
        part = precision[precision.precision == name]
        handles += panels[0].plot(part.samples, part.error, label=name, **style)
    for error in published["fig7a"].values():
        panels[0].plot(PRECISION_SIZES[-1], error, **PAPER)
    ours = {"color": colour_of("realign"), "marker": "o", "label": name_of("realign")}
    handles += panels[1].plot(cost.samples, cost.seconds, **ours)
    seconds = published["fig7b"]["seconds"]
    handles += panels[1].plot(list(seconds), list(seconds.values()), **PAPER)
    panels[2].plot(cost.samples, cost.peak_mb, **ours)
    panels[2].plot(COST_SIZES[-1], published["fig7b"]["peak_mb"], **PAPER)
    labels = "error of the mean (Euclidean)", "time, s", "peak memory, MB\n(embeddings not counted)"
    for panel, label in zip(panels, labels, strict=True):
        panel.set(xscale="log", yscale="log", xlabel="samples", ylabel=label)
        panel.margins(0.1)
        plain_log(panel.xaxis, panel.yaxis)
    figure.legend(handles=handles, ncols=5, loc="outside upper center")
    save(figure, path)


def main() -> None:
    """Measure, draw and describe."""
    options = arguments(__doc__, "text", "image", "published")
    out_precision, out_cost = options.out
    published = read_yaml(options.published)["figures"]
    texts, images = rows(options.text), rows(options.image)

    errors, costs = precision(texts), cost(texts, images)
    save_table(errors, out_precision)
    save_table(costs, out_cost)
    whole = out_precision.with_stem(out_precision.stem.removesuffix("a"))
    draw(errors, costs, published, whole)
    last = errors[errors.samples == PRECISION_SIZES[-1]].set_index("precision").error
    by_size, paper = costs.set_index("samples"), published["fig7b"]
    describe(
        whole,
        {
            "rows": len(texts),
            "dim": texts.shape[1],
            "error": last,
            "most": PRECISION_SIZES[-1],
            "largest": COST_SIZES[-1],
            "last": by_size.iloc[-1],
        },
        [
            (f"error at N = {PRECISION_SIZES[-1]:,}, {name}", published["fig7a"][name.split()[0]], last[name])
            for name in STYLES
        ]
        + [(f"seconds, N = {size:,}", value, by_size.seconds[size]) for size, value in paper["seconds"].items()]
        + [(f"peak memory in MB, N = {COST_SIZES[-1]:,}", paper["peak_mb"], by_size.peak_mb.iloc[-1])],
    )


if __name__ == "__main__":
    run(main)
