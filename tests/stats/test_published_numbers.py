import copy
from pathlib import Path

import pytest

from revision.audit import audit, cost_usd, read_published
from revision.errors import ConfigError, DataError

PUBLISHED = Path(__file__).parents[2] / "config" / "published.yaml"


@pytest.fixture(scope="module")
def published():
    return read_published(PUBLISHED)


def test_the_two_known_slips_come_out_and_nothing_else(published):
    found = audit(published)
    assert [slip.check.place for slip in found.slips] == [
        "table2, ReVision-2M, average",
        "appendix H.4, Paired image-text, USD",
    ]
    average, cost = (slip.check for slip in found.slips)
    scores = [74.94, 36.40, 76.35, 45.23, 33.49, 29.59, 26.80, 24.38, 80.14, 72.18, 48.26]
    assert (average.published, average.recomputed) == (49.75, pytest.approx(sum(scores) / 11))
    assert (cost.published, cost.recomputed) == (476.05, pytest.approx(438.55))
    assert "ReVision-1M 0.40 for 0.37" in found.slips[1].consequence


def test_every_row_and_cost_was_checked(published):
    rows = sum(len(table["rows"]) for table in published["tables"].values())
    assert len(audit(published).checks) == rows + 2 * len(published["costs"]["rows"])


def test_figure_4b_is_a_disagreement_and_not_a_slip(published):
    assert [one.values for one in audit(published).disagreements] == [
        {"caption": 0.1924, "text": 0.1904},
        {"caption": 0.0066, "text": 0.0067},
    ]


def test_a_planted_slip_comes_out_and_rounding_does_not(published):
    planted = copy.deepcopy(published)
    planted["tables"]["table1"]["rows"]["Blind"]["avg"] += 0.01
    assert len(audit(planted).slips) == 2
    planted["tables"]["table1"]["rows"]["Blind"]["avg"] += 0.03
    planted["tables"]["table2"]["rows"]["Unicorn"]["cost"] = 3.89
    assert {slip.check.place for slip in audit(planted).slips} >= {
        "table1, Blind, average",
        "table2, Unicorn, relative cost",
    }


def test_cost_is_price_times_tokens():
    assert cost_usd(2, 3, {"input_per_million": 1.25, "output_per_million": 10}) == 32.5


def test_bad_files_are_named(tmp_path, published):
    with pytest.raises(ConfigError, match="no such file"):
        read_published(tmp_path / "absent.yaml")
    for text in ("a: [", "- 1"):
        (tmp_path / "bad.yaml").write_text(text)
        with pytest.raises(ConfigError, match=r"bad\.yaml"):
            read_published(tmp_path / "bad.yaml")
    with pytest.raises(ConfigError, match="tables"):
        audit({})
    short = copy.deepcopy(published)
    short["tables"]["table1"]["rows"]["Blind"]["scores"].pop()
    with pytest.raises(DataError, match="table1, Blind: 10 scores for 11 benchmarks"):
        audit(short)
