"""One table of variants: accuracy by group of suites with intervals, differences to a reference row, effect, power."""

import argparse
import json
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import yaml
from style import PAPER, describe, name_of, save, save_table

from revision.stats.paired import ALL, AVERAGE, read_answers, score_table

UNREACHABLE = {"questions a suite": 100_000, "seeds": 1_000}  # more than these helps nobody
STAGES = {"stage2": "after Stage 2", "stage1": "zero-shot, after Stage 1 only"}
COLOURS = ("#0072B2", "#E69F00", "#CC79A7", "#009E73")


def measure(paths: list[Path], settings: dict[str, Any], starts: dict[str, str | None]) -> pd.DataFrame:
    """The tidy table: the columns of `revision.stats.paired.score_table` with the stage before them."""
    rows, reference, tables = settings["rows"], settings["reference"], []
    for stage in STAGES:
        chosen = rows if stage == "stage2" else [row for row in rows if starts[row] == row]
        if reference not in chosen:
            continue
        found = score_table(read_answers(paths, [f"{stage}/{row}" for row in chosen]), f"{stage}/{reference}")
        found["method"] = found.method.str.removeprefix(f"{stage}/")
        tables.append(found)
        found.insert(0, "stage", stage)
    return pd.concat(tables, ignore_index=True)


def add_published(table: pd.DataFrame, settings: dict[str, Any], published: dict[str, Any]) -> None:
    """Put the paper's average beside ours, in column `published_average` of the rows that hold the average."""
    paper = {row: published["rows"][name]["avg"] for row, name in settings["published"].items()}
    whole = (table.stage == "stage2") & (table.suite == AVERAGE) & (table.group == ALL)
    table["published_average"] = table.method.map(paper).where(whole).astype(float)


def draw(table: pd.DataFrame, path: Path) -> None:
    """A row a variant: accuracy by group and average with intervals on the left, difference to the reference right."""
    part = table[(table.stage == "stage2") & (table.suite == AVERAGE)]
    methods, groups = list(dict.fromkeys(part.method)), list(dict.fromkeys(part.group))
    figure, (left, right) = plt.subplots(1, 2, figsize=(7.4, 1.3 + 0.42 * len(methods)), sharey=True,
                                         width_ratios=(1.5, 1))  # fmt: skip
    places = np.arange(len(methods))
    for number, (group, colour) in enumerate(zip(groups, COLOURS, strict=False)):
        found = part[part.group == group].set_index("method").loc[methods]
        left.errorbar(
            found.value, places + 0.15 * (number - 1.5), xerr=[found.value - found.low, found.high - found.value],
            fmt="o", color="black" if group == ALL else colour, markersize=5 if group == ALL else 3.5, capsize=2,
            linewidth=1, label=AVERAGE if group == ALL else group,
        )  # fmt: skip
    total = part[part.group == ALL].set_index("method").loc[methods]
    if total.published_average.notna().any():
        left.plot(total.published_average, places + 0.15 * 1.5, **PAPER | {"label": "paper (its own suites)"})
    compared = total[total.within_noise.notna()]
    right.axvline(0, color="grey", linewidth=1)
    for method, row in compared.iterrows():
        low, high = row.difference - row.difference_low, row.difference_high - row.difference
        right.errorbar(row.difference, methods.index(method), xerr=[[low], [high]], fmt="o", capsize=2, markersize=5,
                       color="#999999" if row.within_noise else "black")  # fmt: skip
    left.set_yticks(places, [name_of(method) for method in methods])
    left.set_ylim(len(methods) - 0.5, -0.5)
    left.set_xlabel("accuracy, %")
    right.set_xlabel("difference to the reference, points\n(grey: within noise)")
    for panel in (left, right):
        panel.grid(axis="x", alpha=0.3)
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=5, fontsize=7)
    save(figure, path)


def power(table: pd.DataFrame) -> str:
    """What the design can find, and what a row within noise would take."""
    part = table[(table.stage == "stage2") & (table.suite == AVERAGE) & (table.group == ALL)]
    part = part[part.within_noise.notna()]
    said = [f"With a power of 80% this run finds differences of {part.detectable.min():.1f} to "
            f"{part.detectable.max():.1f} points in the average."]  # fmt: skip
    for row in part[part.within_noise.astype(bool)].itertuples():
        needs = [
            f"{np.ceil(count):.0f} {what}"
            for count, what in ((row.questions_needed, "questions a suite"), (row.seeds_needed, "seeds"))
            if count <= UNREACHABLE[what]
        ]
        said.append(
            f"{name_of(row.method)} is within noise of the reference ({row.difference:+.1f} points); a difference of "
            f"this size would take {' or '.join(needs) or 'more of both than is worth it'}."
        )
    return " ".join(said)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("answers", type=Path, nargs="+", help="answers of every seed")
    parser.add_argument("--name", required=True, help="name of the table, such as table_5")
    parser.add_argument("--settings", type=json.loads, required=True, help="its section of the configuration as JSON")
    parser.add_argument("--starts", type=json.loads, required=True, help="whose Stage 1 each row has, as JSON")
    parser.add_argument("--published", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    settings = options.settings
    published = yaml.safe_load(options.published.read_text(encoding="utf-8"))["tables"]
    table = measure(options.answers, settings, options.starts)
    add_published(table, settings, published.get(options.name.replace("_", ""), {"rows": {}}))
    save_table(table, options.out)
    draw(table, options.out)
    place = options.name.replace("_", " ") if settings["published"] else "beyond the paper"
    whole = table[(table.stage == "stage2") & (table.suite == AVERAGE) & (table.group == ALL)].set_index("method")
    describe(
        options.out,
        settings["title"],
        place,
        f"Accuracy after Stage 2 with 95% intervals by bootstrap over seeds and questions; differences to "
        f"{name_of(settings['reference'])} are paired over both. The paper's averages are over its own eleven "
        f"benchmarks and an 8B language model, so only orders compare. {settings.get('note', '')}"
        f"{' ' if settings.get('note') else ''}{power(table)}",
        "A row a variant: dots of accuracy by group of suites on the left, its difference to the reference right.",
        [
            (f"average, {name_of(method)}", paper_average, whole.value[method])
            for method, paper_average in whole.published_average.items()
            if not np.isnan(paper_average)
        ],
        settings["reference"],
    )
