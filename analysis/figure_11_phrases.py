"""Figure 11: the share of non-visual phrases in a long caption against its distance to its picture."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from figure_inputs import HeldOut, arguments, held_out
from scipy.stats import spearmanr
from style import colour_of, describe, name_of, save, save_table

from revision.data.corpus import read_columns
from revision.data.scenes import nonvisual_share
from revision.geometry.neighbours import pair_cosine
from revision.stats.intervals import over_seeds

EDGES = np.array([0.0, 1e-9, 0.15, 0.3, 0.45, 0.6, 1.0])
LEAST = 10
AGAINST = {
    "nonvisual_share": "share of non-visual words",
    "nonvisual_words": "number of non-visual words",
    "visual_words": "number of visual words",
}


def measure(pairs: HeldOut, captions: list[str]) -> pd.DataFrame:
    """One row a caption and method: non-visual words and their share, visual words, distance to its own picture."""
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
    """Mean share, mean distance and its 95% interval in bins of the share that hold ten captions or more."""
    found = []
    for _, rows in part.groupby(np.digitize(part.nonvisual_share, EDGES[1:-1], right=False)):
        if len(rows) >= LEAST:
            mean = over_seeds(rows.distance.to_numpy())
            found.append({"share": rows.nonvisual_share.mean(), "mean": mean.value, "low": mean.low, "high": mean.high})
    return pd.DataFrame(found)


def draw(table: pd.DataFrame, path: Path) -> None:
    """A point a caption behind the binned means, one panel a method."""
    methods = list(dict.fromkeys(table.method))
    figure, panels = plt.subplots(1, len(methods), figsize=(3.4 * len(methods), 3.2), squeeze=False)
    for panel, name in zip(panels[0], methods, strict=True):
        part = table[table.method == name]
        means = binned(part)
        panel.plot(part.nonvisual_share, part.distance, ".", color=colour_of(name), markersize=2, alpha=0.25)
        panel.errorbar(means.share, means["mean"], (means["mean"] - means.low, means.high - means["mean"]),
                       color="black", marker="o", markersize=4, capsize=2)  # fmt: skip
        panel.set_title(name_of(name), fontsize=9)
        panel.set_xlabel("share of non-visual words")
    panels[0][0].set_ylabel("1 - cosine to its picture")
    save(figure, path)


if __name__ == "__main__":
    options = arguments(__doc__, "aligners", "captions").parse_args()
    pairs = held_out(options.work, "long", options.aligners)
    table = measure(pairs, read_columns(options.captions, ["long"])["long"][-len(pairs.text) :])
    save_table(table, options.out[0])
    draw(table, options.out[0])
    relation = {
        (name, against): spearmanr(part[against], part.distance)
        for name, part in table.groupby("method", sort=False)
        for against in AGAINST
    }
    describe(
        options.out[0],
        "Phrases that no picture shows",
        "figure 11",
        f"Long captions of {len(pairs.text)} held-out pairs. Non-visual words are those of the world's asides, such "
        "as 'nobody knows why'; full stops are not counted. Black: means in bins of the share with Student's 95% "
        "interval over captions. A share is small too where the visual part is long, while the number of non-visual "
        "words is drawn independently of it. Spearman's rank correlation with the distance: "
        + "; ".join(
            f"{name_of(name)}, {AGAINST[against]} {found.statistic:.3f} (p = {found.pvalue:.2g})"
            for (name, against), found in relation.items()
        )
        + f". The paper shows examples and no number. {pairs.fitted}",
        "Scatter of the distance to the picture against the share of non-visual words, with means in bins.",
        [
            (f"Spearman correlation of distance and {AGAINST[against]}, {name_of(name)}", None, found.statistic)
            for (name, against), found in relation.items()
        ],
    )
