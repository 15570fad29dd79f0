"""Figure 11: the distance of a long caption to its image against its fraction of non-visual phrases.

Reads held-out pairs moved by every aligner (`revision measure`) and the captions.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from figure_inputs import arguments
from scipy.stats import spearmanr
from style import PAGE, colour_of, describe, key, name_of, run, save, save_table

from revision.data.corpus import read_columns
from revision.data.scenes import nonvisual_share
from revision.gap.held_out import HeldOut, read_held_out
from revision.geometry.neighbours import pair_cosine
from revision.stats.intervals import over_seeds

EDGES = np.array([0.0, 1e-9, 0.15, 0.3, 0.45, 0.6, 1.0])
LEAST = 10
AGAINST = {
    "nonvisual_share": "fraction of non-visual words",
    "nonvisual_words": "number of non-visual words",
    "visual_words": "number of visual words",
}


def measure(pairs: HeldOut, captions: list[str]) -> pd.DataFrame:
    """One row per caption and method: fraction and number of non-visual words, visual words, distance to its image."""
    shares = np.array([nonvisual_share(caption) for caption in captions])
    words = np.array([sum(word != "." for word in caption.split()) for caption in captions])
    counts = {"nonvisual_words": np.rint(shares * words), "visual_words": np.rint((1 - shares) * words)}
    return pd.concat(
        [
            pd.DataFrame(
                {"method": name, "nonvisual_share": shares, **counts, "distance": 1 - pair_cosine(image, text)}
            )
            for name, (text, image) in pairs.moved.items()
        ],
        ignore_index=True,
    )


def binned(part: pd.DataFrame) -> pd.DataFrame:
    """Mean fraction, mean distance and its 95% interval in bins of at least ten captions."""
    bins = []
    for _, rows in part.groupby(np.digitize(part.nonvisual_share, EDGES[1:-1], right=False)):
        if len(rows) >= LEAST:
            mean = over_seeds(rows.distance.to_numpy())
            bins.append({"share": rows.nonvisual_share.mean(), **mean.ends()})
    return pd.DataFrame(bins)


def draw(table: pd.DataFrame, correlations: dict[tuple[str, str], float], path: Path) -> None:
    """Draw one point per caption behind the binned means, one panel per method; all axes span the same distance."""
    methods = list(dict.fromkeys(table.method))
    figure, panels = plt.subplots(1, len(methods), figsize=(PAGE, 2.3), sharex=True, squeeze=False)
    ranges = table.groupby("method").distance.agg(["min", "max"])
    half = 0.52 * (ranges["max"] - ranges["min"]).max()
    for panel, name in zip(panels[0], methods, strict=True):
        part = table[table.method == name]
        means = binned(part)
        points = {"color": colour_of(name), "markersize": 1.5, "markeredgewidth": 0, "alpha": 0.5}
        panel.plot(part.nonvisual_share, part.distance, "o", **points, rasterized=True)
        errors = means.value - means.low, means.high - means.value
        panel.errorbar(means.share, means.value, errors, color="black", marker="o", markersize=3)
        correlation = f"{correlations[name, 'nonvisual_share']:+.2f}".replace("-", "−")
        panel.set_title(f"{name_of(name)}: rank correlation {correlation}, n = {len(part):,}")
        middle = ranges.loc[name].mean()
        panel.set_ylim(middle - half, middle + half)
    figure.supxlabel(AGAINST["nonvisual_share"])
    panels[0][0].set_ylabel("1 − cosine to its image")
    handles = [
        key(markersize=2, label="one caption"),
        key(color="black", markersize=3, linestyle="-", label="mean, 95% interval"),
    ]
    figure.legend(handles=handles, ncols=2, loc="outside upper center")
    save(figure, path)


def main() -> None:
    """Measure, draw and describe."""
    options = arguments(__doc__, "moved", "captions")
    (out,) = options.out
    pairs = read_held_out(options.moved)
    captions = read_columns(options.captions, ["long"])["long"][-len(pairs.text) :]
    table = measure(pairs, captions)
    save_table(table, out)
    correlations = {
        (name, against): spearmanr(part[against], part.distance).statistic
        for name, part in table.groupby("method", sort=False)
        for against in AGAINST
    }
    draw(table, correlations, out)
    describe(
        out,
        {"pairs": pairs.facts, "before": correlations["identity", "nonvisual_share"]},
        [
            (f"rank correlation of distance and {AGAINST[against]}, {name_of(name)}", None, correlation)
            for (name, against), correlation in correlations.items()
        ],
    )


if __name__ == "__main__":
    run(main)
