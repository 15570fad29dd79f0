"""Frozen towers with trained heads, on packages with random weights that the tests create."""

import json

import numpy as np
import pytest
import torch
from packages_in_small import make_packages
from PIL import Image
from typer.testing import CliRunner

from revision.cli import app
from revision.contrastive.heads import FeatureBatches, pair_features, train_heads
from revision.contrastive.loop import fit
from revision.contrastive.pairs import ScenePairs
from revision.data.scenes import World
from revision.encoders import load_encoder
from revision.encoders.efficientnet_lite0 import FEATURES
from revision.encoders.pretrained_heads import Heads, HeadSettings, Towers, package_file
from revision.errors import DataError


@pytest.fixture
def settings(tmp_path, monkeypatch):
    make_packages(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return HeadSettings(
        dim=8, hidden=16, side=32, images=64, captions=2, steps=30, batch=32, vision_package="small_vision",
        text_package="small_text",
    )  # fmt: skip


def test_heads_train_and_load_from_their_folder(settings, tmp_path):
    world = World()
    trained = train_heads(ScenePairs(world, 64), settings, tmp_path / "encoder", seed=0, show_progress=False)
    scenes = world.scenes("encoder", 0, 64)
    images = [Image.fromarray(pixels) for pixels in world.images(scenes)]
    loaded = load_encoder(tmp_path / "encoder")
    image, text = loaded.encode_images(images), loaded.encode_texts(world.captions(scenes, "short"))
    for rows in (image, text):
        assert rows.shape == (64, 8) and rows.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(image, trained.encode_images(images))
    assert trained.revision == loaded.revision and loaded.encode_texts([]).shape == (0, loaded.dim) == (0, 8)


def test_the_same_seed_gives_the_same_bytes(settings, tmp_path):
    train_heads(ScenePairs(World(), 64), settings, tmp_path / "a", seed=3, show_progress=False)
    (tmp_path / "encoder.json").write_text(json.dumps({"encoder": settings.model_dump()}))
    command = ["train-encoder", "--config", str(tmp_path / "encoder.json"), "--seed", "3", "--out", str(tmp_path / "b")]
    assert CliRunner().invoke(app, command).exit_code == 0
    weights = [(tmp_path / name / "weights.safetensors").read_bytes() for name in ("a", "b")]
    assert weights[0] == weights[1]


def test_features_are_cached_for_one_configuration(settings, tmp_path, monkeypatch):
    towers, cache = Towers(settings), tmp_path / "features.npz"
    pairs = ScenePairs(World(), 64)
    first = pair_features(pairs, settings, towers, cache)
    assert first["images"].shape == (64, FEATURES) and first["texts"].shape == (3, 64, 16)
    monkeypatch.setattr(towers, "encode_images", None)
    np.testing.assert_array_equal(pair_features(pairs, settings, towers, cache)["texts"], first["texts"])
    towers.revision = "other"
    with pytest.raises(TypeError):
        pair_features(pairs, settings, towers, cache)


def test_false_pairs_are_the_fraction_in_the_settings():
    settings = HeadSettings(images=40, batch=40, captions=1, long_share=0, false_pairs=0.25)
    rows = np.arange(40, dtype=np.float16)[:, None]
    images, texts = FeatureBatches({"images": rows, "texts": np.stack([rows, -rows])}, settings, seed=0)(0)
    assert int((images != texts).sum()) == 10 and sorted(texts.flatten().tolist()) == list(range(40))


def test_features_of_a_text_do_not_depend_on_its_batch(settings):
    towers = Towers(settings)
    texts = ["a red circle", "a red circle and a blue star and a green heart"]
    torch.testing.assert_close(towers.encode_texts(texts)[0], towers.encode_texts(texts[:1])[0])


def test_a_missing_package_is_reported_with_its_fix(tmp_path):
    with pytest.raises(DataError, match=r"package not_there .*`pip install -e '\.\[pretrained\]'"):
        package_file("not_there", "*.gguf")


def test_other_towers_than_those_of_the_training_are_rejected(settings, tmp_path):
    train_heads(ScenePairs(World(), 64), settings, tmp_path / "encoder", seed=0, show_progress=False)
    make_packages(tmp_path, seed=1)
    with pytest.raises(DataError, match="the heads were trained on towers"):
        load_encoder(tmp_path / "encoder")
    config = json.loads((tmp_path / "encoder/config.json").read_text())
    (tmp_path / "encoder/config.json").write_text(json.dumps(config | {"weights": "0"}))
    with pytest.raises(DataError, match="checksum differs"):
        load_encoder(tmp_path / "encoder")


def test_heads_learn_to_match_pairs(tmp_path):
    settings = HeadSettings(
        dim=8, hidden=32, images=64, captions=1, steps=400, batch=32, peak_lr=5e-3, long_share=0, false_pairs=0
    )
    random = np.random.default_rng(0)
    images, texts = (random.standard_normal((64, size)).astype(np.float16) for size in (24, 16))
    heads = Heads(settings, 24, 16)
    batches = FeatureBatches({"images": images, "texts": np.stack([texts, texts])}, settings, seed=0)
    fit(heads, batches, settings, tmp_path / "heads", {"seed": 0}, show_progress=False)
    with torch.inference_mode():
        similar = heads.embed_pixels(torch.from_numpy(images)) @ heads.embed_tokens(torch.from_numpy(texts)).T
    assert (similar.argmax(1) == torch.arange(64)).float().mean() > 0.9
