"""Precision and cost of ReAlign's statistics against exactly rounded sums and plain loops."""

import math

import numpy as np
import pytest

from revision.align import make_aligner
from revision.errors import DataError
from revision.gap.cost import Cycled, exact_mean, mean_errors, operator_cost, pairwise_mean, single_precision_mean
from revision.geometry.coupling import explained, ridge_coupling
from revision.geometry.gap import centroid_gap, effective_rows, gap_noise


def test_cycled_rows_are_numpys_resize(pairs):
    rows = Cycled(pairs[0][:7], 23)
    whole = np.concatenate(list(rows.blocks(5)))
    np.testing.assert_array_equal(whole, np.resize(pairs[0][:7], (23, 24)))
    assert (rows.count, rows.dim, rows.location(9)) == (23, 24, "row 2")


def test_exact_mean_is_the_exactly_rounded_sum(pairs):
    rows = Cycled(pairs[0], 1001)
    values = np.resize(pairs[0], (1001, 24)).astype(np.float64)
    expected = [math.fsum(column) / 1001 for column in values.T]
    np.testing.assert_allclose(exact_mean(rows), expected, rtol=0, atol=1e-17)


def test_single_precision_is_the_plain_loop(pairs):
    total = np.zeros(24, dtype=np.float32)
    for row in np.resize(pairs[0], (3000, 24)):
        total = total + row
    np.testing.assert_array_equal(single_precision_mean(Cycled(pairs[0], 3000)), total.astype(np.float64) / 3000)


@pytest.mark.parametrize("count", [1, 3, 513, 3000])
def test_pairwise_is_the_sum_of_both_halves(pairs, count):
    def total(rows):
        if len(rows) == 1:
            return rows[0]
        half = 1 << (len(rows) - 1).bit_length() - 1  # the largest power of two below the number of rows
        return total(rows[:half]) + total(rows[half:])

    expected = total(np.resize(pairs[0], (count, 24)).astype(np.float32)).astype(np.float64) / count
    np.testing.assert_allclose(pairwise_mean(Cycled(pairs[0], count)), expected, rtol=0, atol=1e-8)


def test_double_precision_stays_exact_where_single_does_not(pairs):
    errors = mean_errors(Cycled(pairs[0], 20_000))
    assert errors["float64"] < 1e-14 < errors["float32 pairwise"] < errors["float32"] / 10
    assert errors["float32"] > 1e-8


def test_memory_does_not_grow_with_the_set(pairs):
    image, text = pairs
    peaks = []
    for count in (10_000, 40_000):
        seconds, peak = operator_cost(make_aligner("realign"), Cycled(text, count), Cycled(image, count), repeats=1)
        assert seconds > 0
        peaks.append(peak)
    assert peaks[1] == pytest.approx(peaks[0], rel=0.2)


def test_gap_noise_is_the_root_mean_square_of_simulated_gaps():
    rng = np.random.default_rng(0)
    spread, d, pairs, fitted = np.array([0.3, 0.1, 0.05]), 3, 40, (90, 60)

    def cloud(count):
        return rng.standard_normal((count, d)) * spread

    squares, predicted = [], []
    for _ in range(2000):
        content = cloud(pairs)
        image, text = content + 0.5 * cloud(pairs), content + 0.5 * cloud(pairs)
        fit_image, fit_text = (cloud(count) * np.sqrt(1.25) for count in fitted)
        moved = text - fit_text.mean(axis=0) + fit_image.mean(axis=0)
        squares.append(centroid_gap(image, moved) ** 2)
        predicted.append(gap_noise(image, moved, fitted) ** 2)
    assert np.mean(predicted) == pytest.approx(np.mean(squares), rel=0.08)


def test_effective_rows_are_all_rows_without_repeated_content(pairs):
    rows = pairs[0]
    assert effective_rows(rows) == effective_rows(rows, np.arange(len(rows))) == len(rows)


def test_equal_rows_count_as_kish_says():
    rng = np.random.default_rng(0)
    counts = rng.integers(1, 9, 4000)
    contents = rng.permutation(np.repeat(np.arange(4000), counts))
    rows = rng.standard_normal((4000, 8)).astype(np.float32)[contents]
    kish = len(contents) ** 2 / (counts**2).sum()
    assert effective_rows(rows, contents) == pytest.approx(kish, rel=0.03)
    assert effective_rows(rows) == pytest.approx(effective_rows(rows, contents), rel=1e-12)
    twice = np.repeat(rng.standard_normal((60, 8)), 2, axis=0)
    assert effective_rows(twice) == pytest.approx(60)


def test_contents_must_fit(pairs):
    with pytest.raises(DataError, match="contents: 2 for"):
        effective_rows(pairs[0], np.arange(2))
    with pytest.raises(DataError, match="all rows have the same"):
        effective_rows(pairs[0], np.zeros(len(pairs[0])))


@pytest.mark.parametrize("within", [0.0, 0.5, 3.0])
def test_gap_noise_with_repeated_contents_is_that_of_simulated_gaps(within):
    """Contents are drawn anew for every set, some of them far more often than others; their rows differ by `within`."""
    rng = np.random.default_rng(0)
    share = np.arange(1, 301) ** -0.7
    share /= share.sum()

    def draw(count):
        """Images and texts [count, 3] and their contents."""
        contents = rng.choice(300, count, p=share)
        of_both, of_image = rng.standard_normal((2, 300, 3))
        image, text = (of_both + 0.5 * of_image)[contents], of_both[contents]
        return *(rows + within * rng.standard_normal(rows.shape) for rows in (image, text)), contents

    squares, counted, independent = [], [], []
    for _ in range(1000):
        (image, text, contents), (fit_image, _, of_image), (_, fit_text, of_text) = draw(600), draw(500), draw(400)
        moved = text - fit_text.mean(axis=0) + fit_image.mean(axis=0)
        squares.append(centroid_gap(image, moved) ** 2)
        fitted = effective_rows(fit_image, of_image), effective_rows(fit_text, of_text)
        counted.append(gap_noise(image, moved, fitted, contents) ** 2)
        independent.append(gap_noise(image, moved, (500, 400), np.arange(600)) ** 2)
    assert np.mean(counted) == pytest.approx(np.mean(squares), rel=0.08)
    assert np.mean(independent) < 0.8 * np.mean(squares)


def test_explained_is_r_squared_in_sample_and_near_zero_on_other_rows():
    rng = np.random.default_rng(1)
    delta, zeta = rng.standard_normal((400, 6)), rng.standard_normal((400, 5))
    fit = ridge_coupling(delta[:200], zeta[:200])
    residual = zeta[:200] - delta[:200] @ fit.matrix.T
    assert fit.r_squared == pytest.approx(1 - (residual**2).sum() / (zeta[:200] ** 2).sum())
    assert explained(fit.matrix, delta[200:], zeta[200:]) < 0.01 < fit.r_squared
    exact = rng.standard_normal((5, 6))
    assert explained(exact, delta, delta @ exact.T) == pytest.approx(1)
