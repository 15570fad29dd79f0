"""The algebra of figure 1 against closed forms, numpy and scipy: lemmas B.6, B.7, B.9 and appendix C."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import subspace_angles
from scipy.special import ive, softmax
from scipy.stats import special_ortho_group, vonmises_fisher
from torch.nn import functional

from revision.dynamics.observation import (
    directional_concentration,
    embedding_gradients,
    isotropic_eigenvalues,
    leakage_bound,
    mean_resultant,
    observe,
    pooled_extra,
)
from revision.errors import DataError
from revision.geometry.frame import Frame, fit_frame
from revision.geometry.gap import decompose

shapes = st.integers(3, 14).flatmap(lambda d: st.tuples(st.just(d), st.integers(1, d - 1), st.integers(0, 2**32 - 1)))


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def random_frame(generator: np.random.Generator, d: int, r: int) -> Frame:
    basis = special_ortho_group(d, seed=generator).rvs() if d > 1 else np.eye(1)
    return Frame(basis[:, :r], basis[:, r:], np.ones(d))


def pairs(seed: int, count: int = 400, d: int = 12) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    scales = np.linspace(1, 0.1, d)
    common = generator.standard_normal((count, d)) * scales
    images = common + 0.3 * generator.standard_normal((count, d)) * scales + 1
    return unit(images), unit(common + 0.4 * generator.standard_normal((count, d)) * scales - 0.5)


@given(shapes)
@settings(max_examples=30)
def test_the_decomposition_is_exact_and_orthogonal_in_any_frame(shape):
    d, r, seed = shape
    images, texts = pairs(seed, 20, d)
    frame = random_frame(np.random.default_rng(seed), d, r)
    found = decompose(images, texts, frame)
    np.testing.assert_allclose(found.beta + found.gamma + found.delta + found.zeta, images - texts, atol=1e-12)
    assert sum(found.energy().values()) == pytest.approx(np.mean(np.sum((images - texts) ** 2, axis=1)), abs=1e-12)
    np.testing.assert_allclose(np.concatenate([found.gamma[None], found.zeta]) @ frame.U, 0, atol=1e-12)
    np.testing.assert_allclose(np.concatenate([found.beta[None], found.delta]) @ frame.V, 0, atol=1e-12)


@given(shapes)
@settings(max_examples=60)
def test_gradients_inside_the_present_subspace_leak_at_most_sin_theta(shape):
    d, r, seed = shape
    generator = np.random.default_rng(seed)
    frame, current = random_frame(generator, d, r), random_frame(generator, d, r).U
    sine = np.sin(subspace_angles(current, frame.U).max())
    inside = generator.standard_normal((5, r)) @ current.T
    assert np.linalg.norm(inside @ frame.V) <= (sine + 1e-9) * np.linalg.norm(inside)
    worst = current @ np.linalg.svd(frame.V.T @ current)[2][0]
    assert np.linalg.norm(worst @ frame.V) == pytest.approx(sine, abs=1e-7)
    found, rho, _ = leakage_bound(inside, frame, current, np.zeros((d - r, r)))
    assert found == pytest.approx(sine, abs=1e-7)
    assert rho == pytest.approx(0, abs=1e-12)


@given(shapes)
@settings(max_examples=60)
def test_the_bound_of_appendix_c_holds_for_any_gradients_subspace_and_coupling(shape):
    d, r, seed = shape
    generator = np.random.default_rng(seed)
    frame, current = random_frame(generator, d, r), random_frame(generator, d, r).U
    gradients, coupling = generator.standard_normal((6, d)), generator.standard_normal((d - r, r))
    leak = np.linalg.norm(gradients @ frame.V) / np.linalg.norm(gradients)
    sine, rho, bound = leakage_bound(gradients, frame, current, coupling)
    assert leak <= bound + 1e-12
    assert bound == pytest.approx(sine + np.linalg.svd(coupling, compute_uv=False)[0] + rho)


def test_the_remainder_is_zero_where_the_coupling_explains_all_that_leaks():
    generator = np.random.default_rng(0)
    frame, coupling = random_frame(generator, 9, 4), 0.3 * generator.standard_normal((5, 4))
    inside = generator.standard_normal((7, 4))
    gradients = inside @ frame.U.T + inside @ coupling.T @ frame.V.T
    sine, rho, bound = leakage_bound(gradients, frame, frame.U, coupling)
    assert (sine, rho) == pytest.approx((0, 0), abs=1e-12)
    assert np.linalg.norm(gradients @ frame.V) <= bound * np.linalg.norm(gradients)


def test_gradients_are_those_of_the_formula_and_lie_in_the_span_of_the_other_batch():
    generator = np.random.default_rng(1)
    count, d, scale = 6, 20, 30.0
    images, texts = (unit(generator.standard_normal((count, d))) for _ in range(2))
    given_rows = [torch.from_numpy(rows) for rows in (images, texts)]
    of_images, of_texts, loss = embedding_gradients(*given_rows, torch.tensor(scale, dtype=torch.float64))
    logits = scale * images @ texts.T
    weights = (softmax(logits, axis=1) + softmax(logits, axis=0) - 2 * np.eye(count)) * scale / (2 * count)
    np.testing.assert_allclose(of_images, weights @ texts, atol=1e-12)
    np.testing.assert_allclose(of_texts, weights.T @ images, atol=1e-12)
    for gradients, others in ((of_images, texts), (of_texts, images)):
        assert np.linalg.matrix_rank(np.concatenate([others, gradients]), tol=1e-9) == count
    both = np.log(softmax(logits, axis=1).diagonal()) + np.log(softmax(logits, axis=0).diagonal())
    assert loss == pytest.approx(-both.mean() / 2)
    assert all(rows.grad is None and not rows.requires_grad for rows in given_rows)


def test_behind_the_normalisation_only_the_part_along_the_embedding_is_taken_off():
    generator = torch.Generator().manual_seed(2)
    raw = torch.randn(5, 16, generator=generator, dtype=torch.float64, requires_grad=True)
    texts = functional.normalize(torch.randn(5, 16, generator=generator, dtype=torch.float64), dim=-1)
    images = functional.normalize(raw, dim=-1)
    logits = 20 * images @ texts.T
    target = torch.arange(5)
    ((functional.cross_entropy(logits, target) + functional.cross_entropy(logits.T, target)) / 2).backward()
    gradient, _, _ = embedding_gradients(images, texts, 20.0)
    rows = images.detach().numpy()
    tangent = gradient - np.sum(gradient * rows, axis=1, keepdims=True) * rows
    lengths = raw.detach().norm(dim=1, keepdim=True).numpy()
    np.testing.assert_allclose(raw.grad.numpy(), tangent / lengths, atol=1e-12)
    outside = [np.linalg.lstsq(texts.numpy().T, row, rcond=None)[1][0] for row in raw.grad.numpy()]
    assert min(outside) > 1e-6


def test_pooling_adds_the_covariance_of_the_means_and_nothing_else():
    generator = np.random.default_rng(3)
    steps = [generator.standard_normal((50, 4)) @ generator.standard_normal((4, 4)) + t for t in range(6)]
    apart = sum(np.cov(rows.T, bias=True) for rows in steps) / len(steps)
    pooled = np.cov(np.concatenate(steps).T, bias=True)
    extra = pooled_extra(np.stack([rows.mean(axis=0) for rows in steps]))
    np.testing.assert_allclose(pooled, apart + extra, atol=1e-10)
    assert np.trace(extra) > np.trace(apart) / 10


@pytest.mark.parametrize(("dimension", "kappa"), [(3, 0.5), (3, 40.0), (10, 5.0), (40, 100.0), (64, 7.0)])
def test_mean_resultant_is_the_ratio_of_bessel_functions(dimension, kappa):
    expected = ive(dimension / 2, kappa) / ive(dimension / 2 - 1, kappa)
    assert mean_resultant(kappa, dimension) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("dimension", "kappa"), [(3, 2.0), (8, 20.0), (30, 60.0), (50, 12.0)])
def test_concentration_is_scipys_and_near_the_true_one(dimension, kappa):
    direction = np.eye(dimension)[0]
    rows = vonmises_fisher(direction, kappa).rvs(4000, random_state=np.random.default_rng(4))
    lengths = np.random.default_rng(5).uniform(0.1, 3, (4000, 1))
    found = directional_concentration(rows * lengths)
    assert found == pytest.approx(vonmises_fisher.fit(rows)[1], rel=1e-6)
    assert found == pytest.approx(kappa, rel=0.1)


def test_concentration_of_cancelling_directions_is_zero_and_of_scattered_ones_what_chance_gives():
    rows = np.random.default_rng(6).standard_normal((50, 7))
    assert directional_concentration(np.concatenate([rows, -rows])) == pytest.approx(0, abs=1e-9)
    many = [directional_concentration(np.random.default_rng(s).standard_normal((2500, 100))) for s in range(5)]
    assert np.mean(many) == pytest.approx(100 / 50, rel=0.1)


@pytest.mark.parametrize(
    ("rows", "message"), [(np.zeros((2, 3)), "row 0 is zero"), (np.ones((4, 3)), "same direction")]
)
def test_concentration_refuses_zero_rows_and_a_single_direction(rows, message):
    with pytest.raises(DataError, match=message):
        directional_concentration(rows)


def test_an_observation_equals_numpy():
    images, texts = pairs(7)
    frame = fit_frame(*pairs(8), rank=5)
    generator = np.random.default_rng(9)
    of_images, of_texts = generator.standard_normal((2, 60, 12)) * np.linspace(2, 0.5, 12)
    observation = observe(frame, images, texts, (of_images, of_texts))
    difference = images - texts
    mean = difference.mean(axis=0)
    in_u, in_v = difference @ frame.U, difference @ frame.V
    cov_delta, cov_zeta = np.cov(in_u.T, bias=True), np.cov(in_v.T, bias=True)
    np.testing.assert_allclose(observation.delta, cov_delta, atol=1e-12)
    np.testing.assert_allclose(observation.zeta, cov_zeta, atol=1e-12)
    gradient = sum(np.cov((part @ frame.U).T, bias=True) for part in (of_images, of_texts))
    np.testing.assert_allclose(observation.gradient, gradient, atol=1e-12)
    both = np.concatenate([of_images, of_texts])
    values, vectors = np.linalg.eigh(cov_zeta)
    gamma = frame.V.T @ mean
    share = abs(gamma @ vectors[:, -1]) / np.linalg.norm(gamma)
    present = fit_frame(images, texts, rank=5).U
    sines = np.sin(subspace_angles(present, frame.U))
    expected = {
        "beta": np.linalg.norm(frame.U.T @ mean),
        "gamma": np.linalg.norm(gamma),
        "delta": np.sqrt(np.trace(cov_delta)),
        "zeta": np.sqrt(np.trace(cov_zeta)),
        "leak_ref": np.linalg.norm(both @ frame.V) / np.linalg.norm(both),
        "sin_theta": sines.max(),
        "sin_theta_rms": np.sqrt(np.mean(sines**2)),
        "rho_eig": np.corrcoef(np.linalg.eigvalsh(cov_delta), np.linalg.eigvalsh(gradient))[0, 1],
        "rho_diagonal": np.corrcoef(cov_delta.diagonal(), gradient.diagonal())[0, 1],
        "gamma_angle": np.degrees(np.arccos(share)),
    }
    for name, value in expected.items():
        assert observation.metrics[name] == pytest.approx(value, rel=1e-6), name
    kept = next(k for k in range(1, 8) if values[-k:].sum() >= 0.99 * values.sum())
    assert observation.metrics["zeta_condition"] == pytest.approx(values[-1] / values[-kept])
    assert observation.metrics["leak_ref"] <= observation.metrics["leak_bound"]


def test_a_flat_sample_has_the_spectrum_of_marchenko_and_pastur():
    values = np.array(isotropic_eigenvalues(4000, 100))
    ratio = np.sqrt(100 / 4000)
    assert values[0] == pytest.approx((1 + ratio) ** 2, rel=0.03)
    assert values[-1] == pytest.approx((1 - ratio) ** 2, rel=0.03)
