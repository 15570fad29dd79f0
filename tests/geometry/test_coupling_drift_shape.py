import numpy as np
import pytest
from scipy.stats import ortho_group
from sklearn.linear_model import Ridge

from revision.errors import DataError
from revision.geometry.coupling import ridge_coupling
from revision.geometry.drift import drift_sweep, phantom_drift, predicted_drift
from revision.geometry.shape import residual, shape_discrepancy, spectral_correlation, subspace_overlap


def test_coupling_equals_scikit_learns_ridge():
    rng = np.random.default_rng(0)
    delta, zeta = rng.standard_normal((200, 5)), rng.standard_normal((200, 3))
    coupling = ridge_coupling(delta, zeta, 0.1)
    theirs = Ridge(alpha=coupling.ridge, fit_intercept=False).fit(delta, zeta)
    np.testing.assert_allclose(coupling.matrix, theirs.coef_, atol=1e-10)
    rest = ((zeta - theirs.predict(delta)) ** 2).sum() / (zeta**2).sum()
    assert coupling.r_squared == pytest.approx(1 - rest)


def test_coupling_finds_a_planted_map_and_none_between_independent_residuals():
    rng = np.random.default_rng(0)
    delta = rng.standard_normal((20_000, 6))
    planted = 0.3 * ortho_group.rvs(6, random_state=0)
    coupling = ridge_coupling(delta, delta @ planted.T, 1e-9)
    assert (coupling.norm, coupling.r_squared) == pytest.approx((0.3, 1), abs=1e-6)
    independent = ridge_coupling(delta, rng.standard_normal((20_000, 6)))
    assert independent.norm < 0.05 and independent.r_squared < 1e-3
    with pytest.raises(DataError, match="nothing to fit"):
        ridge_coupling(delta, np.zeros((20_000, 2)))


def test_isotropic_noise_does_not_turn_the_mean():
    mean = np.array([0.6, 0.8, 0.0])
    drift = predicted_drift(mean, 0.01 * np.eye(3))
    np.testing.assert_allclose(drift, -0.01 * mean, atol=1e-15)


def test_drift_of_two_points_is_the_closed_form():
    f = 0.02
    rows = np.array([[1.0, f], [1.0, -f]])
    drift = phantom_drift(rows)
    np.testing.assert_allclose(drift.measured, [1 / np.hypot(1, f) - 1, 0], atol=1e-15)
    np.testing.assert_allclose(drift.predicted, [-(f**2) / 2, 0], atol=1e-15)
    assert drift.relative_residual == pytest.approx(f)


def test_drift_error_falls_with_the_third_power_of_the_residual():
    rng = np.random.default_rng(0)
    skewed = rng.exponential(size=(50_000, 6)) * np.arange(1, 7) @ ortho_group.rvs(6, random_state=1)
    rows = np.full(6, 2.0) + 0.2 * (skewed - skewed.mean(axis=0)) / np.linalg.norm(skewed, axis=1).mean()
    large, small = drift_sweep(rows, [1.0, 0.5])
    assert 6.5 < large.error / small.error < 10.5
    predicted, measured = small.tangential()
    assert predicted == pytest.approx(measured, rel=0.05) and predicted > 1e-5


def test_shape_of_scaled_and_rotated_covariances():
    basis = ortho_group.rvs(8, random_state=0)
    first = basis @ np.diag(2.0 ** -np.arange(8)) @ basis.T
    assert shape_discrepancy(first, 1.5 * first) == pytest.approx(0.5)
    values = np.linalg.eigvalsh(first)
    assert spectral_correlation(values, 3 * values) == pytest.approx(1)
    assert subspace_overlap(first, first, [1, 3, 8]) == pytest.approx({1: 1, 3: 1, 8: 1})
    opposite = basis @ np.diag(2.0 ** np.arange(8)) @ basis.T
    assert subspace_overlap(first, opposite, [2, 5, 8]) == pytest.approx({2: 0, 5: 2 / 5, 8: 1}, abs=1e-12)


def test_overlap_of_unrelated_subspaces_is_near_q_over_d():
    rng = np.random.default_rng(0)
    first, second = (rng.standard_normal((400, 60)) for _ in range(2))
    assert subspace_overlap(first.T @ first, second.T @ second, [30])[30] == pytest.approx(0.5, abs=0.05)


def test_residual_of_gaussian_pairs_with_known_covariance():
    rng = np.random.default_rng(0)
    values = np.array([8.0, 1, 1, 1, 1])
    offset = np.array([0, 0, 3.0, 0, 0])
    image = rng.standard_normal((100_000, 5))
    text = image - offset - rng.standard_normal((100_000, 5)) * np.sqrt(values)
    metrics = residual(image, text)
    assert metrics.anisotropy == pytest.approx(8 / (12 / 5), rel=0.02)
    assert metrics.effective_dimension == pytest.approx(144 / 68, rel=0.02)
    assert metrics.ratio == pytest.approx(12 / 21, rel=0.01)


@pytest.mark.parametrize(
    ("measure", "message"),
    [
        (lambda: ridge_coupling(np.ones((3, 2)), np.ones((4, 2))), r"delta \(3, 2\) and zeta \(4, 2\) need the same"),
        (lambda: predicted_drift(np.zeros(3), np.eye(3)), "the mean is zero, so it has no direction"),
        (lambda: shape_discrepancy(np.zeros((3, 3)), np.eye(3)), "all images have the same embedding"),
        (lambda: spectral_correlation(np.array([2.0, 1, 0]), np.ones(3)), "only 2 common eigenvalues"),
        (lambda: subspace_overlap(np.eye(3), np.eye(3), [1, 4]), r"sizes \[1, 4\] do not fit dimension 3"),
    ],
)
def test_what_cannot_be_measured_is_refused(measure, message):
    with pytest.raises(DataError, match=message):
        measure()
