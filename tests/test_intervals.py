"""Intervals against scipy and against the normal theory of a mean."""

import numpy as np
import pytest
from scipy import stats

from revision.intervals import bootstrap, interval, over_seeds


def test_student_interval_is_scipys():
    values = np.array([0.3, 0.5, 0.45, 0.62])
    expected = stats.t.interval(0.95, 3, loc=values.mean(), scale=stats.sem(values))
    found = over_seeds(values)
    assert (found.low, found.high) == pytest.approx(expected)
    assert np.isnan(over_seeds(values[:1]).low)


def test_bootstrap_of_equal_seeds_has_the_binomial_error():
    answers = (np.random.default_rng(0).random(400) < 0.3).astype(float)
    resamples = bootstrap({"suite": np.stack([answers] * 3)}, seed=1)[:, 0]
    error = np.sqrt(answers.mean() * (1 - answers.mean()) / 400)
    assert resamples.std() == pytest.approx(error, rel=0.05)
    found = interval(answers.mean(), resamples)
    assert found.high - found.low == pytest.approx(2 * 1.96 * error, rel=0.08)


def test_same_seed_pairs_two_methods():
    generator = np.random.default_rng(0)
    first = (generator.random((3, 200)) < 0.5).astype(float)
    one, two = bootstrap({"a": first}, seed=3), bootstrap({"a": first}, seed=3)
    assert np.array_equal(one, two)
    shifted = bootstrap({"a": first + 0.25}, seed=3)
    assert np.allclose(shifted - one, 0.25)
