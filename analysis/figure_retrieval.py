"""Beyond the paper: retrieval of held-out pairs before and after every aligner and each step of ReAlign.

Reads held-out pairs moved by every aligner (`revision measure`).
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from figure_inputs import arguments
from matplotlib.ticker import MaxNLocator
from scipy.stats import spearmanr
from style import LEVEL, PAGE, ROW, colour_of, describe, key, method_rows, name_of, run, save, save_table

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
        "losing": [name for name, high in zip(STEP_NAMES, steps.high, strict=True) if high < 0],
        "methods": len(rest),
        "relation": spearmanr((common - common["identity"])[rest], (recall - recall["identity"])[rest]).statistic,
        "keep": [change.loc[name] for name in unpaired if change.high[name] >= 0],
        "lose": [change.loc[name] for name in unpaired if change.high[name] < 0],
    }


def draw(table: pd.DataFrame, path: Path) -> None:
    """Draw recall and pair cosine by method above, the part common to all queries and ReAlign's steps below."""
    methods = list(dict.fromkeys(table.method))
    figure = plt.figure(figsize=(PAGE, 1.9 + 2 * ROW * len(methods)))
    above, below = figure.subfigures(2, 1, height_ratios=(1.05, 1))
    by_way = dict(zip(WAYS, ("full", "none"), strict=True))
    for panel, metric in zip(above.subplots(1, 4, sharey=True), (*(f"R@{k}" for k in AT), "pair cosine"), strict=True):
        method_rows(panel, methods)
        percent = 1 if metric == "pair cosine" else 100
        for y, name in enumerate(methods):
            for row in table[(table.method == name) & (table.metric == metric)].itertuples():
                offset = {WAYS[0]: -0.17, WAYS[1]: 0.17}.get(row.way, 0)
                style = {"color": colour_of(name), "fillstyle": by_way.get(row.way, "full"), "markersize": 3.5}
                error = [percent * (row.value - row.low)], [percent * (row.high - row.value)]
                panel.errorbar(percent * row.value, y + offset, xerr=error, fmt="o", elinewidth=0.8, **style)
        before = table[(table.method == "identity") & (table.metric == metric)].value.mean()
        panel.axvline(percent * before, **LEVEL)
        panel.set_xlabel(metric if percent == 1 else f"{metric}, %")
        panel.xaxis.set_major_locator(MaxNLocator(3))
    handles = [
        *(key(fillstyle=fill, markersize=3.5, label=way) for way, fill in by_way.items()),
        plt.Line2D([], [], **LEVEL, label="before alignment, mean of both directions"),
    ]
    above.legend(handles=handles, ncols=3, loc="outside upper center")
    left, middle, right = below.subplots(1, 3)
    recall, without, common = (both_ways(table, m) for m in ("R@1", "R@1 without common part", "common part"))
    method_rows(left, methods)
    method_rows(middle, methods)
    middle.set_yticklabels([])
    for y, name in enumerate(methods):
        style = {"color": colour_of(name), "zorder": 3}
        left.plot([100 * recall[name], 100 * without[name]], [y, y], color=colour_of(name), linewidth=0.8)
        left.plot(100 * recall[name], y, "o", **style)
        left.plot(100 * without[name], y, "^", fillstyle="none", **style)
        middle.plot(100 * common[name], y, "s", clip_on=False, **style)
    left.set_xlabel("R@1, both directions, %")
    middle.set_xlabel("common part, % of the variance")
    for panel in (left, middle):
        panel.xaxis.set_major_locator(MaxNLocator(3))
    middle.set_xlim(left=0)
    for offset, (way, fill) in zip((-0.12, 0.12), by_way.items(), strict=True):
        part = table[(table.metric == "step") & (table.way == way)].set_index("method").loc[list(STEPS[1:])]
        errors = 100 * (part.value - part.low), 100 * (part.high - part.value)
        style = {"fmt": "o", "color": colour_of("realign"), "fillstyle": fill}
        right.errorbar(np.arange(len(part)) + offset, 100 * part.value, errors, **style)
    right.axhline(0, **LEVEL)
    right.set_xticks(range(len(STEP_NAMES)), [name.replace(": ", "\n") for name in STEP_NAMES])
    right.set_xlim(-0.5, len(STEP_NAMES) - 0.5)
    right.set(ylabel="change of R@1, points", xlabel="step of ReAlign")
    handles = [
        key(label="R@1"),
        key(marker="^", fillstyle="none", label="R@1 without the common part"),
    ]
    below.legend(handles=handles, ncols=2, loc="outside upper center")
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
