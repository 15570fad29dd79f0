"""Mutual neighbours and CKA against kernel matrices written out, what leaves them unchanged, and their null."""

from itertools import permutations

import numpy as np
import pytest

from revision.align import make_aligner
from revision.errors import DataError
from revision.geometry.representations import (
    linear_cka,
    linear_cka_agreement,
    mutual_knn,
    mutual_knn_agreement,
    pairing_score,
)


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def two(pairs):
    """Rows [400, 24] and [400, 40] that correspond."""
    image, text = pairs
    more = np.random.default_rng(3).standard_normal((24, 40))
    return image, unit(text @ more)


def plain_hsic(first, second):
    """Song et al. 2012, equation 5, on kernel matrices without their diagonals."""
    k, l = (rows.astype(float) @ rows.astype(float).T for rows in (first, second))  # noqa: E741
    np.fill_diagonal(k, 0)
    np.fill_diagonal(l, 0)
    n, ones = len(k), np.ones(len(k))
    whole = np.trace(k @ l) + (ones @ k @ ones) * (ones @ l @ ones) / ((n - 1) * (n - 2))
    return (whole - 2 * (ones @ k @ l @ ones) / (n - 2)) / (n * (n - 3))


def test_cka_is_the_formula_on_whole_kernels(two):
    first, second = two
    expected = plain_hsic(first, second) / np.sqrt(plain_hsic(first, first) * plain_hsic(second, second))
    assert linear_cka(first, second) == pytest.approx(expected, rel=1e-9)
    assert 0.1 < expected < 0.9


def test_cka_ignores_shift_rotation_scale_and_sees_other_dimensions(two):
    first, second = two
    turn = np.linalg.qr(np.random.default_rng(0).standard_normal((24, 24)))[0]
    moved = 3 * first.astype(float) @ turn + 5
    assert linear_cka(moved, second) == pytest.approx(linear_cka(first, second), rel=1e-9)
    assert linear_cka(first, moved) == pytest.approx(1)
    assert linear_cka(second, first) == pytest.approx(linear_cka(first, second))


def test_permuted_rows_have_no_cka_on_average():
    """All 720 permutations of six rows: the unbiased estimate has a mean of exactly zero."""
    first, second = np.random.default_rng(1).standard_normal((2, 6, 3))
    values = [plain_hsic(first, second[list(order)]) for order in permutations(range(6))]
    found = [linear_cka(first, second[list(order)]) for order in permutations(range(6))]
    scale = np.sqrt(plain_hsic(first, first) * plain_hsic(second, second))
    np.testing.assert_allclose(found, np.array(values) / scale, atol=1e-12)
    assert np.mean(found) == pytest.approx(0, abs=1e-12)


def test_without_debiasing_few_independent_rows_would_look_alike():
    first, second = np.random.default_rng(2).standard_normal((2, 60, 100))
    assert abs(linear_cka(first, second)) < 0.1
    centred = [rows - rows.mean(axis=0) for rows in (first, second)]
    k, l = (rows @ rows.T for rows in centred)  # noqa: E741
    assert (k * l).sum() / np.linalg.norm(k) / np.linalg.norm(l) > 0.5


@pytest.mark.parametrize("k", [1, 10])
def test_mutual_neighbours_are_counted_one_by_one(two, k):
    def neighbours(rows):
        cosines = rows.astype(float) @ rows.T
        np.fill_diagonal(cosines, -2)
        return np.argsort(-cosines, axis=1)[:, :k]

    expected = np.mean([len(set(a) & set(b)) / k for a, b in zip(*map(neighbours, two), strict=True)])
    assert mutual_knn(*two, k=k) == pytest.approx(expected)
    assert mutual_knn(two[0], two[0], k=k) == 1


@pytest.mark.parametrize(("measure", "plain"), [(mutual_knn_agreement, mutual_knn), (linear_cka_agreement, linear_cka)])
def test_the_null_is_the_measure_on_permuted_rows(two, measure, plain):
    first, second = two
    found = measure(first, second, trials=5, seed=4)
    generator = np.random.default_rng(4)
    expected = [plain(first, second[generator.permutation(len(second))]) for _ in range(5)]
    np.testing.assert_allclose(found.null, expected, atol=1e-12)
    assert found.value == pytest.approx(plain(first, second))
    assert found.p_value == pytest.approx(1 / 6)
    assert found.calibrated == pytest.approx((found.value - np.mean(expected)) / (1 - np.mean(expected)))


def test_independent_rows_are_within_the_null():
    first, second = (
        unit(np.random.default_rng(5).standard_normal((300, 8))),
        unit(np.random.default_rng(6).standard_normal((300, 12))),
    )
    found = mutual_knn_agreement(first, second, k=10, trials=199)
    assert found.null.mean() == pytest.approx(10 / 299, abs=0.001)
    assert found.p_value > 0.05 and linear_cka_agreement(first, second).p_value > 0.05


def test_real_pairs_agree_beyond_chance_and_a_shift_changes_neither(real):
    _, image, text = (real[0], *(unit(rows) for rows in real[1:]))
    for measure in (mutual_knn_agreement, linear_cka_agreement):
        assert measure(image, text).p_value == pytest.approx(0.01)
    # Neighbours change only through normalisation after the shift; CKA hardly.
    moved = make_aligner("mean_shift").fit(text, image).transform(text)
    assert linear_cka(image, moved) == pytest.approx(linear_cka(image, text), abs=0.1)


def test_bad_input_is_named(two):
    first, second = two
    with pytest.raises(DataError, match="400 rows against 399"):
        linear_cka(first, second[:399])
    with pytest.raises(DataError, match="only 3 rows"):
        mutual_knn(first[:3], second[:3], k=1)
    with pytest.raises(DataError, match="k = 400, but there are 399"):
        mutual_knn(first, second, k=400)
    with pytest.raises(DataError, match="rows of a set are equal"):
        linear_cka(first, np.ones((400, 5)))
    broken = first.astype(float)
    broken[7, 2] = np.inf
    with pytest.raises(DataError, match="row 7: infinity"):
        linear_cka(second, broken)


def test_pairing_score_standardises_the_mean_cosine_by_all_permutations():
    """All 720 permutations of six rows, with a gap that does not change the score."""
    random = np.random.default_rng(0)
    image = random.standard_normal((6, 4))
    text = image + random.standard_normal((6, 4)) + 3
    sums = np.array([np.vdot(image, text[list(order)]) for order in permutations(range(6))])
    assert pairing_score(image, text) == pytest.approx((sums[0] - sums.mean()) / sums.std())
    assert pairing_score(image, np.ones_like(image)) == 0
