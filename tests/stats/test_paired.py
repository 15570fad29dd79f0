"""Tables of accuracy against scipy and closed forms."""

import numpy as np
import pandas as pd
import pytest

from revision.errors import ConfigError, DataError
from revision.stats.intervals import random_effects
from revision.stats.paired import Answers, crossing, paired_table, read_answers, score_table

GROUPS = {"one": "g", "two": "g", "three": "h"}


@pytest.fixture
def answers():
    rng = np.random.default_rng(0)
    shared = {suite: rng.random(120) for suite in GROUPS}
    levels = {"a": 0.5, "b": 0.8, "c": 0.51}
    correct = {
        suite: np.stack([0.7 * hard + 0.3 * rng.random((4, 2, 120)) < level for level in levels.values()]).astype(float)
        for suite, hard in shared.items()
    }
    return Answers(list(levels), correct, GROUPS)


def test_answers_are_read_by_method_encoder_seed_and_question(tmp_path):
    rows = [
        {
            "method": m,
            "encoder": e,
            "seed": s,
            "suite": "one",
            "group": "g",
            "question": f"q{q}",
            "correct": int(m == "a" and q <= e + s),
        }
        for m in "ab"
        for e in (0, 1)
        for s in (0, 1)
        for q in (2, 0, 1)
    ]
    paths = []
    for encoder in (0, 1):
        paths.append(tmp_path / f"{encoder}.parquet")
        pd.DataFrame([row for row in rows if row["encoder"] == encoder]).to_parquet(paths[-1])
    read = read_answers(paths, ["b", "a"])
    assert read.correct["one"].shape == (2, 2, 2, 3) and not read.correct["one"][0].any()
    np.testing.assert_array_equal(read.correct["one"][1], [[[1, 0, 0], [1, 1, 0]], [[1, 1, 0], [1, 1, 1]]])
    pd.DataFrame(rows[:-1]).to_parquet(paths[0])
    with pytest.raises(DataError, match="answers of b, encoder 1, seed 1, suite one: some questions are missing"):
        read_answers(paths[:1])
    with pytest.raises(DataError, match="answers of x, encoder 0, seed 0"):
        read_answers(paths[:1], ["x"])
    pd.DataFrame(rows).drop(columns="encoder").to_parquet(paths[0])
    with pytest.raises(DataError, match=r"0\.parquet: not a complete table of answers .*encoder"):
        read_answers(paths[:1])


def test_score_table_averages_suites_and_compares_with_the_reference(answers):
    table = score_table(answers, "a").set_index(["method", "suite", "group"])
    by_suite = [answers.correct[suite][1].mean() for suite in ("one", "two")]
    assert table.loc[("b", "average", "g")].value == pytest.approx(100 * np.mean(by_suite))
    total = table.loc[("b", "average", "all")]
    assert (total.encoders, total.seeds, total.questions) == (4, 2, 360)
    expected = random_effects([rows[1] - rows[0] for rows in answers.correct.values()])
    interval = expected.interval()
    assert total[["difference", "difference_low", "difference_high"]].tolist() == pytest.approx(
        [100 * interval.value, 100 * interval.low, 100 * interval.high]
    )
    assert total.standard_error == pytest.approx(100 * expected.standard_error)
    assert total.degrees_of_freedom == pytest.approx(expected.degrees_of_freedom)
    assert total.detectable == pytest.approx(100 * expected.detectable())
    assert total.difference_low > 0 and total.within_noise is False
    assert table.loc[("c", "average", "all")].within_noise is True
    reference = table.loc[("a", "average", "all")]
    assert reference.within_noise is None and reference.difference_low == reference.difference_high == 0
    with pytest.raises(ConfigError, match="method 'z' has no answers; there are a, b, c"):
        score_table(answers, "z")


def test_an_accuracy_is_between_0_and_100(answers):
    rare = np.zeros((1, 4, 2, 50))
    rare[0, 0, 0, :3] = 1
    table = score_table(Answers(["a"], {"one": rare}, {"one": "g"}), "a")
    assert (table.low == 0).all() and (table.high > table.value).all()
    table = score_table(Answers(["a"], {"one": 1 - rare}, {"one": "g"}), "a")
    assert (table.high == 100).all()


def test_paired_table_is_antisymmetric_and_agrees_with_the_score_table(answers):
    pairs = paired_table(answers).set_index(["first", "second", "group"])
    one, other = pairs.loc[("b", "a", "all")], pairs.loc[("a", "b", "all")]
    assert (one.difference, one.low, one.high) == pytest.approx((-other.difference, -other.high, -other.low))
    scored = score_table(answers, "a").set_index(["method", "suite", "group"]).loc[("b", "average", "all")]
    assert (one.low, one.high) == pytest.approx((scored.difference_low, scored.difference_high))
    shared = ["encoders", "seeds", "questions", "standard_error", "degrees_of_freedom", "detectable", "encoder_sd"]
    assert one[shared].tolist() == pytest.approx(scored[shared].tolist())
    assert len(pairs) == 6 * 3


def test_crossing_is_linear_in_the_logarithm():
    assert crossing([1, 100], [0.0, 1.0], 0.5) == pytest.approx(10)
    assert crossing([1, 2, 4], [5.0, 6.0, 7.0], 6.0) == pytest.approx(2)
    assert crossing([3, 9], [5.0, 6.0], 4.0) == 3
    assert crossing([1, 2], [0.0, 1.0], 2.0) is None


def test_a_truncated_table_of_answers_is_refused(tmp_path):
    (tmp_path / "seed0.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match=r"seed0\.parquet: not a complete table of answers .*run the evaluation again"):
        read_answers([tmp_path / "seed0.parquet"])
