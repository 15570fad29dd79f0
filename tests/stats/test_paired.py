"""Tables of accuracy against scipy, the bootstrap of one method, simulation and closed forms."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from revision.errors import ConfigError, DataError
from revision.stats.intervals import interval
from revision.stats.paired import (
    Answers,
    VarianceComponents,
    crossing,
    detectable_factor,
    effect_size,
    paired_table,
    read_answers,
    resampled,
    score_table,
    variance_components,
)

GROUPS = {"one": "g", "two": "g", "three": "h"}


def bootstrap(correct, *, seed, draws):
    """Mean accuracies [draws, suites] of one method over resampled seeds and questions, suite by suite."""
    generator = np.random.default_rng(seed)
    seeds = next(iter(correct.values())).shape[0]
    weights = generator.multinomial(seeds, np.full(seeds, 1 / seeds), size=draws) / seeds
    means = []
    for answers in correct.values():
        questions = answers.shape[1]
        picked = generator.multinomial(questions, np.full(questions, 1 / questions), size=draws) / questions
        means.append(np.einsum("bs,sq,bq->b", weights, answers, picked, optimize=True))
    return np.stack(means, axis=1)


@pytest.fixture
def answers():
    rng = np.random.default_rng(0)
    shared = {suite: rng.random(120) for suite in GROUPS}
    levels = {"a": 0.5, "b": 0.8, "c": 0.51}
    correct = {
        suite: np.stack(
            [np.stack([(0.7 * hard + 0.3 * rng.random(120) < level) for _ in range(3)]) for level in levels.values()]
        ).astype(float)
        for suite, hard in shared.items()
    }
    return Answers(list(levels), correct, GROUPS)


def test_answers_are_read_by_method_seed_and_question(tmp_path):
    rows = [
        {
            "method": m,
            "encoder": 0,
            "seed": s,
            "suite": "one",
            "group": "g",
            "question": f"q{q}",
            "correct": int(m == "a" and q <= s),
        }
        for m in "ab"
        for s in (0, 1)
        for q in (2, 0, 1)
    ]
    paths = []
    for seed in (0, 1):
        paths.append(tmp_path / f"{seed}.parquet")
        pd.DataFrame([row for row in rows if row["seed"] == seed]).to_parquet(paths[-1])
    read = read_answers(paths, ["b", "a"])
    np.testing.assert_array_equal(read.correct["one"], [[[0, 0, 0], [0, 0, 0]], [[1, 0, 0], [1, 1, 0]]])
    pd.DataFrame(rows[:-1]).to_parquet(paths[0])
    with pytest.raises(DataError, match="answers of b, encoder 0, seed 1, suite one: some questions are missing"):
        read_answers(paths[:1])
    with pytest.raises(DataError, match="answers of x, encoder 0, seed 0"):
        read_answers(paths[:1], ["x"])


def test_resamples_are_those_of_one_method_alone(answers):
    together = resampled(answers, seed=4, draws=50)
    for method in range(3):
        alone = bootstrap({suite: rows[method] for suite, rows in answers.correct.items()}, seed=4, draws=50)
        np.testing.assert_allclose(together[:, method], alone, atol=1e-12)


def test_resamples_of_equal_seeds_have_the_binomial_error():
    correct = (np.random.default_rng(0).random(400) < 0.3).astype(float)
    resamples = resampled(Answers(["a"], {"suite": np.stack([correct] * 3)[None]}, {"suite": "g"}), seed=1)[:, 0, 0]
    error = np.sqrt(correct.mean() * (1 - correct.mean()) / 400)
    assert resamples.std() == pytest.approx(error, rel=0.05)
    bootstrap = interval(correct.mean(), resamples)
    assert bootstrap.high - bootstrap.low == pytest.approx(2 * 1.96 * error, rel=0.08)


def test_score_table_averages_suites_and_compares_with_the_reference(answers):
    table = score_table(answers, "a").set_index(["method", "suite", "group"])
    by_suite = [answers.correct[suite][1].mean() for suite in ("one", "two")]
    assert table.loc[("b", "average", "g")].value == pytest.approx(100 * np.mean(by_suite))
    total = table.loc[("b", "average", "all")]
    change = np.mean([rows[1].mean(axis=1) - rows[0].mean(axis=1) for rows in answers.correct.values()], axis=0)
    expected = stats.t.interval(0.95, 2, loc=change.mean(), scale=stats.sem(change))
    assert total.difference == pytest.approx(100 * change.mean())
    assert (total.t_low, total.t_high) == pytest.approx(tuple(100 * end for end in expected))
    assert total.difference_low > 0 and total.within_noise is False and total.questions == 360
    assert table.loc[("c", "average", "all")].within_noise is True
    assert table.loc[("a", "average", "all")].within_noise is None
    with pytest.raises(ConfigError, match="method 'z' has no answers; there are a, b, c"):
        score_table(answers, "z")


def test_paired_table_is_antisymmetric_and_agrees_with_the_score_table(answers):
    pairs = paired_table(answers).set_index(["first", "second", "group"])
    one, other = pairs.loc[("b", "a", "all")], pairs.loc[("a", "b", "all")]
    assert (one.difference, one.low, one.high) == pytest.approx((-other.difference, -other.high, -other.low))
    scored = score_table(answers, "a").set_index(["method", "suite", "group"]).loc[("b", "average", "all")]
    assert (one.low, one.high) == pytest.approx((scored.difference_low, scored.difference_high))
    assert len(pairs) == 6 * 3


def test_effect_size_is_the_paired_t_statistic_over_the_root_of_n():
    rng = np.random.default_rng(2)
    first, second = rng.random((1, 80)), rng.random((1, 80)) + 0.2
    expected = stats.ttest_rel(first[0], second[0]).statistic / np.sqrt(79)  # ddof 0, as suites are weighted
    assert effect_size([first - second]) == pytest.approx(expected)
    assert np.isnan(effect_size([np.zeros((2, 5))]))


def test_variance_components_are_recovered():
    rng = np.random.default_rng(5)
    seed, question, rest = 0.04, 0.5, 0.3
    estimates = []
    for _ in range(60):
        a = rng.normal(0, np.sqrt(seed), (6, 1))
        suites = [
            a + rng.normal(0, np.sqrt(question), (1, 200)) + rng.normal(0, np.sqrt(rest), (6, 200)) for _ in range(2)
        ]
        components = variance_components(suites)
        estimates.append((components.seed, components.question, components.rest))
    # Of the mean over two suites: the seed's part is common to both, the others are halved.
    assert np.mean(estimates, axis=0) == pytest.approx((seed, question / 2, rest / 2), rel=0.15)
    assert np.isnan(variance_components([np.zeros((1, 4))]).seed)


def test_needed_questions_and_seeds_reduce_the_error():
    parts = VarianceComponents(seed=0.001, question=0.4, rest=0.6)
    questions = parts.questions_for(0.03, seeds=4)
    assert np.sqrt(parts.variance(4, questions)) == pytest.approx(0.03)
    seeds = parts.seeds_for(0.04, questions=400)
    assert np.sqrt(parts.variance(seeds, 400)) == pytest.approx(0.04)
    assert parts.questions_for(0.01, seeds=4) == np.inf and parts.seeds_for(0.01, questions=400) == np.inf


def test_detectable_difference_is_found_in_four_of_five_runs():
    shift = detectable_factor()
    assert stats.norm.sf(stats.norm.ppf(0.975) - shift) == pytest.approx(0.8)


def test_crossing_is_linear_in_the_logarithm():
    assert crossing([1, 100], [0.0, 1.0], 0.5) == pytest.approx(10)
    assert crossing([1, 2, 4], [5.0, 6.0, 7.0], 6.0) == pytest.approx(2)
    assert crossing([3, 9], [5.0, 6.0], 4.0) == 3
    assert crossing([1, 2], [0.0, 1.0], 2.0) is None


def test_a_truncated_table_of_answers_is_refused(tmp_path):
    (tmp_path / "seed0.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match=r"seed0\.parquet: not a complete table of answers .*run the evaluation again"):
        read_answers([tmp_path / "seed0.parquet"])
