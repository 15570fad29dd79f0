"""Write the report of one scale: verdicts, tables, figures and provenance in one self-contained HTML file."""

import base64
import json
import os
import platform
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from figure_inputs import arguments
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape
from style import intervals_of, name_of, number, run

from revision.config import read_yaml
from revision.data.scenes import World
from revision.io.files import digest, write_text
from revision.io.manifest import versions
from revision.stats.claims import BEYOND
from revision.stats.intervals import over_trainings
from revision.stats.multiplicity import count_verdicts, first_versions, multiplicity
from revision.stats.published import audit, read_published

REFERENCE = "revision"


def embedded(path: Path) -> str:
    """A PNG as a data URI."""
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()


def bold(caption: str) -> Markup:
    """A caption as HTML, with text between ** in bold."""
    return Markup(re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", str(escape(caption))))


def described(path: Path) -> dict[str, Any]:
    """What the page shows of a figure or table: the texts of its sidecar, its image and its id."""
    sidecar = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    return sidecar | {"id": path.stem.replace("_", "-"), "image": embedded(path.with_suffix(".png"))}


def with_weights(paths: Iterable[Path]) -> Iterator[Path]:
    """The files among `paths`, and the weights in the folders among them."""
    for path in paths:
        yield from sorted(path.rglob("*.safetensors")) if path.is_dir() else [path]


def accuracy_rows(table: pd.DataFrame, stage: str) -> list[dict[str, Any]]:
    """Rows of the accuracy table of one stage: the method, then one cell per group with value and interval."""
    part = table[(table.stage == stage) & (table.suite == "average")]
    rows = []
    for method, cells in part.groupby("method", sort=False):
        cells = cells.set_index("group")
        total = cells.loc["all"]
        rows.append(
            {
                "method": method,
                "name": name_of(method),
                "cells": [cells.loc[group].to_dict() for group in cells.index],
                "groups": list(cells.index),
                "difference": total.to_dict(),
                "differs": bool(total.difference_low > 0 or total.difference_high < 0),
                "published": None if pd.isna(total.published_average) else total.published_average,
            }
        )
    return rows


def table_of(path: Path) -> dict[str, Any]:
    """What the page shows of one table: rows with intervals, every suite, the texts of the sidecar."""
    table, sidecar = pd.read_csv(path), described(path)
    rows = accuracy_rows(table, "stage2")
    part = table[(table.stage == "stage2") & (table.suite != "average")]
    suites = list(dict.fromkeys(part.suite))
    return sidecar | {
        "rows": rows,
        "reference": name_of(sidecar.get("reference", REFERENCE)),
        "has_published": any(row["published"] is not None for row in rows),
        "suites": suites,
        "per_suite": [
            {"name": name_of(method), "values": [cells.set_index("suite").loc[suite].value for suite in suites]}
            for method, cells in part.groupby("method", sort=False)
        ],
    }


def loss_rows(losses: pd.DataFrame) -> list[dict[str, Any]]:
    """Caption loss by method with its interval, and the difference to ReVision paired by encoder and seed."""
    wide = losses.pivot(index=["encoder", "seed"], columns="method", values="caption_loss")
    return [
        {
            "method": method,
            "name": name_of(method),
            "loss": over_trainings(wide[method]),
            "difference": over_trainings(wide[method] - wide[REFERENCE]),
        }
        for method in dict.fromkeys(losses.method)
    ]


def world_rows(world: pd.DataFrame) -> list[dict[str, Any]]:
    """One row per metric, one value per kind of caption."""
    wide = world.pivot(index="metric", columns="caption", values="value")
    kinds = list(dict.fromkeys(world.caption))
    return [
        {"metric": metric, "values": {kind: wide.loc[metric, kind] for kind in kinds}}
        for metric in dict.fromkeys(world.metric)
    ]


def setting(config: dict[str, Any]) -> dict[str, Any]:
    """Data and encoder in words: place, parts, title of the facts, and `chance`, the accuracy of guessing in percent.

    `chance` is None without generated suites: the answers of published ones are not balanced.
    """
    real, encoder, world = config["corpus"]["kind"] == "sources", config["encoder"], World()
    if encoder["kind"] == "file":
        parts = f"The encoder of {encoder['path']}"
    elif encoder["kind"] == "pretrained_heads":
        parts = "Trained heads on frozen pretrained towers"
    else:
        parts = "A dual encoder trained from scratch"
    photos, chance = config["corpus"]["kind"] == "photos", None
    if config["evaluation"]["suites"]["kind"] == "scenes":
        chance = 100 * float(np.mean([world.chance(suite) for suite in world.suites()]))
    return {
        "place": "captioned images" if photos else "real data" if real else "images of a built-in world",
        "parts": parts,
        "facts": "The built-in world" if config["corpus"]["kind"] == "scenes" else "Held-out pairs",
        "chance": chance,
    }


def compared(row: dict[str, Any], reference: str) -> str:
    """A sentence that compares one method with the reference."""
    cell = row["difference"]
    span = f"{cell['difference']:+.1f} points [{cell['difference_low']:+.1f}, {cell['difference_high']:+.1f}]"
    if not row["differs"]:
        return f"{row['name']} does not differ clearly from {reference} ({span})"
    return f"{row['name']} is {'above' if cell['difference'] > 0 else 'below'} {reference} ({span})"


def answers(gap: pd.DataFrame, stage2: list[dict[str, Any]], losses: list[dict[str, Any]]) -> list[str]:
    """The findings of this run in a few sentences."""
    fitted = gap[(gap.caption == "short") & (gap["sample"] == "fitted")].groupby("method").gap.mean()
    by_method = {row["method"]: row for row in stage2}
    sentences = [
        f"The gap between the centroids of texts and images is {number(fitted['identity'], 3)}, after ReAlign "
        f"{number(fitted['realign'], 2)} and after C3 {number(fitted['c3'], 2)} (figure 3)."
    ]
    if {"paired", "blind"} <= by_method.keys():
        paired, blind = by_method["paired"]["difference"], by_method["blind"]["difference"]
        both = [f"{cell['value']:.1f}% [{cell['low']:.1f}, {cell['high']:.1f}]" for cell in (paired, blind)]
        apart = paired["low"] > blind["high"]
        meaning = "the model uses its images" if apart else "they overlap, so this run decides nothing on training"
        sentences.append(
            f"Training on pairs reaches {both[0]}, the same model without images (Blind) {both[1]}: {meaning}."
        )
    others = [row for row in stage2 if row["method"] not in (REFERENCE, "blind")]
    if others:
        rows = "; ".join(compared(row, name_of(REFERENCE)) for row in others)
        sentences.append(f"After Stage 2: {rows} (table 1).")
    ranked = [f"{row['name']} {row['loss'].value:.3f}" for row in sorted(losses, key=lambda row: row["loss"].value)]
    sentences.append("Caption loss on real images after Stage 1 alone, lowest first: " + ", ".join(ranked) + ".")
    return sentences


def openings(parts: list[dict[str, Any]]) -> list[dict[str, str]]:
    """Id, title and first sentence, which states the result, of the tables and figures beyond the paper."""
    return [
        {"id": part["id"], "title": part["title"], "sentence": part["caption"].split("**")[1]}
        for part in parts
        if part["place"] == BEYOND
    ]


def change_rows(alignment: pd.DataFrame) -> dict[str, Any]:
    """Differences in accuracy from No Align, by aligner and number of Stage-2 steps."""
    accuracy = alignment[alignment.metric == "accuracy"]
    return {
        "steps": sorted(accuracy.steps.unique()),
        "rows": [
            {"name": name_of(aligner), "cells": cells.sort_values("steps").to_dict("records")}
            for aligner, cells in accuracy.groupby("aligner", sort=False)
        ],
    }


def comparison_rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Comparisons of aligners with what each can show; a table or the aligners by themselves is named once."""
    names = table.table.str.replace("_", " ").where(~table.table.duplicated(), "")
    return table.assign(table=names, row=table.row.map(name_of), reference=table.reference.map(name_of)).to_dict(
        "records"
    )


def main() -> None:
    """Write the page."""
    options = arguments(
        __doc__,
        *("config", "gap", "losses", "claims", "world", "published", "comparisons"),
        figures={"type": Path, "nargs": "+", "help": "CSV of each figure, with image and sidecar in the same folder"},
        tables={"type": Path, "nargs": "*", "help": "CSV of each table of variants, likewise"},
        table_1={"type": Path, "nargs": "*", "help": "table 1, of a scale with questions"},
        alignment={"type": Path, "nargs": "*", "help": "when alignment matters, of a scale with the study of doses"},
        bed={"type": Path, "nargs": "*", "help": "table test_bed, of a scale with generated suites"},
        identity={"type": Path, "nargs": "+", "help": "files and folders of weights to list with their checksums"},
    )
    (out,), config = options.out, read_yaml(options.config)
    first = pd.read_csv(options.table_1[0]) if options.table_1 else None
    stages = {stage: [] if first is None else accuracy_rows(first, stage) for stage in ("stage1", "stage2")}
    losses = loss_rows(pd.read_csv(options.losses))
    claims = pd.read_csv(options.claims)
    families = count_verdicts(claims)
    tables, figures = [table_of(path) for path in options.tables], [described(path) for path in options.figures]
    checked = audit(read_published(options.published))
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters |= {"bold": bold, "number": number}
    page = environment.get_template("report.html.jinja").render(
        scale=config["scale"],
        **setting(config),
        encoder_seeds=config["encoder_seeds"],
        seeds=config["seeds"],
        answers=answers(pd.read_csv(options.gap), stages["stage2"], losses),
        claims=claims.replace({np.nan: None}).to_dict("records"),
        first_versions=len(first_versions(claims)),
        families=families.to_dict("index"),
        counts=families.sum().to_dict(),
        multiplicity=multiplicity(claims),
        tables=tables,
        stage1=stages["stage1"],
        losses=losses,
        figures=figures,
        beyond=openings(tables + figures),
        bed=[row for path in options.bed for row in pd.read_csv(path).replace({np.nan: None}).to_dict("records")],
        displacements=comparison_rows(pd.read_csv(options.comparisons)),
        changes=[change_rows(pd.read_csv(path)) for path in options.alignment],
        world=world_rows(pd.read_csv(options.world)),
        checks=len(checked),
        intervals=intervals_of(*map(len, (config["encoder_seeds"], config["seeds"]))),
        wrong=checked[~checked.holds].to_dict("records"),
        config=yaml.safe_dump(config, sort_keys=True),
        versions=versions(),
        machine=f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}",
        identity={str(path): digest(path) for path in with_weights(options.identity)},
    )
    write_text(out, page)


if __name__ == "__main__":
    run(main)
