"""Tables 1 to 8 and our own: accuracy by group of suites with intervals, and differences to a reference row.

Reads the answers of every training and the table's section of the settings.
"""

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from figure_inputs import arguments
from style import NAMES, PAPER, describe, name_of, run, save, save_table

from revision.config import read, read_yaml
from revision.config.variants import ScoreTable
from revision.stats.paired import ALL, AVERAGE, read_answers, score_table

STAGES = {"stage2": "after Stage 2", "stage1": "zero-shot, after Stage 1 only"}
COLOURS = ("#0072B2", "#E69F00", "#CC79A7", "#009E73")


def measure(paths: list[Path], settings: ScoreTable, stage1: list[str]) -> pd.DataFrame:
    """The tidy table: the stage, then the columns of `revision.stats.paired.score_table`."""
    rows, reference, tables = settings.rows, settings.reference, []
    for stage in STAGES:
        chosen = rows if stage == "stage2" else [row for row in rows if row in stage1]
        if reference not in chosen:
            continue
        table = score_table(read_answers(paths, [f"{stage}/{row}" for row in chosen]), f"{stage}/{reference}")
        table["method"] = table.method.str.removeprefix(f"{stage}/")
        table.insert(0, "stage", stage)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def add_published(table: pd.DataFrame, settings: ScoreTable, published: dict[str, Any]) -> None:
    """Add the paper's average as column `published_average` of the rows with the average over all suites."""
    paper = {row: published["rows"][name]["avg"] for row, name in settings.published.items()}
    whole = (table.stage == "stage2") & (table.suite == AVERAGE) & (table.group == ALL)
    table["published_average"] = table.method.map(paper).where(whole).astype(float)


def draw(table: pd.DataFrame, path: Path) -> None:
    """Draw one row per variant: accuracy with intervals on the left, difference to the reference on the right."""
    part = table[(table.stage == "stage2") & (table.suite == AVERAGE)]
    methods, groups = list(dict.fromkeys(part.method)), list(dict.fromkeys(part.group))
    size = 7.4, 1.3 + 0.42 * len(methods)
    figure, (left, right) = plt.subplots(1, 2, figsize=size, sharey=True, width_ratios=(1.5, 1))
    y = np.arange(len(methods))
    for index, (group, colour) in enumerate(zip(groups, COLOURS, strict=False)):
        scores = part[part.group == group].set_index("method").loc[methods]
        errors = scores.value - scores.low, scores.high - scores.value
        style = {"color": colour, "markersize": 3.5, "label": group}
        if group == ALL:
            style = {"color": "black", "markersize": 5, "label": AVERAGE}
        left.errorbar(scores.value, y + 0.15 * (index - 1.5), xerr=errors, fmt="o", capsize=2, linewidth=1, **style)
    total = part[part.group == ALL].set_index("method").loc[methods]
    if total.published_average.notna().any():
        left.plot(total.published_average, y + 0.15 * 1.5, **PAPER | {"label": "paper (its own suites)"})
    compared = total[total.within_noise.notna()]
    right.axvline(0, color="grey", linewidth=1)
    for method, row in compared.iterrows():
        errors = [row.difference - row.difference_low], [row.difference_high - row.difference]
        style = {"markersize": 5, "color": "#999999" if row.within_noise else "black"}
        right.errorbar(row.difference, methods.index(method), xerr=errors, fmt="o", capsize=2, **style)
    left.set_yticks(y, [name_of(method) for method in methods])
    left.set_ylim(len(methods) - 0.5, -0.5)
    left.set_xlabel("accuracy, %")
    right.set_xlabel("difference to the reference, points\n(grey: within noise)")
    for panel in (left, right):
        panel.grid(axis="x", alpha=0.3)
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=5, fontsize=7)
    save(figure, path)


def precision(whole: pd.DataFrame) -> dict[str, Any]:
    """Numbers of the caption: the design, the differences that it can detect, and those that it cannot resolve."""
    compared = whole[whole.within_noise.notna()]
    within = compared[compared.within_noise.astype(bool)]
    return {
        **whole.iloc[0][["encoders", "seeds", "questions"]].to_dict(),
        "least": compared.detectable.min(),
        "most": compared.detectable.max(),
        "clear": list(compared.index.difference(within.index, sort=False)),
        "within": within.difference.to_dict(),
    }


def main() -> None:
    """Measure, draw and describe."""
    options = arguments(
        __doc__,
        *("published", "settings"),
        answers={"type": Path, "nargs": "+", "help": "answers of every training"},
        stage1={"nargs": "*", "help": "rows with their own Stage 1"},
    )
    (out,), settings = options.out, read(options.settings, ScoreTable)
    NAMES.update(settings.labels)
    published = read_yaml(options.published)["tables"].get(out.stem.replace("_", ""), {"rows": {}})
    table = measure(options.answers, settings, options.stage1)
    add_published(table, settings, published)
    save_table(table, out)
    draw(table, out)
    whole = table[(table.stage == "stage2") & (table.suite == AVERAGE) & (table.group == ALL)].set_index("method")
    describe(
        out,
        {
            "title": settings.title,
            "place": out.stem.replace("_", " ") if settings.published else "beyond the paper",
            "reference": name_of(settings.reference),
            "note": settings.note or "",
            "compares": bool(settings.published),
        }
        | precision(whole),
        [
            (f"average accuracy in percent, {name_of(method)}", paper_average, whole.value[method])
            for method, paper_average in whole.published_average.items()
            if not np.isnan(paper_average)
        ],
        template="table",
        reference=settings.reference,
    )


if __name__ == "__main__":
    run(main)
