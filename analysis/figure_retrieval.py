"""Beyond the paper: retrieval of held-out pairs before and after every aligner and each step of ReAlign.

Reads held-out pairs moved by every aligner (`revision measure`).
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from figure_inputs import arguments
from scipy.stats import spearmanr
from style import colour_of, describe, name_of, run, save, save_table

from revision.embeddings.rows import measured
from revision.gap.held_out import HeldOut, read_held_out
from revision.geometry.gap import centroid_gap
from revision.geometry.neighbours import hits, hits_without_common_part, pair_cosine
from revision.geometry.shape import common_score_share
from revision.stats.intervals import Interval, over_seeds

AT = (1, 5, 10)
WAYS = ("text to image", "image to text")
STEPS = ("identity", "realign_1", "realign_12", "realign")
STEP_NAMES = ("1: anchor", "2: trace", "3: centroid")


def row(method: str, metric: str, way: str, interval: Interval) -> dict:
    """One row of the tidy table."""
    return {"method": method, "metric": metric, "way": way, **interval.ends()}


def measure(pairs: HeldOut) -> pd.DataFrame:
    """One row per value with Student's 95% interval over queries: method, metric, way, value, low, high.

    "change" is the paired difference of R@1 to the texts before alignment, "step" that to ReAlign's previous step.
    """
    first = {name: hits(image, text) for name, (text, image) in pairs.moved.items()}
    before = {"realign_1": "identity", "realign_12": "realign_1", "realign": "realign_12"}
    table = []
    for name, (text, image) in pairs.moved.items():
        of_text, of_image = (measured(rows, covariance=True) for rows in (text, image))
        queries = {WAYS[0]: (of_text, of_image), WAYS[1]: (of_image, of_text)}
        for k in AT:
            by_way = first[name] if k == 1 else hits(image, text, k)
            table += [row(name, f"R@{k}", way, over_seeds(hit)) for way, hit in zip(WAYS, by_way, strict=True)]
        for way, hit in zip(WAYS, hits_without_common_part(image, text), strict=True):
            table.append(row(name, "R@1 without common part", way, over_seeds(hit)))
        for index, (way, (query, target)) in enumerate(queries.items()):
            fraction = common_score_share(query.mean, query.covariance, target.covariance)
            table.append(row(name, "common part", way, Interval(fraction, np.nan, np.nan)))
            table.append(row(name, "change", way, over_seeds(first[name][index] - first["identity"][index])))
            if name in before:
                table.append(row(name, "step", way, over_seeds(first[name][index] - first[before[name]][index])))
        both = np.mean(first[name], axis=0)
        table.append(row(name, "change", "both", over_seeds(both - np.mean(first["identity"], axis=0))))
        if name in before:
            table.append(row(name, "step", "both", over_seeds(both - np.mean(first[before[name]], axis=0))))
        table.append(row(name, "pair cosine", "both", over_seeds(pair_cosine(image, text))))
        table.append(row(name, "gap", "both", Interval(centroid_gap(image, text), np.nan, np.nan)))
    return pd.DataFrame(table)


def both_ways(table: pd.DataFrame, metric: str) -> pd.Series:
    """Mean of both directions by method."""
    return table[table.metric == metric].groupby("method", sort=False).value.mean()


def findings(table: pd.DataFrame, paired: list[str]) -> dict:
    """Numbers of the caption: the loss at each step, what explains it, and which aligners avoid it."""
    recall, without, common = (both_ways(table, m) for m in ("R@1", "R@1 without common part", "common part"))
    steps = table[(table.metric == "step") & (table.way == "both")].set_index("method").loc[list(STEPS[1:])]
    change = table[(table.metric == "change") & (table.way == "both")].set_index("method")
    gap = both_ways(table, "gap")
    rest = [name for name in recall.index if name != "identity"]
    unpaired = [name for name in rest if name not in paired and gap[name] < gap["identity"] / 2]
    return {
        "recall": recall,
        "without": without,
        "common": common,
        "steps": dict(zip(STEP_NAMES, steps.itertuples(), strict=True)),
        "step_methods": STEPS[1:],
        "losing": [name for name, high in zip(STEP_NAMES, steps.high, strict=True) if high < 0],
        "methods": len(rest),
        "relation": spearmanr((common - common["identity"])[rest], (recall - recall["identity"])[rest]).statistic,
        "keep": [change.loc[name] for name in unpaired if change.high[name] >= 0],
        "lose": [change.loc[name] for name in unpaired if change.high[name] < 0],
    }


def draw(table: pd.DataFrame, path: Path) -> None:
    """Draw recall and pair cosine by method above, ReAlign's steps and recall against the common part below."""
    methods = list(dict.fromkeys(table.method))
    figure = plt.figure(figsize=(7.2, 6.6))
    above, below = figure.subfigures(2, 1, height_ratios=(1.35, 1))
    panels = above.subplots(1, 4, sharey=True)
    for panel, metric in zip(panels, (*(f"R@{k}" for k in AT), "pair cosine"), strict=True):
        for y, name in enumerate(methods):
            part = table[(table.method == name) & (table.metric == metric)]
            for value, way in zip(part.value, part.way, strict=True):
                fill = "white" if way == WAYS[1] else colour_of(name)
                panel.plot(value, y, "o", color=colour_of(name), markersize=5, markerfacecolor=fill)
        before = table[(table.method == "identity") & (table.metric == metric)].value.mean()
        panel.axvline(before, color="grey", linestyle=":")
        panel.set_xlabel(metric)
        panel.grid(axis="x", alpha=0.3)
    panels[0].set_yticks(range(len(methods)), [name_of(name) for name in methods])
    panels[0].set_ylim(len(methods) - 0.4, -0.6)
    handles = [
        plt.Line2D([], [], marker="o", color="grey", linestyle="none", label=WAYS[0]),
        plt.Line2D([], [], marker="o", color="grey", linestyle="none", markerfacecolor="white", label=WAYS[1]),
        plt.Line2D([], [], color="grey", linestyle=":", label="before alignment, mean of both directions"),
    ]
    above.legend(handles=handles, fontsize=7, ncols=3, loc="outside upper center")
    left, right = below.subplots(1, 2)
    for offset, way in ((-0.12, WAYS[0]), (0.12, WAYS[1])):
        part = table[(table.metric == "step") & (table.way == way)].set_index("method").loc[list(STEPS[1:])]
        errors = 100 * (part.value - part.low), 100 * (part.high - part.value)
        colour = colour_of("realign")
        style = {"fmt": "o", "capsize": 2, "color": colour, "markerfacecolor": colour if way == WAYS[0] else "white"}
        left.errorbar(np.arange(len(part)) + offset, 100 * part.value, errors, label=way, **style)
    left.axhline(0, color="grey", linestyle=":")
    left.set_xticks(range(len(STEP_NAMES)), STEP_NAMES)
    left.set(ylabel="change of R@1, points", xlabel="step of ReAlign")
    left.legend(fontsize=7)
    recall, without, common = (both_ways(table, m) for m in ("R@1", "R@1 without common part", "common part"))
    for name in methods:
        right.plot([common[name]] * 2, [recall[name], without[name]], color=colour_of(name), linewidth=0.8)
        right.plot(common[name], recall[name], "o", color=colour_of(name), markersize=6)
        right.plot(common[name], without[name], "^", color=colour_of(name), markersize=4, markerfacecolor="white")
    right.set(xlabel="fraction of score variance\ncommon to all queries", ylabel="R@1, mean of both directions")
    style = {"color": "grey", "linestyle": "none"}
    handles = [
        plt.Line2D([], [], marker="o", label="R@1", **style),
        plt.Line2D([], [], marker="^", markerfacecolor="white", label="without the common part", **style),
    ]
    right.legend(handles=handles, fontsize=7)
    save(figure, path)


def main() -> None:
    """Measure, draw and describe."""
    options = arguments(__doc__, "moved")
    (out,), pairs = options.out, read_held_out(options.moved)
    table = measure(pairs)
    save_table(table, out)
    draw(table, out)
    recall, cosine = both_ways(table, "R@1"), both_ways(table, "pair cosine")
    describe(
        out,
        {"pairs": pairs.facts} | findings(table, pairs.paired),
        [(f"R@1, {name_of(name)}", None, recall[name]) for name in STEPS]
        + [(f"pair cosine, {name_of(name)}", None, cosine[name]) for name in ("identity", "realign")],
    )


if __name__ == "__main__":
    run(main)
