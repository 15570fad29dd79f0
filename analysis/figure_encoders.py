"""Encoders side by side, smallest gap first: gap and its parts, spectra, mixing, what each aligner does and costs."""

import argparse
import json
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from style import colour_of, describe, name_of, save, save_table

from revision.gap.leaderboard import PARTS, leaderboard
from revision.gap.measure import BEFORE

PART_COLOURS = dict(zip(PARTS, ("#000000", "#56B4E9", "#E69F00", "#009E73"), strict=True))
PART_NAMES = {"beta": "|β|", "gamma": "|γ|", "delta": "RMS |δ|", "zeta": "RMS |ζ|"}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("suites", nargs="+", help="encoder=file, the file written by revision gap --json")
    parser.add_argument("--out", type=Path, required=True)
    return parser.parse_args()


def draw(table: pd.DataFrame, path: Path) -> None:
    """One row an encoder; a dot a method."""
    encoders = list(dict.fromkeys(table.encoder))
    methods = [name for name in dict.fromkeys(table["set"]) if name != "image"]
    figure = plt.figure(figsize=(9, 1.6 + 0.5 * len(encoders) + 0.2))
    panels = figure.subplots(1, 6, sharey=True)
    values = table.set_index(["encoder", "set", "metric"]).value

    def dots(panel: Any, label: str, metric: str, names: list[str]) -> None:
        for place, encoder in enumerate(encoders):
            for name in names:
                value = values.get((encoder, name, metric))
                size = 7 if name == BEFORE else 4
                panel.plot(value, place, "o", color=colour_of(name), markersize=size, alpha=0.9)
        panel.set_xlabel(label)

    for place, encoder in enumerate(encoders):
        for part in PARTS:
            value = values.get((encoder, BEFORE, part))
            panels[1].plot(value, place, "s", color=PART_COLOURS[part], markersize=4)
    panels[1].set_xlabel("parts of the gap")
    dots(panels[0], "centroid gap", "gap", methods)
    panels[0].set_xscale("log")
    dots(panels[2], "power-law exponent", "alpha", ["image", *methods])
    dots(panels[3], "k-NN mixing rate", "mixing_rate", methods)
    dots(panels[4], "R@1, both ways", "recall", methods)
    dots(panels[5], "R@1 lost", "retrieval_cost", [name for name in methods if name != BEFORE])
    panels[5].axvline(0, color="grey", linestyle=":")
    for panel in panels:
        panel.grid(axis="x", alpha=0.3)
    panels[0].set_yticks(range(len(encoders)), [name_of(name) for name in encoders])
    panels[0].set_ylim(len(encoders) - 0.5, -0.5)
    handles = [
        plt.Line2D([], [], marker="o", linestyle="none", color=colour_of(name), label=name_of(name))
        for name in ("image", *methods)
    ] + [
        plt.Line2D([], [], marker="s", linestyle="none", color=PART_COLOURS[part], label=PART_NAMES[part])
        for part in PARTS
    ]
    figure.legend(handles=handles, fontsize=7, ncols=7, loc="outside lower center")
    save(figure, path)


def explain(table: pd.DataFrame, suites: dict[str, dict[str, Any]]) -> str:
    """How the numbers were made and what each aligner did over all encoders."""
    counts = {suite["counts"]["text_measured"] for suite in suites.values()}
    words = [
        f"{len(suites)} encoders, each measured on {' or '.join(map(str, sorted(counts)))} pairs; aligners fitted "
        "on the other half. Large dots: before alignment; black: pictures. Parts of the gap in the frame of "
        "section 3. R@1 is the mean of both ways."
    ]
    unpaired = [name_of(name) for name, suite in suites.items() if not suite["paired"]]
    if unpaired:
        words.append(f"Without pairs, so without parts and R@1: {', '.join(unpaired)}.")
    values = table[table["set"] != "image"].pivot_table(index=["encoder", "set"], columns="metric", values="value")
    values = values.reset_index().set_index("set")
    for name in [name for name in dict.fromkeys(table["set"]) if name not in ("image", BEFORE)]:
        part = values.loc[[name]]
        cost = part.retrieval_cost.dropna() * 100 if "retrieval_cost" in part else []
        lost = f", R@1 changes by {-max(cost):+.1f} to {-min(cost):+.1f} points" if len(cost) else ""
        closed = 100 * part.gap_closed
        words.append(f"{name_of(name)} closes {closed.min():.1f} to {closed.max():.1f}% of the gap{lost}.")
    return " ".join(words)


if __name__ == "__main__":
    options = arguments()
    places = dict(word.split("=", 1) for word in options.suites)
    suites = {name: json.loads(Path(path).read_text(encoding="utf-8")) for name, path in places.items()}
    table = leaderboard(suites)
    save_table(table, options.out)
    draw(table, options.out)
    gaps = table[(table["set"] == BEFORE) & (table.metric == "gap")]
    describe(
        options.out,
        "Encoders side by side",
        "beyond the paper",
        explain(table, suites),
        "One row an encoder, smallest gap first: gap, its parts, power-law exponent, mixing rate, retrieval, and the "
        "retrieval that each aligner loses.",
        [(f"gap, {name_of(row.encoder)}", None, row.value) for row in gaps.itertuples()],
    )
