import copy
from pathlib import Path

import pytest

from revision.errors import ConfigError, DataError
from revision.stats.published import audit, cost_usd, read_published

PUBLISHED = Path(__file__).parents[2] / "config" / "published.yaml"


@pytest.fixture
def published():
    return copy.deepcopy(read_published(PUBLISHED))


def wrong(published):
    table = audit(published)
    return list(table[~table.holds].what)


def test_the_two_numbers_that_do_not_follow_and_nothing_else(published):
    table = audit(published)
    average, cost = table[~table.holds].itertuples()
    scores = [74.94, 36.40, 76.35, 45.23, 33.49, 29.59, 26.80, 24.38, 80.14, 72.18, 48.26]
    assert (average.what, average.published) == ("table2, ReVision-2M, average", 49.75)
    assert average.recomputed == pytest.approx(sum(scores) / 11)
    assert (cost.what, cost.published) == ("appendix H.4, Paired image-text, USD", 476.05)
    assert (cost.recomputed, cost.difference) == (pytest.approx(438.55), pytest.approx(438.55 - 476.05))


def test_every_row_and_cost_is_checked(published):
    rows = sum(len(table["rows"]) for table in published["tables"].values())
    assert len(audit(published)) == rows + 2 * len(published["costs"]["rows"])


def test_a_planted_error_is_reported_and_rounding_is_not(published):
    published["tables"]["table1"]["rows"]["Blind"]["avg"] += 0.01
    assert len(wrong(published)) == 2
    published["tables"]["table1"]["rows"]["Blind"]["avg"] += 0.03
    published["tables"]["table2"]["rows"]["Unicorn"]["cost"] = 3.89
    assert {"table1, Blind, average", "table2, Unicorn, relative cost"} <= set(wrong(published))


def test_cost_is_price_times_tokens():
    assert cost_usd(2, 3, {"input_per_million": 1.25, "output_per_million": 10}) == 32.5


def test_malformed_files_are_refused(tmp_path, published):
    with pytest.raises(ConfigError, match=r"absent\.yaml: .*No such file"):
        read_published(tmp_path / "absent.yaml")
    for text in ("a: [", "- 1"):
        (tmp_path / "bad.yaml").write_text(text)
        with pytest.raises(ConfigError, match=r"bad\.yaml"):
            read_published(tmp_path / "bad.yaml")
    published["tables"]["table1"]["rows"]["Blind"]["scores"].pop()
    with pytest.raises(DataError, match="table1, Blind: 10 scores for 11 benchmarks"):
        audit(published)
