"""Figure 5: texts and images in the plane of their leading principal axes, and the k-NN mixing rate.

Reads held-out pairs moved by every aligner (`revision measure`).
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from figure_inputs import arguments
from style import LEVEL, PAGE, PAPER, ROW, colour_of, describe, dots, key, name_of, run, save, save_table

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
    values = table.set_index("method").mixing_percent.to_dict()
    heights = 2.3, 0.6 + ROW * len(values)
    figure = plt.figure(figsize=(PAGE, sum(heights)))
    above, below = figure.subfigures(2, 1, height_ratios=heights)
    mean, axes = principal_axes(pairs.image, pairs.text)
    for panel, name in zip(above.subplots(1, len(PANELS), sharex=True, sharey=True), PANELS, strict=True):
        text, image = (rows[:POINTS] for rows in pairs.moved[name])
        # In one shuffled set, so that neither modality covers the other.
        points = (np.concatenate([image, text]) - mean) @ axes
        colours = np.repeat([colour_of("image"), colour_of(name)], [len(image), len(text)])
        order = np.random.default_rng(0).permutation(len(points))
        panel.scatter(*points[order].T, s=4, c=colours[order], alpha=0.6, linewidths=0)
        panel.set_title(name_of(name))
        panel.set_xlabel("first principal axis")
    above.axes[0].set_ylabel("second principal axis")
    texts = [key(color=colour_of(name), label=f"texts, {name_of(name)}") for name in PANELS]
    above.legend(handles=[key(color=colour_of("image"), label="images"), *texts], ncols=4, loc="outside upper center")
    rates = below.subplots()
    dots(rates, values, published)
    rates.axvline(table.well_mixed.iloc[0], **LEVEL)
    rates.set_xlim(left=-1)
    rates.set_xlabel(f"images among the {K} nearest neighbours of a text, %")
    handles = [plt.Line2D([], [], **PAPER), plt.Line2D([], [], **LEVEL, label="well mixed")]
    below.legend(handles=handles, ncols=2, loc="outside upper center")
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
