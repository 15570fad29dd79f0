"""docs/causes.md has a paragraph, with a cause, for each claim that a committed run does not simply support."""

import re
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).parents[2]
TABLES = sorted(ROOT.glob("reference/*/tables/claims.csv"))
PARAGRAPH = re.compile(r"^\*\*`(\w+)`\*\* \(([^)]*)\) — (.*?)(?=\n\n|\Z)", re.M | re.S)
CAUSE = re.compile(r"\*\*(test bed|size|test|paper|not settled)\b")
EXPLAINED = ("contradicted", "inconclusive", "smaller than published")


def paragraphs():
    """(claim, runs, text) of each paragraph."""
    return PARAGRAPH.findall((ROOT / "docs/causes.md").read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.parts[-3])
def test_each_such_verdict_has_its_cause(path):
    claims = pd.read_csv(path)
    claims = claims[claims.verdict.isin(EXPLAINED)]
    assert len(claims) > 5
    explained = {claim for claim, _, text in paragraphs() if CAUSE.match(text)}
    assert set(claims.id) <= explained, f"no paragraph in docs/causes.md: {sorted(set(claims.id) - explained)}"


def test_no_claim_has_two_paragraphs_and_none_is_unknown():
    names = [claim for claim, *_ in paragraphs()]
    assert len(names) == len(set(names)) >= 15
    assert set(names) <= set(pd.concat([pd.read_csv(path) for path in TABLES]).id)
