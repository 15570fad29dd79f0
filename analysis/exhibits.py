"""What pages share: their sections, which figure or table each claim is shown with, and their templates."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from style import name_of, number

from revision.stats.claims import ARITHMETIC, NOT_RUN

COSTS, ZERO_SHOT = "costs", "zero-shot"


class Section(NamedTuple):
    """A part of the page: id, title, its name in the menu, where in the paper, and a pattern of the paper's places."""

    id: str
    title: str
    short: str
    paper: str
    places: str


SECTIONS = (
    Section(
        "arises",
        "How the gap arises",
        "Origin",
        "section 3, appendices B and C",
        r"figure 1\D?$|section 3|theorem|appendix C",
    ),
    Section("closing", "Closing the gap", "Closing", "section 4, figures 3 to 5 and 9", r"figure [3459]\D?$|section 4"),
    Section("statistics", "What the statistics need", "Statistics", "figures 6 to 8", r"figure [678]\D?$"),
    Section("captions", "Short and long captions", "Captions", "figures 10 and 11", r"figure 1[01]\D?$"),
    Section(
        "training",
        "Training on aligned text",
        "Training",
        "section 5, tables 1 to 8, figure 12",
        r"tables? |section 5|figure 12",
    ),
    Section(COSTS, "Cost of the data", "Costs", "appendix H.4", "appendix H"),
    Section("beyond", "Beyond the paper", "Beyond", "questions that the paper does not ask", ""),
)
FORMS = {"points": "+.1f", "percentage points": "+.1f", "percent": ".1f", "nats per token": "+.3f"}


def pages() -> Environment:
    """The templates of pages, in this folder."""
    return Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def anchor(name: str) -> str:
    """The id of a figure or table on the page."""
    return name.replace("_", "-")


def section_of(place: str) -> str:
    """The id of the section that a place in the paper belongs to; the last one for all other places."""
    return next(section.id for section in SECTIONS if re.match(section.places, place))


def places_of(place: str) -> list[str]:
    """Ids of the figures and tables that a claim's place may mean: "figure 10a" is figure-10a or in figure-10."""
    numbers = re.findall(r"\d+[a-z]?", place) if re.match(r"(figure|table)s? \d", place) else []
    kind = place.split()[0].removesuffix("s")
    return [f"{kind}-{one}" for exact in numbers for one in dict.fromkeys((exact, exact.rstrip("abcd")))]


def compared_in(tables: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """The first table with both rows of a comparison, by the words with which its claims begin."""
    first: dict[str, str] = {}
    for table, rows in tables.items():
        for one in rows:
            for other in rows:
                first.setdefault(f"{name_of(one)} minus {name_of(other)}, accuracy", table)
    return first


def exhibit_of(claim: Mapping[str, Any], shown: set[str], compared: Mapping[str, str]) -> str:
    """The id of the figure or table on the page that shows a claim's effect; empty for none.

    It is the one that the paper names, else the one whose data decided the claim, else the first table with both rows.
    """
    stem = re.sub(r".*/|\.csv", "", claim["source"])
    sources = [anchor(stem), anchor(re.sub(r"(_summary|[abcd])$", "", stem))]
    named = [] if claim["family"] == ARITHMETIC else places_of(claim["place"])
    if stem == "stage1_caption_loss":
        sources = [ZERO_SHOT]
    by_rows = [table for words, table in compared.items() if claim["quantity"].startswith(words)]
    return next((one for one in [*named, *sources, *by_rows] if one in shown), "")


def significant(value: float) -> str:
    """A number to three significant digits, trailing zeros included, so that a value and its interval look alike."""
    return f"{value:#.3g}".rstrip(".") if 1e-4 <= abs(value) < 1000 else number(value, 3)


def effect_text(claim: Mapping[str, Any]) -> str:
    """The effect of a claim with its interval, in the format of its unit; empty if nothing was measured."""
    if claim["effect"] is None:
        return ""
    form = FORMS.get(claim["quantity"].rsplit(", ", 1)[-1])

    def written(value: float) -> str:
        return format(value, form) if form else significant(value)

    ends = (
        f" [{written(claim['low'])}, {written(claim['high'])}]"
        if claim["low"] is not None and claim["low"] < claim["high"]
        else ""
    )
    return written(claim["effect"]) + ends


def placed(claims: pd.DataFrame, shown: set[str], tables: Mapping[str, Sequence[str]]) -> dict[tuple[str, str], list]:
    """Claims by section and exhibit ("" for none), each with its effect in words and its second versions.

    Claims that were not run have no exhibit. `tables` has the rows of each table of variants.
    """
    compared, first, groups = compared_in(tables), {}, {}
    for row in claims.astype(object).where(claims.notna(), None).to_dict("records"):
        exhibit = exhibit_of(row, shown, compared)
        claim = row | {"text": effect_text(row), "exhibit": exhibit, "second": []}
        claim["criteria"] = row["criterion"].split("; ")
        if row["second_version_of"]:
            first[row["second_version_of"]]["second"].append(claim)
            continue
        first[row["id"]] = claim
        section = COSTS if row["family"] == ARITHMETIC else section_of(row["place"])
        run = row["verdict"] != NOT_RUN
        groups.setdefault((section, exhibit if run else NOT_RUN), []).append(claim)
    return groups
