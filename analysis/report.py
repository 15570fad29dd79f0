"""Write the report of one scale: verdicts, tables, figures and provenance in one self-contained HTML file."""

import base64
import io
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
from answer import sentences
from exhibits import SECTIONS, ZERO_SHOT, anchor, pages, placed, places_of, section_of
from figure_inputs import arguments
from markupsafe import Markup, escape
from PIL import Image
from style import NAMES, intervals_of, name_of, number, run

from revision.config import read_yaml
from revision.data.scenes import World
from revision.io.files import digest, write_text
from revision.io.manifest import versions
from revision.stats.claims import NOT_RUN, VERDICTS
from revision.stats.intervals import over_trainings
from revision.stats.multiplicity import count_verdicts, false_discoveries, multiplicity
from revision.stats.published import audit, read_published

REFERENCE = "revision"
PLACES = {"scenes": "images of a built-in world", "sources": "real data", "photos": "captioned images"}


def embedded(path: Path) -> dict[str, Any]:
    """A PNG without loss as a WebP data URI, which takes a third of the space, with its width and height."""
    data = io.BytesIO()
    with Image.open(path) as image:
        image.convert("RGB").save(data, "WEBP", lossless=True)
        width, height = image.size
    return {
        "image": "data:image/webp;base64," + base64.b64encode(data.getvalue()).decode(),
        "width": width,
        "height": height,
    }


def described(path: Path) -> dict[str, Any]:
    """What the page shows of a figure or table: the texts of its sidecar, its image, its id and its files.

    The caption is split into the sentence that leads it and the rest. A figure of several panels may have a table for
    each of them.
    """
    sidecar = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    _, lead, rest = sidecar["caption"].split("**", 2)
    own = path.with_suffix(".csv")
    data = [own] if own.is_file() else sorted(path.parent.glob(f"{path.stem}[a-z].csv"))
    about = {
        "id": anchor(path.stem),
        "lead": lead,
        "rest": rest.strip(),
        "data": [f"{table.parent.name}/{table.name}" for table in data],
        "pdf": f"{path.parent.name}/{path.stem}.pdf",
    }
    return sidecar | about | embedded(path.with_suffix(".png"))


def linked(place: str, shown: set[str]) -> Markup:
    """A place in the paper, with a link to the figures or tables that the page shows."""
    targets = [one for one in places_of(place) if one in shown]
    if len(targets) == 1:
        return Markup('<a href="#{}">{}</a>').format(targets[0], place)
    words = str(escape(place))
    for one in targets:
        number = one.split("-")[1]
        words = re.sub(rf"\b{number}\b", f'<a href="#{one}">{number}</a>', words)
    return Markup(words)


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
    corpus, encoder, chance = config["corpus"]["kind"], config["encoder"], None
    if encoder["kind"] == "file":
        parts = f"The encoder of {encoder['path']}"
    elif encoder["kind"] == "pretrained_heads":
        parts = "Trained heads on frozen pretrained towers"
    else:
        parts = "A dual encoder trained from scratch"
    if config["evaluation"]["suites"]["kind"] == "scenes":
        world = World()
        chance = 100 * float(np.mean([world.chance(suite) for suite in world.suites()]))
    return {
        "place": PLACES[corpus],
        "parts": parts,
        "facts": "The built-in world" if corpus == "scenes" else "Held-out pairs",
        "chance": chance,
    }


def sections(exhibits: list[dict[str, Any]], claims: pd.DataFrame) -> list[dict[str, Any]]:
    """The sections of the page with their figures, tables, claims and numbers of verdicts; empty ones are left out."""
    tables = {one["id"]: [row["method"] for row in one["rows"]] for one in exhibits if "rows" in one}
    groups = placed(claims, {one["id"] for one in exhibits}, tables)
    parts = []
    for section in SECTIONS:
        own = [one for one in exhibits if section_of(one["place"]) == section.id]
        mine = {exhibit: group for (id_, exhibit), group in groups.items() if id_ == section.id}
        shown = [one | {"claims": mine.pop(one["id"], [])} for one in own]
        absent = mine.pop(NOT_RUN, [])
        others = [claim for group in mine.values() for claim in group]
        decided = [*others, *(claim for one in shown for claim in one["claims"])]
        counts = pd.Series([claim["verdict"] for claim in decided], dtype=object).value_counts()
        counts = {verdict: counts[verdict] for verdict in VERDICTS if verdict in counts}
        part = section._asdict() | {"exhibits": shown, "claims": others, "absent": absent, "counts": counts}
        if shown or decided or absent:
            parts.append(part)
    return parts


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
        *("config", "losses", "claims", "world", "published", "comparisons"),
        main={"type": Path, "nargs": "*", "help": "CSV of the main figure, of a run that trains No Align"},
        figures={"type": Path, "nargs": "+", "help": "CSV of each figure, with image and sidecar in the same folder"},
        tables={"type": Path, "nargs": "*", "help": "CSV of each table of variants, likewise"},
        table_1={"type": Path, "nargs": "*", "help": "table 1, of a scale with Stage 2"},
        alignment={"type": Path, "nargs": "*", "help": "when alignment matters, of a scale with the study of doses"},
        bed={"type": Path, "nargs": "*", "help": "table test_bed, of a scale with generated suites"},
        identity={"type": Path, "nargs": "+", "help": "files and folders of weights to list with their checksums"},
    )
    (out,), config = options.out, read_yaml(options.config)
    for table in config["tables"].values():
        NAMES.update(table.get("labels", {}))
    claims = pd.read_csv(options.claims)
    zero_shot = {
        "id": ZERO_SHOT,
        "place": "section 5",
        "stage1": [row for path in options.table_1 for row in accuracy_rows(pd.read_csv(path), "stage1")],
        "losses": loss_rows(pd.read_csv(options.losses)),
    }
    families, checked = count_verdicts(claims), audit(read_published(options.published))
    exhibits = [*map(table_of, options.tables), zero_shot, *map(described, options.figures)]
    environment = pages()
    environment.filters |= {"number": number, "linked": lambda place: linked(place, {one["id"] for one in exhibits})}
    page = environment.get_template("report.html.jinja").render(
        scale=config["scale"],
        **setting(config),
        encoder_seeds=config["encoder_seeds"],
        seeds=config["seeds"],
        tuned=config["stage2"] is not None,
        answer=[pair for path in options.main for pair in sentences(pd.read_csv(path))],
        main=[described(path) for path in options.main],
        families=families.to_dict("index"),
        counts=families.sum().to_dict(),
        false_discoveries=false_discoveries(claims),
        multiplicity=multiplicity(claims),
        sections=sections(exhibits, claims),
        bed=[row for path in options.bed for row in pd.read_csv(path).replace({np.nan: None}).to_dict("records")],
        displacements=comparison_rows(pd.read_csv(options.comparisons)),
        changes=[change_rows(pd.read_csv(path)) for path in options.alignment],
        world=world_rows(pd.read_csv(options.world)),
        checks=len(checked),
        intervals=intervals_of(len(config["encoder_seeds"]), len(config["seeds"])),
        wrong=checked[~checked.holds].to_dict("records"),
        config=yaml.safe_dump(config, sort_keys=True),
        versions=versions(),
        machine=f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}",
        identity={str(path): digest(path) for path in with_weights(options.identity)},
    )
    write_text(out, page)


if __name__ == "__main__":
    run(main)
