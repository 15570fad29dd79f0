"""Beyond the paper: encoders side by side, smallest gap first, from the results of `revision gap --json`."""

import json
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from figure_inputs import arguments
from matplotlib.ticker import MaxNLocator
from style import LEVEL, PAGE, colour_of, describe, key, name_of, number_column, plain_log, rows, run, save, save_table

from revision.gap.leaderboard import PARTS, leaderboard
from revision.gap.measure import BEFORE

PART_MARKERS = dict(zip(PARTS, ("s", "^", "v", "d"), strict=True))
PART_NAMES = {"beta": "|β|", "gamma": "|γ|", "delta": "RMS |δ|", "zeta": "RMS |ζ|"}


def draw(table: pd.DataFrame, path: Path) -> None:
    """Draw one row per encoder and one dot per method."""
    encoders = list(dict.fromkeys(table.encoder))
    methods = [name for name in dict.fromkeys(table["set"]) if name != "image"]
    figure, grid = plt.subplots(2, 3, figsize=(PAGE, 1.9 + 0.44 * len(encoders)), sharey=True)
    values = table.set_index(["encoder", "set", "metric"]).value
    shown = {
        "distance of the centroids": ("gap", methods),
        "parts of the gap": (None, []),
        "power-law exponent": ("alpha", ["image", *methods]),
        "k-NN mixing rate": ("mixing_rate", methods),
        "R@1, both directions": ("recall", methods),
        "R@1 lost": ("retrieval_cost", methods[1:]),
    }
    for panel, (label, (metric, names)) in zip(grid.flat, shown.items(), strict=True):
        rows(panel, [name_of(name) for name in encoders])
        for y, encoder in enumerate(encoders):
            for name in names:
                style = {"markersize": 6, "fillstyle": "none"} if name == BEFORE else {"markersize": 4}
                panel.plot(values.get((encoder, name, metric)), y, "o", color=colour_of(name), **style)
            if metric is None:
                for part, marker in PART_MARKERS.items():
                    panel.plot(values.get((encoder, BEFORE, part)), y, marker, color="#555555", markersize=4)
        panel.set_xlabel(label)
        panel.xaxis.set_major_locator(MaxNLocator(3))
    grid[0, 0].set_xscale("log")
    plain_log(grid[0, 0].xaxis)
    number_column(grid[0, 0], [values[encoder, BEFORE, "gap"] for encoder in encoders], "before")
    grid[1, 2].axvline(0, **LEVEL)
    handles = [
        key(color=colour_of(name), label=name_of(name), fillstyle="none" if name == BEFORE else "full")
        for name in ("image", *methods)
    ] + [key(marker=marker, color="#555555", label=PART_NAMES[part]) for part, marker in PART_MARKERS.items()]
    figure.legend(handles=handles, ncols=6, loc="outside lower center")
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
