"""Beyond the paper: encoders side by side, smallest gap first, from the results of `revision gap --json`."""

import json
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from figure_inputs import arguments
from style import colour_of, describe, name_of, run, save, save_table

from revision.gap.leaderboard import PARTS, leaderboard
from revision.gap.measure import BEFORE

PART_COLOURS = dict(zip(PARTS, ("#000000", "#56B4E9", "#E69F00", "#009E73"), strict=True))
PART_NAMES = {"beta": "|β|", "gamma": "|γ|", "delta": "RMS |δ|", "zeta": "RMS |ζ|"}


def draw(table: pd.DataFrame, path: Path) -> None:
    """Draw one row per encoder and one dot per method."""
    encoders = list(dict.fromkeys(table.encoder))
    methods = [name for name in dict.fromkeys(table["set"]) if name != "image"]
    figure = plt.figure(figsize=(9, 1.8 + 0.5 * len(encoders)))
    panels = figure.subplots(1, 6, sharey=True)
    values = table.set_index(["encoder", "set", "metric"]).value

    def dots(panel: Any, label: str, metric: str, names: list[str]) -> None:
        for y, encoder in enumerate(encoders):
            for name in names:
                value = values.get((encoder, name, metric))
                size = 7 if name == BEFORE else 4
                panel.plot(value, y, "o", color=colour_of(name), markersize=size, alpha=0.9)
        panel.set_xlabel(label)

    for y, encoder in enumerate(encoders):
        for part in PARTS:
            value = values.get((encoder, BEFORE, part))
            panels[1].plot(value, y, "s", color=PART_COLOURS[part], markersize=4)
    panels[1].set_xlabel("parts of the gap")
    dots(panels[0], "centroid gap", "gap", methods)
    panels[0].set_xscale("log")
    dots(panels[2], "power-law exponent", "alpha", ["image", *methods])
    dots(panels[3], "k-NN mixing rate", "mixing_rate", methods)
    dots(panels[4], "R@1, both directions", "recall", methods)
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


def effects(table: pd.DataFrame) -> dict[str, dict[str, float]]:
    """By aligner, the least and largest fraction of the gap closed and R@1 lost over all encoders, in percent."""
    values = table[table["set"] != "image"].pivot_table(index=["encoder", "set"], columns="metric", values="value")
    values = values.reindex(columns=["gap_closed", "retrieval_cost"]).reset_index().set_index("set")
    ranges = {}
    for name in [name for name in dict.fromkeys(table["set"]) if name not in ("image", BEFORE)]:
        part = 100 * values.loc[[name], ["gap_closed", "retrieval_cost"]]
        ranges[name] = {"least": part.gap_closed.min(), "most": part.gap_closed.max()}
        if part.retrieval_cost.notna().any():
            ranges[name] |= {"lost_least": part.retrieval_cost.min(), "lost_most": part.retrieval_cost.max()}
    return ranges


def main() -> None:
    """Measure, draw and describe."""
    help_text = "<encoder>.json as written by `revision gap --json`"
    options = arguments(__doc__, suites={"type": Path, "nargs": "+", "help": help_text})
    (out,) = options.out
    suites = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in options.suites}
    table = leaderboard(suites)
    save_table(table, out)
    draw(table, out)
    gaps = table[(table["set"] == BEFORE) & (table.metric == "gap")].dropna()
    describe(
        out,
        {
            "encoders": list(suites),
            "pairs": sorted({suite["counts"]["text_measured"] for suite in suites.values()}),
            "unpaired": [name for name, suite in suites.items() if not suite["paired"]],
            "least": gaps.iloc[0],
            "most": gaps.iloc[-1],
            "aligners": effects(table),
        },
        [(f"gap, {name_of(row.encoder)}", None, row.value) for row in gaps.itertuples()],
    )


if __name__ == "__main__":
    run(main)
