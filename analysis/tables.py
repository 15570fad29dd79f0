"""Tables 1 to 8 and our own: accuracy by group of suites with intervals, and differences to a reference row.

Reads the answers of every training and the table's section of the settings.
"""

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from figure_inputs import arguments
from style import (
    LEVEL,
    NAMES,
    PAGE,
    colour_of,
    describe,
    key,
    method_rows,
    name_of,
    number_column,
    run,
    save,
    save_table,
)

from revision.config import read, read_yaml
from revision.config.variants import ScoreTable
from revision.stats.paired import ALL, AVERAGE, read_answers, score_table

STAGES = {"stage2": "after Stage 2", "stage1": "zero-shot, after Stage 1 only"}
MARKERS = ("s", "^", "v", "o")
BLIND = "blind"


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


def draw(table: pd.DataFrame, reference: str, path: Path) -> None:
    """Draw one row per variant: accuracy with intervals on the left, difference to the reference on the right.

    Blind is far from all other rows: where it is beyond their differences it is drawn at the edge.
    """
    part = table[(table.stage == "stage2") & (table.suite == AVERAGE)]
    methods, groups = list(dict.fromkeys(part.method)), list(dict.fromkeys(part.group))
    figure, (left, right) = plt.subplots(1, 2, figsize=(PAGE, 1.0 + 0.34 * len(methods)), sharey=True)
    for panel in (left, right):
        method_rows(panel, methods)
    total = part[part.group == ALL].set_index("method").loc[methods]
    handles = []
    for index, (group, marker) in enumerate(zip(groups, MARKERS, strict=False)):
        scores = part[part.group == group].set_index("method").loc[methods]
        style = {"fmt": marker, "markersize": 3, "elinewidth": 0.8, "color": "#777777"}
        for y, (method, score) in enumerate(scores.iterrows()):
            if group == ALL:
                style |= {"fmt": "o", "markersize": 4.5, "elinewidth": 1.2, "color": colour_of(str(method))}
            errors = [score.value - score.low], [score.high - score.value]
            left.errorbar(score.value, y + 0.2 * (index - (len(groups) - 1) / 2), xerr=errors, **style)
        handles.append(
            key(marker=style["fmt"], markersize=style["markersize"], label=AVERAGE if group == ALL else group)
        )
    number_column(left, [f"{value:.1f}" for value in total.value], AVERAGE)
    if total.published_average.notna().any():
        number_column(left, [f"{value:.2f}".replace("nan", "–") for value in total.published_average], "paper", 42)
    compared = total[total.within_noise.notna()]
    inner = compared.drop(index=BLIND, errors="ignore")
    low, high = min(inner.difference_low.min(), 0), max(inner.difference_high.max(), 0)
    edges = low - 0.1 * (high - low), high + 0.1 * (high - low)
    for method, row in compared.iterrows():
        errors = [row.difference - row.difference_low], [row.difference_high - row.difference]
        style = {"color": colour_of(str(method)), "fillstyle": "none" if row.within_noise else "full"}
        if row.difference < edges[0] or row.difference > edges[1]:
            edge, marker = (edges[0], "<") if row.difference < edges[0] else (edges[1], ">")
            right.plot(edge, methods.index(str(method)), marker, **style, clip_on=False)
        else:
            right.errorbar(row.difference, methods.index(str(method)), xerr=errors, fmt="o", **style)
    right.set_xlim(edges)
    right.axvline(0, **LEVEL)
    number_column(
        right,
        [
            f"{value:+.1f}".replace("-", "−") if name in compared.index else "–"
            for name, value in total.difference.items()
        ],
    )
    left.set_xlabel("accuracy, %")
    right.set_xlabel(f"difference to {name_of(reference)}, points")
    handles.append(key(fillstyle="none", label="within noise"))
    figure.legend(handles=handles, loc="outside upper center", ncols=5)
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
    draw(table, settings.reference, out)
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
