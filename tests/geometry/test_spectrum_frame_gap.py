import numpy as np
import pytest
from scipy.linalg import subspace_angles
from scipy.stats import entropy, ortho_group

from revision.errors import ConfigError, DataError
from revision.geometry.frame import fit_frame, frame_of, leakage, principal_sines
from revision.geometry.gap import centroid_gap, decompose, effective_rows, gap_floor, row_contents
from revision.geometry.spectrum import (
    condition_number,
    covariance_eigenvalues,
    effective_condition_number,
    effective_dimension,
    effective_rank,
    energy_rank,
    power_law,
    principal_axes,
)


def test_spectrum_of_a_gaussian_of_known_covariance():
    values = np.arange(1, 9) ** -1.5
    rows = np.random.default_rng(0).standard_normal((200_000, 8)) * np.sqrt(values)
    eigenvalues = covariance_eigenvalues(rows @ ortho_group.rvs(8, random_state=1) + 3)
    np.testing.assert_allclose(eigenvalues, values, rtol=0.02)
    assert power_law(eigenvalues, 1, 8).alpha == pytest.approx(1.5, abs=0.02)


def test_streamed_eigenvalues_equal_numpy_on_the_whole_matrix(pairs):
    whole = np.linalg.eigvalsh(np.cov(pairs[0].astype(np.float64).T, bias=True))[::-1]
    np.testing.assert_allclose(covariance_eigenvalues(pairs[0]), whole, atol=1e-12)


@pytest.mark.parametrize("alpha", [0.5, 1.33, 1.83])
def test_power_law_is_exact_and_scale_free(alpha):
    values = np.arange(1, 513.0) ** -alpha
    fit = power_law(7 * values)
    assert (fit.alpha, fit.r_squared) == pytest.approx((alpha, 1))
    assert (fit.first, fit.last) == (5, 256)


def test_power_law_refuses_too_few_ranks():
    with pytest.raises(DataError, match="too few"):
        power_law(np.array([3.0, 2.0, 1.0]), 2, 3)


def test_ranks_and_condition_numbers_against_closed_forms():
    values = np.array([4.0, 2.0, 1.0, 1.0, 0.0])
    assert effective_rank(values) == pytest.approx(np.exp(entropy(values[:4])))
    assert effective_dimension(values) == pytest.approx(64 / 22)
    assert effective_rank(np.ones(7)) == pytest.approx(7) and effective_dimension(np.ones(7)) == pytest.approx(7)
    assert condition_number(values) == 4
    assert [energy_rank(values, share) for share in (0.5, 0.51, 0.75, 1)] == [1, 2, 2, 4]
    assert effective_condition_number(np.array([90.0, 9.5, 0.5]), 0.99) == pytest.approx(90 / 9.5)
    with pytest.raises(DataError, match="all eigenvalues are zero"):
        effective_rank(np.zeros(3))
    with pytest.raises(ConfigError, match=r"energy must lie in \(0, 1\], got 1.5"):
        energy_rank(values, 1.5)


def test_principal_axes_are_those_of_the_union(pairs):
    mean, axes = principal_axes(*pairs)
    union = np.concatenate(pairs).astype(np.float64)
    _, _, vectors = np.linalg.svd(union - union.mean(axis=0), full_matrices=False)
    np.testing.assert_allclose(mean, union.mean(axis=0), atol=1e-12)
    np.testing.assert_allclose(np.abs(np.sum(axes * vectors[:2].T, axis=0)), 1, atol=1e-9)


def test_frame_takes_the_fewest_directions_that_hold_the_energy():
    basis = ortho_group.rvs(5, random_state=3)
    frame = frame_of(basis @ np.diag([6.0, 3.0, 0.5, 0.3, 0.2]) @ basis.T, energy=0.9)
    assert frame.rank == 2
    np.testing.assert_allclose(frame.U @ frame.U.T, basis[:, :2] @ basis[:, :2].T, atol=1e-12)
    np.testing.assert_allclose(frame.eigenvalues, [6, 3, 0.5, 0.3, 0.2])
    assert frame_of(np.eye(5), rank=4).V.shape == (5, 1)
    with pytest.raises(DataError, match="rank 6"):
        frame_of(np.eye(5), rank=6)


def test_sines_equal_scipys_angles_and_stay_exact_when_small():
    rng = np.random.default_rng(2)
    first, second = (np.linalg.qr(rng.standard_normal((12, k)))[0] for k in (3, 5))
    np.testing.assert_allclose(principal_sines(first, second), np.sin(subspace_angles(first, second)), atol=1e-12)
    tilt = np.array([[1.0], [1e-10], [0.0]])
    assert principal_sines(np.eye(3)[:, :1], tilt)[0] == pytest.approx(1e-10, rel=1e-6)


def test_leakage_of_gradients_with_a_known_fraction_in_v():
    frame = frame_of(np.diag([2.0, 1.0]), rank=1)
    assert leakage(np.array([[3.0, 4.0], [3.0, -4.0]]), frame) == pytest.approx(0.8)
    with pytest.raises(DataError, match="zero"):
        leakage(np.zeros((2, 2)), frame)


def test_decomposition_is_exact_and_orthogonal(pairs):
    image, text = pairs
    frame = fit_frame(image, text, energy=0.8)
    parts = decompose(image, text, frame)
    difference = image.astype(np.float64) - text
    np.testing.assert_allclose(parts.beta + parts.gamma + parts.delta + parts.zeta, difference, atol=1e-15)
    assert abs(parts.beta @ parts.gamma) < 1e-12
    assert sum(parts.energy().values()) == pytest.approx((difference**2).sum(axis=1).mean())
    assert np.hypot(*map(np.linalg.norm, (parts.beta, parts.gamma))) == pytest.approx(centroid_gap(image, text))


def test_shapes_that_do_not_fit_are_refused(pairs):
    with pytest.raises(DataError, match="dimensions differ, 24 against 23"):
        centroid_gap(pairs[0], pairs[1][:, :23])
    with pytest.raises(DataError, match="row i of one must belong"):
        decompose(pairs[0], pairs[1][:5], fit_frame(*pairs))
    with pytest.raises(DataError, match="non-empty array"):
        covariance_eigenvalues(np.zeros(4))


@pytest.mark.parametrize("captions", [1, 3])
@pytest.mark.parametrize("fitted", [False, True])
@pytest.mark.parametrize("paired", [True, False])
def test_floor_is_the_rms_gap_of_samples_from_distributions_of_one_mean(paired, fitted, captions):
    """Several captions of an image repeat its row; an aligner moves texts by the difference of the means of a fit."""
    random, gaps, floors = np.random.default_rng(2), [], []
    spread = np.array([1, 1, 0.5, 0.5, 0.2, 0.2])

    def sample(images):
        image = np.repeat(random.standard_normal((images, 6)) * spread, captions, axis=0)
        content = image if paired else random.standard_normal(image.shape) * spread
        return image, content + 0.5 * random.standard_normal(image.shape)

    for _ in range(400):
        (image, text), fit = sample(40), sample(60)
        rows = None
        if fitted:
            text = text + fit[0].mean(axis=0) - fit[1].mean(axis=0)
            pairs = effective_rows(fit[0] - fit[1], row_contents(fit[0]))
            rows = (pairs,) if paired else (effective_rows(fit[0]), effective_rows(fit[1]))
        gaps.append(centroid_gap(image, text))
        floors.append(gap_floor(image, text, rows, paired=paired, contents=row_contents(image) if paired else None))
    assert np.sqrt(np.mean(np.square(gaps))) == pytest.approx(np.sqrt(np.mean(np.square(floors))), rel=0.1)
