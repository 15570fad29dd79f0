import faiss
import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon
from scipy.stats import gaussian_kde
from sklearn.neighbors import NearestNeighbors

from revision.errors import DataError
from revision.geometry import angles, neighbours
from revision.geometry.angles import cosine_histogram, density, grid, jensen_shannon
from revision.geometry.neighbours import (
    mixing_rate,
    nearest,
    nearest_within,
    neighbour_overlap,
    pair_cosine,
    retrieval,
)


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(params=[(64, 32), (4096, 1024)])
def tiles(request, monkeypatch):
    """Small tiles, which split the data unevenly, and the default ones, which hold all of it."""
    monkeypatch.setattr(neighbours, "QUERIES", request.param[0])
    for module in (neighbours, angles):
        monkeypatch.setattr(module, "CORPUS", request.param[1])


def test_neighbours_equal_faiss(pairs, tiles):
    image, text = pairs
    index = faiss.IndexFlatIP(image.shape[1])
    index.add(image)
    similarity, neighbours_ = nearest(text, image, 20)
    theirs, expected = index.search(text, 20)
    np.testing.assert_array_equal(neighbours_, expected)
    np.testing.assert_allclose(similarity, theirs, atol=1e-6)


def test_neighbours_within_a_set_equal_scikit_learn(pairs, tiles):
    expected = NearestNeighbors(n_neighbors=10, metric="cosine").fit(pairs[0]).kneighbors(return_distance=False)
    np.testing.assert_array_equal(nearest_within(pairs[0], 10)[1], expected)


def test_equal_similarities_keep_the_lower_index(tiles):
    rows = np.tile(np.eye(2, dtype=np.float32)[:1], (150, 1))
    np.testing.assert_array_equal(nearest(rows[:1], rows, 3)[1], [[0, 1, 2]])
    np.testing.assert_array_equal(nearest_within(rows, 2)[1][[0, 1, 140]], [[1, 2], [0, 2], [0, 1]])


def test_wrong_k_and_rows_without_unit_length_are_refused(pairs):
    with pytest.raises(DataError, match=r"k = 400, but there are 399 rows"):
        nearest_within(pairs[0], 400)
    with pytest.raises(DataError, match="row 3 has length 2"):
        nearest(pairs[0], np.where(np.arange(400)[:, None] == 3, 2, 1) * pairs[0], 5)


def test_mixing_rate_equals_a_plain_count_in_the_union(pairs):
    image, text = pairs[0][:300], pairs[1]
    union = np.concatenate([text, image])
    chosen = NearestNeighbors(n_neighbors=20, metric="cosine").fit(union).kneighbors(return_distance=False)[: len(text)]
    assert mixing_rate(text, image) == pytest.approx((chosen >= len(text)).mean(), abs=1e-12)


def test_mixing_of_one_distribution_is_the_share_of_images_and_of_far_sets_is_zero():
    rng = np.random.default_rng(1)
    first, second = unit(rng.standard_normal((1500, 12))), unit(rng.standard_normal((500, 12)))
    assert mixing_rate(first, second) == pytest.approx(500 / 1999, abs=0.01)
    assert mixing_rate(unit(first + 5), unit(second - 5)) == 0


def test_overlap_is_one_under_rotation_and_chance_for_unrelated_rows():
    rng = np.random.default_rng(1)
    rows = unit(rng.standard_normal((1001, 16)))
    turned = unit(rows @ np.linalg.qr(rng.standard_normal((16, 16)))[0])
    assert neighbour_overlap(rows, turned) > 0.999
    assert neighbour_overlap(rows, unit(rng.standard_normal((1001, 16)))) == pytest.approx(10 / 1000, abs=0.005)


def test_recall_both_ways_equals_ranks_from_the_whole_matrix(pairs, tiles):
    image, text = pairs
    whole = text @ image.T
    own = np.diag(whole)
    recall = retrieval(image, text)
    for k in (1, 5, 10):
        assert recall.text_to_image[k] == pytest.approx(((whole > own[:, None]).sum(1) < k).mean())
        assert recall.image_to_text[k] == pytest.approx(((whole > own[None]).sum(0) < k).mean())
    assert recall.text_to_image != recall.image_to_text


def test_recall_of_indistinguishable_rows_is_chance():
    rows = np.tile(np.eye(3, dtype=np.float32)[:1], (50, 1))
    assert retrieval(rows, rows).text_to_image == pytest.approx({1: 1 / 50, 5: 5 / 50, 10: 10 / 50})


def test_pair_cosine_is_the_diagonal(pairs):
    np.testing.assert_allclose(pair_cosine(*pairs), np.diag(pairs[0].astype(float) @ pairs[1].T), atol=1e-7)


def test_histogram_counts_every_pair_once(pairs, tiles):
    cosines = (pairs[0] @ pairs[0].T)[np.triu_indices(400, 1)]
    counts = cosine_histogram(pairs[0], bins=40)
    assert counts.sum() == 400 * 399 / 2
    assert np.abs(counts - np.histogram(cosines, 40, (-1, 1))[0]).sum() <= 4


def test_density_follows_scipys_gaussian_kde(pairs):
    rows = pairs[0][:120]
    cosines = (rows.astype(float) @ rows.T)[np.triu_indices(120, 1)]
    estimate = density(cosine_histogram(rows))
    expected = gaussian_kde(cosines)(grid())
    assert estimate.sum() * 2 / len(estimate) == pytest.approx(1)
    np.testing.assert_allclose(estimate, expected / (expected.sum() * 2 / len(expected)), atol=0.01 * expected.max())


def test_density_of_random_directions_is_the_closed_form():
    d = 16
    rows = unit(np.random.default_rng(0).standard_normal((3000, d)))
    exact = (1 - grid() ** 2) ** ((d - 3) / 2)
    assert jensen_shannon(density(cosine_histogram(rows)), exact) < 5e-4


def test_divergence_equals_scipys_distance_squared():
    p, q = np.random.default_rng(0).random((2, 30))
    assert jensen_shannon(p, q) == pytest.approx(jensenshannon(p, q, base=2) ** 2)
    assert jensen_shannon(p, p) == 0
    assert jensen_shannon(np.array([1.0, 0]), np.array([0, 1.0])) == pytest.approx(1)
    with pytest.raises(DataError, match="different grids"):
        jensen_shannon(p, q[:5])
    with pytest.raises(DataError, match="one row has no pairs"):
        cosine_histogram(np.eye(3, dtype=np.float32)[:1])
    with pytest.raises(DataError, match="the histogram is empty"):
        density(np.zeros(10, np.int64))
