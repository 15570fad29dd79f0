"""Sets of different dimensions: which metrics they get, from which modules, and how they are shown."""

import json

import numpy as np
import pytest

from revision.errors import ConfigError, DataError
from revision.gap.across_dimensions import run_any_suite
from revision.gap.leaderboard import leaderboard
from revision.gap.measure import SuiteSettings, run_suite
from revision.gap.metrics import METRICS
from revision.gap.page import render
from revision.gap.tables import tables
from revision.geometry.representations import linear_cka, mutual_knn
from revision.geometry.uniformity import uniformity

OF_ONE_SET = {
    "trace",
    "alpha",
    "effective_rank",
    "effective_dimension",
    "condition",
    "effective_condition",
    "uniformity",
}


@pytest.fixture
def wide(pairs):
    """Texts [400, 40] that correspond to the images [400, 24]."""
    rows = pairs[1] @ np.random.default_rng(3).standard_normal((24, 40))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("paired", [True, False])
def test_what_needs_no_common_space_is_measured_and_the_rest_left_empty(pairs, wide, paired):
    suite = run_any_suite(pairs[0], wide, ["all"], paired=paired)
    (values,) = suite.methods.values()
    of_pairs = {"mutual_knn", "cka"} if paired else set()
    measured = {name for name, value in values.items() if value is not None}
    assert measured == OF_ONE_SET | {"angular_divergence"} | of_pairs and set(values) == set(METRICS)
    assert "dimension 24 and texts 40" in suite.notes[0]
    assert suite.image["uniformity"] == pytest.approx(uniformity(pairs[0]), abs=1e-6)
    assert values["uniformity"] == pytest.approx(uniformity(wide), abs=1e-6)
    if paired:
        assert values["cka"] == pytest.approx(linear_cka(pairs[0], wide), abs=1e-6)
        assert values["mutual_knn"] == pytest.approx(mutual_knn(pairs[0], wide))
    json.dumps(suite.to_dict(), allow_nan=False)


def test_sets_of_one_dimension_and_named_aligners_go_through_the_whole_suite(pairs, wide):
    assert (
        run_any_suite(*pairs, ["realign"], paired=True).to_dict()
        == run_suite(*pairs, ["realign"], paired=True).to_dict()
    )
    assert run_any_suite(pairs[0], wide, ["realign"], paired=True).warnings == [
        "realign left out: an aligner needs two sets of one dimension."
    ]
    with pytest.raises(ConfigError, match="aligner 'nonsense' does not exist"):
        run_any_suite(pairs[0], wide, ["nonsense"], paired=True)


def test_permuted_pairs_of_different_dimensions_are_questioned(pairs, wide):
    assert run_any_suite(pairs[0], wide, [], paired=True).warnings == []
    permuted = np.random.default_rng(0).permutation(wide)
    (warning,) = run_any_suite(pairs[0], permuted, [], paired=True).warnings
    assert "Are these pairs?" in warning and "mutual k-NN" in warning and "R@1" not in warning
    assert run_any_suite(pairs[0], permuted, [], paired=False).warnings == []


def test_rows_of_pairs_stay_together_when_fewer_are_read(pairs, wide):
    settings = SuiteSettings(rows=300, sample=200)
    found = run_any_suite(pairs[0], wide, [], paired=True, settings=settings)
    assert found.counts["image_measured"] == found.counts["text_measured"] == 300
    whole = run_any_suite(pairs[0], wide, [], paired=True).methods["identity"]["cka"]
    assert found.methods["identity"]["cka"] == pytest.approx(whole, abs=0.1)
    with pytest.raises(DataError, match="only 20 rows"):
        run_any_suite(pairs[0][:20], wide[:20], [], paired=True)


def test_page_tables_and_leaderboard_leave_out_what_is_empty(pairs, wide):
    suite = run_any_suite(pairs[0], wide, [], paired=True)
    page = render(suite, "two encoders")
    assert "of dimension 24 and 40" in page and "centroid gap" not in page and page.count("<img") == 1
    assert not any("" in row.cells for table in tables(suite) for row in table.rows if row.label == "before")
    whole = run_suite(*pairs, [], paired=True)
    board = leaderboard({name: one.to_dict() for name, one in (("across", suite), ("within", whole))})
    assert list(dict.fromkeys(board.encoder)) == ["within", "across"]
    values = board.set_index(["encoder", "set", "metric"]).value
    assert np.isnan(values["across", "identity", "gap"]) and np.isnan(values["across", "identity", "gap_closed"])
    for encoder in ("across", "within"):
        assert values[encoder, "identity", "cka"] > 0
    assert values["within", "identity", "relative_gap"] == pytest.approx(whole.methods["identity"]["relative_gap"])
