"""Covariance, transport and supervised aligners against their definitions, before normalisation."""

import numpy as np
import pytest
from scipy.linalg import sqrtm

from revision.align import make_aligner
from revision.align.covariance import frame, power, shrink
from revision.align.transforms import Linear
from revision.errors import ConfigError


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def covariance(rows):
    return np.cov(rows, rowvar=False, bias=True)


def linear_output(aligner, rows):
    """The rows after the aligner's linear transform, before normalisation."""
    for transform in aligner.transforms_:
        if isinstance(transform, Linear):
            return transform.apply(rows, 0)
        rows = unit(transform.scale * rows + transform.shift)
    raise AssertionError("no linear transform")


def test_gaussian_transport_maps_covariance_onto_covariance(sets):
    aligner = make_aligner("gaussian_ot", shrinkage=0.0).fit(*sets)
    moved = linear_output(aligner, sets[0])
    assert np.allclose(moved.mean(axis=0), sets[1].mean(axis=0), atol=1e-9)
    assert np.allclose(covariance(moved), covariance(sets[1]), atol=1e-8)
    assert np.allclose(aligner.matrix_, aligner.matrix_.T, atol=1e-9)
    source, target = covariance(sets[0]), covariance(sets[1])
    root = np.real(sqrtm(source))
    inverse = np.linalg.inv(root)
    assert np.allclose(aligner.matrix_, inverse @ np.real(sqrtm(root @ target @ root)) @ inverse, atol=1e-6)


def test_blockwise_alignment_matches_each_block_and_only_the_blocks(sets):
    aligner = make_aligner("bc_align", shrinkage=0.0, energy=0.8).fit(*sets)
    moved = linear_output(aligner, sets[0])
    anchored = unit(sets[0] - sets[0].mean(axis=0) + sets[1].mean(axis=0))
    basis, rank = frame(covariance(sets[1]) + covariance(anchored), 0.8)
    assert 0 < rank == aligner.rank_ < sets[0].shape[1]
    assert np.allclose(moved.mean(axis=0), sets[1].mean(axis=0), atol=1e-9)
    for block in (basis[:, :rank], basis[:, rank:]):
        assert np.allclose(block.T @ covariance(moved) @ block, block.T @ covariance(sets[1]) @ block, atol=1e-8)
    cross = basis[:, :rank].T @ covariance(moved) @ basis[:, rank:]
    assert not np.allclose(cross, basis[:, :rank].T @ covariance(sets[1]) @ basis[:, rank:], atol=1e-6)


@pytest.mark.parametrize("name", ["bc_align", "gaussian_ot", "aniso_align"])
def test_centroid_gap_shrinks_on_real_embeddings(real, name):
    _, target, source = real
    moved = make_aligner(name).fit(source, target).transform(source)
    gap = np.linalg.norm(moved.astype(np.float64).mean(axis=0) - target.astype(np.float64).mean(axis=0))
    assert gap < 0.02 * np.linalg.norm(source.mean(axis=0) - target.mean(axis=0))


def test_shrinkage_keeps_the_trace_and_full_shrinkage_is_isotropic(sets):
    matrix = covariance(sets[0])
    assert np.trace(shrink(matrix, 0.3)) == pytest.approx(np.trace(matrix))
    assert np.allclose(shrink(matrix, 1.0), np.eye(24) * np.trace(matrix) / 24)
    with pytest.raises(ConfigError, match=r"shrinkage must lie in \[0, 1\], got 1.5"):
        shrink(matrix, 1.5)


def test_frame_has_the_smallest_rank_that_holds_the_energy(sets):
    matrix = covariance(sets[0])
    basis, rank = frame(matrix, 0.7)
    values = np.sort(np.linalg.eigvalsh(matrix))[::-1]
    assert values[:rank].sum() >= 0.7 * values.sum() > values[: rank - 1].sum()
    assert np.allclose(basis.T @ matrix @ basis, np.diag(values), atol=1e-12)
    assert frame(matrix, 1.0)[1] == 24
    assert np.allclose(power(matrix, 0.5) @ power(matrix, 0.5), matrix, atol=1e-12)


def test_procrustes_recovers_a_rotation(sets):
    rotation, _ = np.linalg.qr(np.random.default_rng(1).standard_normal((24, 24)))
    target = sets[0] @ rotation
    moved = make_aligner("procrustes").fit(sets[0], target).transform(sets[0])
    assert np.abs(moved - target).max() < 1e-6


def test_ridge_equals_scikit_learn(sets):
    from sklearn.linear_model import Ridge

    source, target = sets[0], sets[1][:700]
    aligner = make_aligner("ridge", regularisation=0.2).fit(source, target)
    alpha = 0.2 * np.trace(covariance(source)) / 24 * len(source)
    expected = Ridge(alpha=alpha).fit(source, target)
    assert np.allclose(aligner.transforms_[0].matrix, expected.coef_.T, atol=1e-8)
    assert np.allclose(aligner.transforms_[0].shift, expected.intercept_, atol=1e-8)


def test_pairs_align_better_than_statistics_on_real_pairs(real):
    _, target, source = real
    errors = {}
    for name in ("realign", "procrustes", "ridge"):
        aligner = make_aligner(name).fit(source[:400], target[:400])
        moved = aligner.transform(source[400:]).astype(np.float64)
        errors[name] = ((moved - target[400:]) ** 2).sum(axis=1).mean()
    assert errors["ridge"] < errors["realign"]


def test_oracles_refuse_unequal_counts(sets):
    with pytest.raises(ValueError, match="700 rows against 900; procrustes needs pairs"):
        make_aligner("procrustes").fit(*sets)
