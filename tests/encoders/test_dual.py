"""The dual encoder of the built-in world: unit rows, training, resumption to the byte, and error messages."""

import json
import math

import numpy as np
import pytest
import torch

from revision.contrastive.loop import Batches, contrastive_loss, train
from revision.data.corpus import write_corpus
from revision.data.scenes import World
from revision.encoders import Encoder, EncoderSettings, load_encoder
from revision.encoders.embed import embed_corpus
from revision.errors import DataError
from revision.io.files import digest

WORLD = World()
SMALL = EncoderSettings(
    dim=32, vision_width=16, text_width=16, text_layers=1, images=256, steps=60, batch=32, temperature=0.05
)


class Killed(Exception):
    pass


class Watch:
    """Records the steps at which it is called; raises Killed at step `dies_at`."""

    def __init__(self, dies_at=None):
        self.steps, self.dies_at = [], dies_at

    def __call__(self, step, model, batches):
        if step == self.dies_at:
            raise Killed
        pixels, tokens = batches(step)
        assert len(pixels) == len(tokens) == SMALL.batch
        self.steps.append(step)

    def state_dict(self):
        return {"steps": list(self.steps)}

    def load_state_dict(self, state):
        self.steps = state["steps"]


def run(folder, **options):
    return train(WORLD, SMALL, folder, seed=0, show_progress=False, **options)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("encoders") / "dual"
    run(folder)
    return folder


def test_encoder_returns_unit_rows_of_its_dimension(trained):
    encoder = load_encoder(trained)
    assert isinstance(encoder, Encoder) and encoder.dim == 32
    scenes = WORLD.scenes("probe", 0, 40)
    images = encoder.encode_images([WORLD.image(scene) for scene in scenes])
    texts = encoder.encode_texts(WORLD.captions(scenes, "long"))
    for rows in (images, texts):
        assert rows.shape == (40, 32) and rows.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(rows.astype(float), axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(images, encoder.encode_pixels(WORLD.images(scenes)))


def test_wrong_image_size_is_reported(trained):
    with pytest.raises(DataError, match=r"images have shape \(8, 8, 3\), not \(\d+, \d+, 3\); resize them"):
        load_encoder(trained).encode_pixels(np.zeros((2, 8, 8, 3), np.uint8))


def test_embedding_of_a_text_does_not_depend_on_padding(trained):
    encoder = load_encoder(trained)
    texts = WORLD.captions(WORLD.scenes("probe", 0, 20), "long")
    together = encoder.encode_texts(texts)
    alone = np.concatenate([encoder.encode_texts([text]) for text in texts])
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_training_aligns_pairs(trained):
    encoder = load_encoder(trained)
    scenes = WORLD.scenes("probe", 0, 200)
    similarity = encoder.encode_pixels(WORLD.images(scenes)) @ encoder.encode_texts(WORLD.captions(scenes, "long")).T
    rank = (similarity >= np.diag(similarity)[:, None]).sum(1)
    random_mean, random_error = 100.5, 57.7 / 200**0.5
    assert rank.mean() < random_mean - 4 * random_error


def test_bytes_depend_on_the_seed_alone(trained, tmp_path):
    run(tmp_path / "again")
    train(WORLD, SMALL, tmp_path / "other", seed=1, show_progress=False)
    digests = [digest(folder / "weights.safetensors") for folder in (trained, tmp_path / "again", tmp_path / "other")]
    assert digests[0] == digests[1] != digests[2]
    assert digest(trained / "manifest.json") == digest(tmp_path / "again" / "manifest.json")


def test_killed_training_resumes_to_the_same_bytes(trained, tmp_path):
    folder, watch = tmp_path / "dual", Watch(dies_at=35)
    with pytest.raises(Killed):
        run(folder, checkpoint_every=10, monitor=watch, monitor_every=5)
    assert not folder.exists()
    resumed = Watch()
    run(folder, checkpoint_every=10, monitor=resumed, monitor_every=5)
    assert resumed.steps == list(range(0, 61, 5))
    for name in ("weights.safetensors", "config.json", "manifest.json"):
        assert (folder / name).read_bytes() == (trained / name).read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dual"]


def test_checkpoint_of_another_seed_is_rejected(tmp_path):
    with pytest.raises(Killed):
        run(tmp_path / "dual", checkpoint_every=10, monitor=Watch(dies_at=15), monitor_every=5)
    with pytest.raises(DataError, match=r"dual\.checkpoint.*of other settings or another seed; delete"):
        train(WORLD, SMALL, tmp_path / "dual", seed=1, show_progress=False)


def test_infonce_matches_its_formula():
    rows = torch.nn.functional.normalize(torch.randn(2, 7, 5, generator=torch.Generator().manual_seed(0)), dim=-1)
    images, texts = rows.double()
    expected = 0.0
    for i in range(7):
        s = [math.exp(float(images[i] @ texts[j]) / 0.1) for j in range(7)]
        z = [math.exp(float(images[j] @ texts[i]) / 0.1) for j in range(7)]
        expected -= (math.log(s[i] / sum(s)) + math.log(z[i] / sum(z))) / 14
    assert float(contrastive_loss(images, texts, 1 / 0.1)) == pytest.approx(expected, rel=1e-9)


def test_an_epoch_visits_every_image_once_with_the_given_fraction_of_false_pairs(trained):
    settings = EncoderSettings(**{**vars(SMALL), "false_pairs": 0.25, "long_share": 0.0})
    true = EncoderSettings(**{**vars(settings), "false_pairs": 0.0})
    encoder = load_encoder(trained)
    noisy, clean = (Batches(WORLD, s, encoder, seed=0) for s in (settings, true))
    seen = torch.cat([noisy(step)[0] for step in range(noisy.per_epoch)])
    assert sorted(map(bytes, seen.numpy())) == sorted(map(bytes, noisy.pixels.numpy()))
    changed = total = 0
    for step in range(noisy.per_epoch):
        a, b = noisy(step)[1], clean(step)[1]
        assert a.shape == b.shape
        changed, total = changed + int((a != b).any(1).sum()), total + len(a)
    assert changed / total == pytest.approx(0.25, abs=0.02)


def test_embedding_sets_on_disk_equal_the_encoders_output(trained, tmp_path):
    encoder = load_encoder(trained)
    write_corpus(WORLD, "captions", "probe", 9, tmp_path / "probe.parquet")
    scenes = WORLD.scenes("probe", 0, 9)
    images = embed_corpus(encoder, tmp_path / "probe.parquet", "image", tmp_path / "i", show_progress=False)
    texts = embed_corpus(encoder, tmp_path / "probe.parquet", "short", tmp_path / "t", show_progress=False)
    np.testing.assert_array_equal(images.array(), encoder.encode_pixels(WORLD.images(scenes)))
    np.testing.assert_array_equal(texts.array(), encoder.encode_texts(WORLD.captions(scenes, "short")))
    assert images.ids() == texts.ids()
    assert texts.about["encoder"]["revision"] == encoder.revision == digest(trained / "weights.safetensors")[:12]
    assert texts.about["table"] == digest(tmp_path / "probe.parquet")


def test_altered_weights_and_missing_encoder_are_reported(trained, tmp_path):
    for name in ("weights.safetensors", "config.json"):
        (tmp_path / name).write_bytes((trained / name).read_bytes())
    data = bytearray((tmp_path / "weights.safetensors").read_bytes())
    data[-1] ^= 1
    (tmp_path / "weights.safetensors").write_bytes(data)
    with pytest.raises(DataError, match="checksum"):
        load_encoder(tmp_path)
    with pytest.raises(DataError, match="train an encoder"):
        load_encoder(tmp_path / "nowhere")
    (tmp_path / "config.json").write_text(json.dumps({"family": "triple"}))
    with pytest.raises(DataError, match=r"triple.*dual"):
        load_encoder(tmp_path)


@pytest.mark.parametrize("text", ["a red star and a griffin", "", "a " * 200])
def test_text_outside_vocabulary_or_length_is_reported(trained, text):
    with pytest.raises(DataError, match=r"'griffin' is not in the encoder's vocabulary|has 0 words|has 200 words"):
        load_encoder(trained).encode_texts(["a red star", text])
