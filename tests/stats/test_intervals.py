"""Student's intervals and random effects against scipy, the analysis of variance, and simulation."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from revision.stats.intervals import POWER, MeanEstimate, over_seeds, over_trainings, random_effects

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from interval_coverage import Case, simulate


def test_student_interval_is_scipys():
    values = np.array([0.3, 0.5, 0.45, 0.62])
    expected = stats.t.interval(0.95, 3, loc=values.mean(), scale=stats.sem(values))
    interval = over_seeds(values)
    assert (interval.low, interval.high) == pytest.approx(expected)
    assert np.isnan(over_seeds(values[:1]).low)


def test_trainings_are_averaged_within_encoders():
    rng = np.random.default_rng(0)
    index = pd.MultiIndex.from_product([range(4), range(2)], names=["encoder", "seed"])
    values = pd.Series(rng.standard_normal(8), index)
    means = values.to_numpy().reshape(4, 2).mean(axis=1)
    assert over_trainings(values) == over_seeds(means)
    assert over_trainings(values.loc[[2]]) == over_seeds(values.loc[2].to_numpy())
    assert over_trainings(values.droplevel("encoder")) == over_seeds(values.to_numpy())


def test_without_an_effect_of_questions_the_interval_is_that_of_the_encoders():
    trainings = np.random.default_rng(1).standard_normal((4, 2))
    estimate = random_effects([np.repeat(trainings[:, :, None], 50, axis=2)] * 3)
    test = stats.ttest_1samp(trainings.mean(axis=1), 0)
    ends = test.confidence_interval(0.95)
    interval = estimate.interval()
    assert (interval.value, interval.low, interval.high) == pytest.approx((trainings.mean(), ends.low, ends.high))
    assert estimate.degrees_of_freedom == pytest.approx(3)
    assert estimate.value / estimate.standard_error == pytest.approx(test.statistic)
    assert estimate.seed_sd == pytest.approx(np.sqrt(trainings.var(axis=1, ddof=1).mean()))


def test_with_one_encoder_the_interval_is_that_of_its_seeds():
    trainings = np.random.default_rng(2).standard_normal(3)
    estimate = random_effects([np.repeat(trainings[None, :, None], 20, axis=2)])
    ends = stats.ttest_1samp(trainings, 0).confidence_interval(0.95)
    interval = estimate.interval()
    assert (interval.low, interval.high) == pytest.approx((ends.low, ends.high))
    assert np.isnan(estimate.encoder_sd) and estimate.seed_sd == pytest.approx(trainings.std(ddof=1))


@pytest.mark.parametrize("shape", [(4, 2), (1, 3), (1, 1)])
def test_with_an_effect_of_questions_alone_the_interval_is_that_of_paired_questions(shape):
    rng = np.random.default_rng(3)
    first, second = rng.random((2, 30)).round()
    estimate = random_effects([np.broadcast_to(first - second, (*shape, 30))])
    test = stats.ttest_rel(first, second)
    ends = test.confidence_interval(0.95)
    interval = estimate.interval()
    assert (interval.low, interval.high) == pytest.approx((ends.low, ends.high))
    assert estimate.degrees_of_freedom == pytest.approx(29)
    assert estimate.question_sd == pytest.approx((first - second).std(ddof=1))


def test_the_error_is_that_of_the_balanced_analysis_of_variance():
    """Mean squares of encoders, questions and their interaction, from sums of squares of the answers (one suite)."""
    encoders, seeds, questions = 4, 3, 25
    rng = np.random.default_rng(4)
    answers = rng.standard_normal((encoders, seeds, questions)) + rng.standard_normal((encoders, 1, 1))
    answers = answers + rng.standard_normal((1, 1, questions)) + 0.3 * rng.standard_normal((encoders, seeds, 1))
    mean, e, q = answers.mean(), answers.mean(axis=(1, 2)), answers.mean(axis=(0, 1))
    s, eq = answers.mean(axis=2), answers.mean(axis=1)
    ms_e = seeds * questions * np.sum((e - mean) ** 2) / (encoders - 1)
    ms_q = encoders * seeds * np.sum((q - mean) ** 2) / (questions - 1)
    ms_eq = seeds * np.sum((eq - e[:, None] - q + mean) ** 2) / ((encoders - 1) * (questions - 1))
    ms_s = questions * np.sum((s - e[:, None]) ** 2) / (encoders * (seeds - 1))
    residual = answers - s[:, :, None] - eq[:, None] + e[:, None, None]
    ms_r = np.sum(residual**2) / (encoders * (seeds - 1) * (questions - 1))
    estimate = random_effects([answers])
    assert estimate.standard_error**2 == pytest.approx((ms_e + ms_q - ms_eq) / answers.size)
    assert estimate.seed_sd**2 == pytest.approx((ms_s - ms_r) / questions)
    assert estimate.encoder_sd**2 == pytest.approx((ms_e - ms_eq - ms_s + ms_r) / (seeds * questions))
    assert estimate.question_sd**2 == pytest.approx((ms_q - ms_eq) / (encoders * seeds))
    parts = np.array([ms_e, ms_q - ms_eq])
    assert estimate.degrees_of_freedom == pytest.approx(parts.sum() / np.sum(parts / [encoders - 1, questions - 1]))


def test_the_components_are_recovered_on_average():
    rng = np.random.default_rng(5)
    encoder, seed, question, rest = 0.2, 0.3, 2.0, 1.0
    found = []
    for _ in range(200):
        trainings = encoder * rng.standard_normal((8, 1, 1)) + seed * rng.standard_normal((8, 4, 1))
        suites = [
            trainings + question * rng.standard_normal((1, 1, 50)) + rest * rng.standard_normal((8, 4, 50))
            for _ in range(2)
        ]
        estimate = random_effects(suites)
        squares = (estimate.encoder_sd, estimate.seed_sd, estimate.question_sd, estimate.standard_error)
        found.append(np.square(squares))
    error = encoder**2 / 8 + seed**2 / 32 + (question**2 + rest**2 / 32) / 100
    assert np.mean(found, axis=0) == pytest.approx((encoder**2, seed**2, question**2, error), rel=0.1)


def test_equal_answers_have_an_error_of_zero():
    estimate = random_effects([np.zeros((4, 2, 10))])
    assert estimate.interval().ends() == {"value": 0, "low": 0, "high": 0} and estimate.detectable() == 0


@pytest.mark.parametrize(("freedom", "rel"), [(3, 0.1), (7, 0.03), (200, 0.005)])
def test_the_detectable_difference_is_found_in_four_of_five_runs(freedom, rel):
    shift = MeanEstimate(0, 1, freedom, 0, 0, 0).detectable()
    critical = stats.t.ppf(0.975, freedom)
    assert stats.nct.sf(critical, freedom, shift) == pytest.approx(POWER, rel=rel)


@pytest.mark.parametrize("design", [(4, 2), (1, 3)])
@pytest.mark.parametrize(
    "effects",
    [(0.0, 0.0, 0.0), (0.0, 0.0, 1.0), (0.0, 0.2, 0.0), (0.1, 0.1, 0.5), (0.3, 0.0, 0.0)],
)
def test_95_percent_of_the_intervals_include_the_true_value(design, effects):
    encoders, seeds = design
    encoder, seed, question = effects
    runs, rng = 1000, np.random.default_rng(6)
    case = Case(encoders, seeds, 1, 100, encoder if encoders > 1 else 0.0, seed, question)
    truth, covered = case.truth(), np.zeros(2)
    for _ in range(runs):
        first, second = simulate(case, rng).astype(float)
        for number, (values, true) in enumerate(((second, truth[1]), (second - first, truth[1] - truth[0]))):
            interval = random_effects(list(values)).interval()
            covered[number] += interval.low <= true <= interval.high
    assert covered / runs == pytest.approx(0.95, abs=3 * np.sqrt(0.95 * 0.05 / runs))
