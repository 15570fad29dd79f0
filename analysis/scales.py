"""Write a page with the answers, effects and verdicts of several scales side by side, from their tables."""

import argparse
import os
from pathlib import Path
from typing import Any

import pandas as pd
from answer import STAGES, sentences, span
from exhibits import SECTIONS, effect_text, pages, section_of, significant
from figure_main import ALIGNERS, CEILING, FLOOR, REFERENCE, STAGE1, STAGE2, TEXT, TEXT_ONLY
from style import name_of, run

from revision.io.files import write_text
from revision.stats.claims import NOT_RUN
from revision.stats.multiplicity import count_verdicts, false_discoveries

QUANTITIES = {
    "fitted": "Distance of the centroids, rows that aligners are fitted on",
    "held-out": "Distance of the centroids, held-out pairs",
    STAGE1: "Caption loss saved against No Align after Stage 1, nats per token",
    STAGE2: "Accuracy gained over No Align after Stage 2 on images, points",
    TEXT: "Accuracy gained over No Align with both stages on text, points",
}


def effects_of(tables: dict[str, pd.DataFrame]) -> list[dict[str, Any]]:
    """By quantity: its name, and one row per aligner with a cell for each scale."""
    references = ("", REFERENCE, TEXT_ONLY[1])
    parts = [table[table.reference.isin(references)].set_index(["what", "method"]) for table in tables.values()]
    methods = {**ALIGNERS, TEXT_ONLY[0]: ALIGNERS["revision"], CEILING: "paired", FLOOR: "blind"}
    effects = []
    for what, title in QUANTITIES.items():
        form, rows = "+" + STAGES[what].form if what in STAGES else None, []
        for method, aligner in methods.items():
            cells = [part.loc[what, method] if (what, method) in part.index else None for part in parts]
            if any(cell is not None for cell in cells):
                texts = ["" if one is None else span(one, form) if form else significant(one.value) for one in cells]
                rows.append({"name": name_of(aligner), "cells": texts})
        if rows:
            effects.append({"title": title, "rows": rows})
    return effects


def claim_rows(claims: dict[str, pd.DataFrame]) -> list[dict[str, Any]]:
    """The claims that some scale ran, by section, each with its verdict and effect in every scale."""
    by_scale = {
        scale: {row["id"]: row for row in table.astype(object).where(table.notna(), None).to_dict("records")}
        for scale, table in claims.items()
    }
    known = {id_: row for rows in by_scale.values() for id_, row in rows.items()}
    parts: dict[str, list[dict[str, Any]]] = {section.id: [] for section in SECTIONS}
    for id_, claim in known.items():
        cells = [(scale, rows.get(id_)) for scale, rows in by_scale.items()]
        if any(row and row["verdict"] != NOT_RUN for _, row in cells):
            shown = [{"scale": scale, "text": effect_text(row) if row else "", "claim": row} for scale, row in cells]
            parts[section_of(claim["place"])].append(claim | {"cells": shown})
    return [section._asdict() | {"claims": parts[section.id]} for section in SECTIONS if parts[section.id]]


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path, nargs="+", help="results of the scales, folders such as reference/laptop")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    claims = {path.name: pd.read_csv(path / "tables/claims.csv") for path in options.results}
    effects = {
        path.name: pd.read_csv(path / "figures/figure_main.csv").fillna({"reference": ""})
        for path in options.results
        if (path / "figures/figure_main.csv").is_file()
    }
    page = (
        pages()
        .get_template("scales.html.jinja")
        .render(
            scales=[
                {
                    "name": path.name,
                    "report": os.path.relpath(path / "report.html", options.out.parent),
                    "answer": sentences(effects[path.name]) if path.name in effects else [],
                    "counts": count_verdicts(claims[path.name]).sum().to_dict(),
                    "chance": false_discoveries(claims[path.name]),
                }
                for path in options.results
            ],
            measured=list(effects),
            effects=effects_of(effects),
            sections=claim_rows(claims),
        )
    )
    write_text(options.out, page)


if __name__ == "__main__":
    run(main)
