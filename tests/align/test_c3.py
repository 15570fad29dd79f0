"""Both readings of C3: mean shift plus noise, and means removed from both modalities."""

import numpy as np
import pytest

from revision.align import make_aligner
from revision.align.transforms import Noise
from revision.errors import ConfigError


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_without_noise_it_is_the_mean_shift(sets):
    expected = unit(sets[0] - sets[0].mean(axis=0) + sets[1].mean(axis=0))
    assert np.abs(make_aligner("c3", noise=0.0).fit(*sets).transform(sets[0]) - expected).max() < 1e-7


def test_centred_reading_moves_both_sets(sets):
    aligner = make_aligner("c3_centred", noise=0.0).fit(*sets)
    assert np.abs(aligner.transform(sets[0]) - unit(sets[0] - sets[0].mean(axis=0))).max() < 1e-7
    assert np.abs(aligner.transform_target(sets[1]) - unit(sets[1] - sets[1].mean(axis=0))).max() < 1e-7


@pytest.mark.parametrize("name", ["c3", "c3_centred"])
def test_noise_is_added_to_the_normalised_shifted_row(sets, name):
    clean = make_aligner(name, noise=0.0).fit(*sets).transform(sets[0])
    noise = Noise(0.1, 5).apply(np.zeros(clean.shape), 0)
    moved = make_aligner(name, noise=0.1, seed=5).fit(*sets).transform(sets[0])
    assert np.abs(moved - unit(clean + noise)).max() < 1e-6


def test_noise_has_the_stated_deviation(sets):
    source = np.tile(sets[0][:1], (2000, 1))
    aligner = make_aligner("c3", noise=0.01, seed=5).fit(source, sets[1])
    clean = make_aligner("c3", noise=0.0).fit(source, sets[1]).transform(source)
    tangential = aligner.transform(source).astype(np.float64) - clean
    d = source.shape[1]
    assert np.sqrt((tangential**2).sum(axis=1).mean()) == pytest.approx(0.01 * np.sqrt(d - 1), rel=0.03)


def test_noise_follows_seed_and_row_only(sets):
    aligner = make_aligner("c3", noise=0.1, seed=1).fit(*sets)
    whole = aligner.transform(sets[0])
    assert np.array_equal(whole, make_aligner("c3", noise=0.1, seed=1).fit(*sets).transform(sets[0]))
    assert np.array_equal(whole[:300], aligner.transform(sets[0][:300]))
    assert not np.allclose(whole, make_aligner("c3", noise=0.1, seed=2).fit(*sets).transform(sets[0]), atol=1e-3)


@pytest.mark.parametrize("noise", [-0.1, float("nan")])
def test_impossible_noise_is_refused(sets, noise):
    with pytest.raises(ConfigError, match="noise must be at least 0, got"):
        make_aligner("c3", noise=noise).fit(*sets)
