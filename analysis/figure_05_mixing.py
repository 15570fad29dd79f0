"""Figure 5: texts and images in the plane of their leading principal axes, and the k-NN mixing rate.

Reads held-out pairs moved by every aligner (`revision measure`).
"""

from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from figure_inputs import arguments
from style import colour_of, describe, dots, name_of, run, save, save_table

from revision.config import read_yaml
from revision.gap.held_out import HeldOut, read_held_out
from revision.geometry.neighbours import mixing_rate
from revision.geometry.spectrum import principal_axes

K = 20
PANELS = ("identity", "c3", "realign")
POINTS = 800


def measure(pairs: HeldOut) -> pd.DataFrame:
    """One row per method: mixing rate in percent, and that of two well-mixed sets."""
    chance = len(pairs.image) / (2 * len(pairs.image) - 1)
    return pd.DataFrame(
        [
            {"method": name, "k": K, "mixing_percent": 100 * mixing_rate(text, image, K), "well_mixed": 100 * chance}
            for name, (text, image) in pairs.moved.items()
        ]
    )


def draw(pairs: HeldOut, table: pd.DataFrame, published: dict, path: Path) -> None:
    """Draw three scatter plots in one plane above, the mixing rate of every method below."""
    figure = plt.figure(figsize=(7.2, 5.6))
    above, below = figure.subfigures(2, 1, height_ratios=(1, 1.15))
    mean, axes = principal_axes(pairs.image, pairs.text)
    for panel, name in zip(above.subplots(1, len(PANELS), sharex=True, sharey=True), PANELS, strict=True):
        text, image = pairs.moved[name]
        for rows, colour, label in ((image, "black", "images"), (text, colour_of(name), "texts")):
            panel.scatter(*((rows[:POINTS] - mean) @ axes).T, s=4, color=colour, alpha=0.5, linewidths=0, label=label)
        panel.set_title(name_of(name), fontsize=9)
        panel.set_xlabel("first axis")
        panel.legend(fontsize=7, markerscale=3)
    above.axes[0].set_ylabel("second axis")
    right = below.subplots()
    dots(right, table.set_index("method").mixing_percent.to_dict(), published)
    right.axvline(table.well_mixed.iloc[0], color="grey", linestyle=":", label="well mixed")
    right.set_xlabel(f"images among the {K} nearest neighbours of a text, percent (diamond: paper)")
    below.legend(fontsize=7, loc="outside upper right")
    save(figure, path)


def main() -> None:
    """Measure, draw and describe."""
    options = arguments(__doc__, "moved", "published")
    (out,) = options.out
    published = read_yaml(options.published)["figures"]["fig5"]
    paper = {"identity": published["text"], **published}
    pairs = read_held_out(options.moved)
    table = measure(pairs)
    save_table(table, out)
    draw(pairs, table, paper, out)
    mixing = table.set_index("method").mixing_percent
    describe(
        out,
        {"pairs": pairs.facts, "mixing": mixing, "k": K, "points": POINTS, "well_mixed": table.well_mixed[0]},
        [(f"mixing rate in percent, {name_of(name)}", paper[name], mixing[name]) for name in PANELS],
    )


if __name__ == "__main__":
    run(main)
