"""The report page of one scale: figures, tables and provenance in one self-contained HTML file."""

import argparse
import base64
import json
import os
import platform
from pathlib import Path

import pandas as pd
import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from style import name_of

from revision.audit import audit, read_published
from revision.files import write_text
from revision.provenance import versions


def embedded(path: Path) -> str:
    """A PNG as a data URI."""
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()


def accuracy_table(table: pd.DataFrame, stage: str) -> list[dict]:
    """Rows of the accuracy table of one stage: method, then one cell a group with value and interval."""
    part = table[(table.stage == stage) & (table.suite == "average")]
    rows = []
    for method, cells in part.groupby("method", sort=False):
        cells = cells.set_index("group")
        total = cells.loc["all"]
        rows.append(
            {
                "name": name_of(method),
                "cells": [cells.loc[group].to_dict() for group in cells.index],
                "groups": list(cells.index),
                "difference": total.to_dict(),
                "clear": bool(total.difference_low > 0 or total.difference_high < 0),
                "published": None if pd.isna(total.published_average) else total.published_average,
            }
        )
    return rows


def suite_table(table: pd.DataFrame) -> tuple[list[str], list[dict]]:
    """Suites and, for each method, the accuracy after Stage 2 on each."""
    part = table[(table.stage == "stage2") & (table.suite != "average")]
    suites = list(dict.fromkeys(part.suite))
    rows = [
        {"name": name_of(method), "values": [cells.set_index("suite").loc[suite].value for suite in suites]}
        for method, cells in part.groupby("method", sort=False)
    ]
    return suites, rows


def durations(work: Path) -> list[dict]:
    """CPU and wall seconds by rule, summed over its jobs, the dearest first."""
    rows = []
    for path in sorted((work / "benchmarks").rglob("*.tsv")):
        rule = path.relative_to(work / "benchmarks").parts[0].removesuffix(".tsv")
        one = pd.read_csv(path, sep="\t").iloc[-1]
        rows.append({"rule": rule, "wall": one["s"], "cpu": one["cpu_time"], "memory": one["max_rss"]})
    if not rows:
        return []
    frame = pd.DataFrame(rows)
    for column in ("wall", "cpu", "memory"):
        frame[column] = pd.to_numeric(frame[column], errors="coerce")
    grouped = frame.groupby("rule").agg(
        jobs=("wall", "size"), wall=("wall", "sum"), cpu=("cpu", "sum"), memory=("memory", "max")
    )
    return grouped.sort_values("wall", ascending=False).reset_index().to_dict("records")


def sensitivity(rows: list[dict]) -> str:
    """Whether paired training and Blind come out clearly apart, in a sentence."""
    by_name = {row["name"]: row["difference"] for row in rows}
    paired, blind = by_name.get(name_of("paired")), by_name.get(name_of("blind"))
    if not paired or not blind:
        return "Paired training and Blind were not both run, so the instrument's sensitivity is not known."
    apart = paired["low"] > blind["high"]
    return (
        f"Paired training reaches {paired['value']:.1f} % [{paired['low']:.1f}, {paired['high']:.1f}], Blind "
        f"{blind['value']:.1f} % [{blind['low']:.1f}, {blind['high']:.1f}]: the intervals are "
        + (
            "apart, so the instrument can tell seeing from guessing."
            if apart
            else "not apart: this scale decides nothing."
        )
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path)
    parser.add_argument("--config", required=True)
    parser.add_argument("--published", type=Path, default=Path("config/published.yaml"))
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    results, work = options.results, options.results / "work"
    config = json.loads(options.config)
    table = pd.read_csv(results / "tables/table_1.csv")
    world = pd.read_csv(results / "tables/world.csv")
    losses = pd.read_csv(results / "tables/stage1_caption_loss.csv")
    stage2 = accuracy_table(table, "stage2")
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    suites, per_suite = suite_table(table)
    identity = {
        name: json.loads((work / f"{name}/manifest.json").read_text(encoding="utf-8"))
        for name in ("encoder", "embeddings/reference_image")
    }
    page = environment.get_template("report.html.jinja").render(
        scale=config["scale"],
        seeds=config["seeds"],
        sensitivity=sensitivity(stage2),
        figure_3=embedded(results / "figures/figure_3.png"),
        table_1=embedded(results / "tables/table_1.png"),
        stage2=stage2,
        stage1=accuracy_table(table, "stage1"),
        suites=suites,
        per_suite=per_suite,
        losses=[
            {"name": name_of(method), "mean": part.caption_loss.mean(), "values": part.caption_loss.tolist()}
            for method, part in losses.groupby("method", sort=False)
        ],
        world=world.to_dict("records"),
        slips=audit(read_published(options.published)).slips,
        durations=durations(work),
        config=yaml.safe_dump(config, sort_keys=True),
        versions=versions(),
        machine=f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}",
        identity=json.dumps(identity["encoder"].get("inputs", {}), indent=2),
    )
    write_text(options.out, page)
