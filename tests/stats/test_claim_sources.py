"""Every source, column, row and variant in the shipped claims is made by the workflow."""

import inspect
import re
import sys
from pathlib import Path

import pytest

from revision.config import load
from revision.dynamics.summary import summarise
from revision.stats.claims import read_claims
from revision.stats.published import read_published

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests/analysis"))
CONFIG = load(ROOT / "config")
CRITERIA = [
    pytest.param(criterion, id=f"{claim.id}-{number}")
    for claim in read_claims(ROOT / "config/claims.yaml")
    for number, criterion in enumerate([*claim.criteria, *claim.requires])
]
PUBLISHED = [claim for claim in read_claims(ROOT / "config/claims.yaml") if claim.published]
SUMMARY = set(re.findall(r'"(\w+)": ', inspect.getsource(summarise)))
COLUMNS = {
    "figures/figure_1.csv": "seed step metric value",
    "figures/figure_1_summary.csv": "metric value low high seeds",
    "tables/captioning.csv": "method stage condition encoder seed metric value",
    "tables/pairs.csv": "stage first second group difference low high degrees_of_freedom",
    "tables/stage1_caption_loss.csv": "method encoder seed caption_loss",
    "tables/table_1.csv": "stage method suite group value low high",
}


def columns():
    """Columns by source: those above, and those that the tests of the figure scripts assert."""
    from test_figures import SCRIPTS

    figures = {f"figures/{name}.csv": header for tables, *_ in SCRIPTS.values() for name, header in tables.items()}
    return {source: set(header.split()) for source, header in (figures | COLUMNS).items()}


def made():
    """Every CSV that the rules name, with its folder."""
    rules = "\n".join(path.read_text() for path in sorted((ROOT / "workflow/rules").glob("*.smk")))
    panels = [name for names in re.findall(r"panels=\(([^)]*)\)", rules) for name in re.findall(r'"(\w+)"', names)]
    names = [*panels, *re.findall(r'"(\w+)": Figure\(', rules)]
    plain = re.findall(r'f"{RESULTS}/((?:figures|tables)/\w+\.csv)"', rules)
    return {f"figures/{name}.csv" for name in names} | set(plain) | {f"tables/{name}.csv" for name in CONFIG.tables}


def sides(criterion):
    """The rows that a criterion picks: column and value."""
    return [getattr(criterion, name, {}) for name in ("where", "of", "to")]


@pytest.mark.parametrize("criterion", CRITERIA)
def test_a_claim_reads_what_the_workflow_makes(criterion):
    assert criterion.source in made()
    known = columns()[criterion.source]
    named = (getattr(criterion, name, "") for name in ("metric", "to_metric", "x", "given", "over"))
    assert {column for side in sides(criterion) for column in side} | {name for name in named if name} <= known


@pytest.mark.parametrize("criterion", CRITERIA)
def test_a_claim_names_variants_and_aligners_that_exist(criterion):
    trained = CONFIG.trained
    methods = {side["method"] for side in sides(criterion) if "method" in side}
    assert methods <= {*trained, *CONFIG.aligners, "image"}
    if criterion.kind in ("better", "larger_gain"):
        assert {*criterion.rows, *getattr(criterion, "than", ())} <= set(trained)
        assert criterion.group in ("all", "general", "reasoning", "hallucination")
    if criterion.source == "figures/figure_1_summary.csv":
        assert criterion.where["metric"] in SUMMARY


@pytest.mark.parametrize("claim", PUBLISHED, ids=lambda claim: claim.id)
def test_a_published_effect_is_that_of_the_claims_own_variants(claim):
    names = CONFIG.tables[claim.published.table.replace("table", "table_")].published
    assert tuple(names[row] for row in claim.criteria[0].rows) == claim.published.rows
    assert claim.published_effect(read_published(ROOT / "config/published.yaml")) > 0


def test_claims_that_compare_trained_variants_have_a_positive_control():
    compares = {"better", "larger_gain"}
    for claim in read_claims(ROOT / "config/claims.yaml"):
        losses = claim.criteria[0].source == "tables/stage1_caption_loss.csv"
        if claim.id == "same_method_twice":  # the noise floor compares a method with itself
            continue
        if losses or compares & {criterion.kind for criterion in claim.criteria}:
            groups = {getattr(criterion, "group", "all") for criterion in claim.criteria}
            assert claim.requires, claim.id
            assert groups <= {getattr(control, "group", "all") for control in claim.requires}, claim.id
            # Paired is on the better side of every control.
            for control in claim.requires:
                assert (control.rows[0] if control.kind == "better" else control.of["method"]) == "paired"


def test_all_claims_of_the_paper_stay_on_record_and_second_versions_stand_beside_them():
    claims = {claim.id: claim for claim in read_claims(ROOT / "config/claims.yaml")}
    second = [claim for claim in claims.values() if claim.second_version_of]
    own = [claim for claim in claims.values() if claim.place == "beyond the paper"]
    assert len(claims) - len(second) - len(own) == 84 and len(second) == 13
    for claim in second:
        first = claims[claim.second_version_of]
        assert not first.second_version_of and claim.place == first.place and claim.reason
