"""CapDec, DeCap and I0T against their formulas written out row by row."""

import json

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.special import softmax

from revision.align import Engine, load_aligner, make_aligner, save_aligner
from revision.align.capdec import caption_spread
from revision.align.transforms import Noise
from revision.embeddings import write_embeddings
from revision.errors import ConfigError, DataError
from revision.geometry.gap import centroid_gap


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_spread_is_the_mean_maximum_norm_over_captions_of_an_image():
    random = np.random.default_rng(0)
    text, image_of = unit(random.standard_normal((60, 8))), random.integers(0, 20, 60)
    differences = [np.abs(text[a] - text[b]).max() for a in range(60) for b in range(a) if image_of[a] == image_of[b]]
    assert caption_spread(text, image_of) == pytest.approx(np.mean(differences), abs=1e-6)
    names = np.array([f"image-{one}" for one in image_of])
    assert caption_spread(text, names) == pytest.approx(np.mean(differences), abs=1e-6)


def test_spread_without_two_captions_of_an_image_is_refused(sets):
    with pytest.raises(DataError, match="no image has two captions"):
        caption_spread(sets[0], np.arange(700))
    with pytest.raises(DataError, match="one id a row"):
        caption_spread(sets[0], np.arange(5))


def test_noise_level_without_ids_is_the_spread_to_the_nearest_other_text(sets):
    source = np.concatenate([sets[0], sets[0][:50]])  # duplicates are no second caption
    cosines = sets[0] @ sets[0].T
    np.fill_diagonal(cosines, -2)
    expected = np.abs(sets[0] - sets[0][cosines.argmax(axis=1)]).max(axis=1).mean()
    aligner = make_aligner("capdec").fit(source, sets[1])
    assert aligner.noise_ == pytest.approx(expected, abs=1e-6)


def test_estimate_recovers_the_spread_where_captions_come_in_fives():
    """Images far apart, captions close by: the nearest other text is one of the same image."""
    random = np.random.default_rng(1)
    image_of = np.repeat(np.arange(100), 5)
    text = unit(unit(random.standard_normal((100, 64)))[image_of] + 0.02 * random.standard_normal((500, 64)))
    spread = caption_spread(text, image_of)
    assert make_aligner("capdec").fit(text, text).noise_ == pytest.approx(spread, rel=0.2)


def test_noise_comes_onto_unit_texts_and_images_stay(sets):
    aligner = make_aligner("capdec", noise=0.1, seed=5).fit(3 * sets[0], sets[1])
    expected = unit(sets[0] + Noise(0.1, 5).apply(np.zeros(sets[0].shape), 0))
    assert np.abs(aligner.transform(3 * sets[0]) - expected).max() < 1e-6
    assert np.abs(aligner.transform_target(sets[1]) - sets[1]).max() < 1e-6
    assert np.abs(make_aligner("capdec", noise=0).fit(*sets).transform(sets[0]) - sets[0]).max() < 1e-6


def test_estimate_is_the_same_from_a_stream_and_kept_on_disk(tmp_path, sets):
    source = sets[0].astype(np.float32)
    texts = write_embeddings(tmp_path / "texts", [str(i) for i in range(700)], source, shard_rows=101)
    direct = make_aligner("capdec", sample=300).fit(source, source)
    streamed = make_aligner("capdec", sample=300).fit_stream(texts, texts, Engine(threads=2, block_rows=50))
    assert streamed.noise_ == pytest.approx(direct.noise_)
    assert direct.noise_ > make_aligner("capdec").fit(source, source).noise_ > 0.01
    save_aligner(direct, tmp_path / "fitted")
    loaded = load_aligner(tmp_path / "fitted")
    assert loaded.noise is None and loaded.noise_ == direct.noise_
    assert json.loads((tmp_path / "fitted" / "aligner.json").read_text())["fitted"]["noise_"] == direct.noise_


def test_impossible_noise_is_refused(sets):
    for noise in (-0.1, float("nan"), "much"):
        with pytest.raises(ConfigError, match="noise must be a number of at least 0, or None"):
            make_aligner("capdec", noise=noise).fit(*sets)
    with pytest.raises(ConfigError, match="sample must be at least 2, got 1"):
        make_aligner("capdec", sample=1).fit(*sets)
    with pytest.raises(DataError, match=r"source, row 0: all texts .* are equal, .*; give `noise`"):
        make_aligner("capdec").fit(np.tile(sets[0][:1], (9, 1)), sets[1])


@pytest.mark.parametrize("temperature", [0.01, 0.5])
def test_images_become_means_of_texts_weighted_by_a_softmax(sets, temperature):
    aligner = make_aligner("decap", temperature=temperature).fit(2 * sets[0], sets[1])
    weights = softmax(sets[1] @ sets[0].T / temperature, axis=1)
    assert np.abs(aligner.transform_target(3 * sets[1]) - unit(weights @ sets[0])).max() < 1e-6
    assert np.abs(aligner.transform(sets[0]) - sets[0]).max() < 1e-6


def test_cold_memory_gives_the_nearest_text_and_closes_the_gap(sets):
    source, target = sets
    nearest = source[cdist(target, source).argmin(axis=1)]
    aligner = make_aligner("decap", temperature=1e-6).fit(source, target)
    assert np.abs(aligner.transform_target(target) - nearest).max() < 1e-6
    warm = make_aligner("decap").fit(source, target)
    assert centroid_gap(warm.transform_target(target), source) < centroid_gap(target, source)


def test_memory_is_drawn_by_its_seed_and_size(sets):
    first, again, other = (make_aligner("decap", memory=100, seed=seed).fit(*sets) for seed in (0, 0, 1))
    (step,) = first.target_transforms_
    assert step.memory.shape == (100, 24) and len(np.unique(step.memory, axis=0)) == 100
    assert all(np.abs(sets[0] - row).max(axis=1).min() < 1e-6 for row in step.memory)
    assert np.array_equal(step.memory, again.target_transforms_[0].memory)
    assert not np.array_equal(step.memory, other.target_transforms_[0].memory)


@pytest.mark.parametrize("params", [{"temperature": 0}, {"temperature": -1.0}, {"memory": 0}])
def test_impossible_memory_is_refused(sets, params):
    with pytest.raises(ConfigError, match="decap: needs temperature > 0 and memory >= 1"):
        make_aligner("decap", **params).fit(*sets)


def test_i0t_is_each_set_minus_its_mean(sets):
    aligner = make_aligner("i0t").fit(*sets)
    assert np.abs(aligner.transform(sets[0]) - unit(sets[0] - sets[0].mean(axis=0))).max() < 1e-6
    assert np.abs(aligner.transform_target(sets[1]) - unit(sets[1] - sets[1].mean(axis=0))).max() < 1e-6
    assert aligner.get_params() == {}


def test_on_real_pairs_a_memory_shrinks_the_gap_on_held_out_rows(real):
    _, image, text = real
    aligner = make_aligner("decap").fit(text[:250], image[:250])
    moved, texts = aligner.transform_target(image[250:]), aligner.transform(text[250:])
    # Projected images are in the cone of the memorised texts.
    assert centroid_gap(moved, texts) < centroid_gap(unit(image[250:]), texts)
