"""RMG, linear separability, alignment and uniformity against whole distance matrices, closed forms and real pairs."""

import numpy as np
import pytest
from scipy.spatial.distance import pdist

from revision.errors import DataError
from revision.geometry import neighbours, uniformity
from revision.geometry.separability import linear_separability, relative_modality_gap


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(params=[7, 2048])
def tiles(request, monkeypatch):
    for module in (neighbours, uniformity):
        monkeypatch.setattr(module, "CORPUS", request.param)
    monkeypatch.setattr(neighbours, "QUERIES", request.param)


def plain_rmg(image, text):
    """Schrodi et al. 2024, from whole matrices of cosines."""
    image, text = (np.asarray(rows, dtype=float) for rows in (image, text))
    apart = ~np.eye(len(image), dtype=bool)
    between = (1 - np.diag(image @ text.T)).mean() / 2
    within = np.mean([(1 - (rows @ rows.T)[apart]).mean() / 2 for rows in (image, text)])
    return between / (between + within)


def test_relative_gap_is_the_formula_on_whole_matrices_of_cosines(pairs):
    assert relative_modality_gap(*pairs) == pytest.approx(plain_rmg(*pairs), abs=1e-6)


def test_relative_gap_of_real_pairs(real):
    name, image, text = real[0], *(unit(rows) for rows in real[1:])
    assert relative_modality_gap(image, text) == pytest.approx(plain_rmg(image, text), abs=1e-6)
    if name == "clip":  # known from a count apart from this code
        assert round(relative_modality_gap(image, text), 3) == 0.591


def test_relative_gap_at_its_ends():
    axes = np.eye(4, dtype=np.float32)
    assert relative_modality_gap(axes, axes) == 0
    assert relative_modality_gap(axes, axes[[1, 2, 3, 0]]) == pytest.approx(0.5)
    assert relative_modality_gap(axes[[0, 0]], -axes[[0, 0]]) == pytest.approx(1)


def test_a_plane_parts_shifted_sets_and_not_sets_of_one_distribution():
    random = np.random.default_rng(0)
    first, second = random.standard_normal((2, 3000, 8))
    assert linear_separability(unit(first), unit(second)) == pytest.approx(0.5, abs=0.03)
    assert linear_separability(unit(first + 3), unit(second - 3)) == 1


def test_accuracy_for_two_normal_clouds_is_that_of_the_best_plane():
    """On a circle of a large radius, a step s against a spread of 1 leaves Phi(s / 2) as the best accuracy."""
    from scipy.stats import norm

    random = np.random.default_rng(1)
    angle = random.standard_normal((2, 10_000)) * 0.01 + np.array([[0.0], [0.01]])
    first, second = (unit(np.stack([np.cos(one), np.sin(one)], axis=1)) for one in angle)
    assert linear_separability(first, second, rows=10_000) == pytest.approx(norm.cdf(0.5), abs=0.01)


def test_separability_follows_its_seed_is_balanced_and_held_out(pairs):
    image, text = pairs
    assert linear_separability(image, text, seed=1) == linear_separability(image, text, seed=1)
    assert linear_separability(image, text[:20]) * 20 % 1 == pytest.approx(0)  # 10 held-out rows of each set
    random = np.random.default_rng(2)
    wide = [unit(random.standard_normal((40, 200))) for _ in range(2)]  # fitted rows are always separable here
    assert linear_separability(*wide) < 0.8


def test_real_pairs_are_separable(real):
    _, image, text = real
    assert linear_separability(unit(image), unit(text)) > 0.99


def test_alignment_is_the_mean_power_of_the_distance(pairs):
    distance = np.linalg.norm(pairs[0].astype(float) - pairs[1], axis=1)
    for alpha in (1, 2, 3):
        assert uniformity.alignment(*pairs, alpha=alpha) == pytest.approx((distance**alpha).mean())
    assert uniformity.alignment(pairs[0], pairs[0]) == 0


def test_uniformity_is_the_mean_potential_over_all_pairs(pairs, tiles):
    for t in (1.0, 2.0):
        expected = np.log(np.exp(-t * pdist(pairs[0].astype(float)) ** 2).mean())
        assert uniformity.uniformity(pairs[0], t) == pytest.approx(expected, abs=1e-6)


def test_uniformity_at_its_ends():
    assert uniformity.uniformity(np.tile(unit(np.ones((1, 5))), (30, 1))) == pytest.approx(0, abs=1e-6)
    assert uniformity.uniformity(np.eye(6, dtype=np.float32)) == pytest.approx(-4)  # all distances are sqrt(2)
    assert uniformity.uniformity(np.array([[1, 0], [-1, 0]], np.float32)) == pytest.approx(-8)


def test_uniformity_of_random_directions_is_the_closed_form():
    """E exp(-2 t (1 - c)) for the cosine c of two random directions in d dimensions, by quadrature."""
    d = 16
    c, weight = np.polynomial.legendre.leggauss(200)
    density = (1 - c**2) ** ((d - 3) / 2)
    exact = np.log((weight * density * np.exp(-4 * (1 - c))).sum() / (weight * density).sum())
    rows = unit(np.random.default_rng(0).standard_normal((3000, d)))
    assert uniformity.uniformity(rows) == pytest.approx(exact, abs=0.005)


def test_bad_input_is_named(pairs):
    image, text = pairs
    with pytest.raises(DataError, match="row i of one must belong to row i"):
        relative_modality_gap(image, text[:50])
    with pytest.raises(DataError, match="one pair has no distances"):
        relative_modality_gap(image[:1], text[:1])
    with pytest.raises(DataError, match="all rows of both sets are equal"):
        relative_modality_gap(np.eye(2, dtype=np.float32)[[0, 0]], np.eye(2, dtype=np.float32)[[0, 0]])
    with pytest.raises(DataError, match="text: row 0 has length 2, not 1"):
        linear_separability(image, 2 * text)
    with pytest.raises(DataError, match="3 images and 400 texts; give 4 or more"):
        linear_separability(image[:3], text)
    with pytest.raises(DataError, match="one row has no pairs"):
        uniformity.uniformity(image[:1])
    broken = text.copy()
    broken[3] = np.nan
    with pytest.raises(DataError, match="text: row 3 has length nan"):
        uniformity.alignment(image, broken)
