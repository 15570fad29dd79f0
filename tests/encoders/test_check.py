"""The checks of an adapter: what a good one passes, and which planted fault fails which check."""

import json

import numpy as np
import pytest
import tiny_models
import torch
import yaml
from PIL import Image
from typer.testing import CliRunner

from revision.cli import app
from revision.encoders.check import COLOURS, SHAPES, check_encoder, known_pairs

PAINT = {"red": (1, 0, 0), "green": (0, 1, 0), "blue": (0, 0, 1), "yellow": (1, 1, 0)}
FILL = {"circle": 0.785, "square": 0.7, "triangle": 0.5}


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


class Colours:
    """An encoder of the mean colour of saturated pixels, and of the words for it; the modalities are apart."""

    name, revision, dim, limit = "colours", "1", 5, 40

    def encode_images(self, images):
        return unit(np.array([self.image(np.asarray(image.convert("RGB"), float) / 255) for image in images]))

    def image(self, pixels):
        chosen = pixels[np.ptp(pixels, axis=2) > 0.4]
        return [
            *(chosen.mean(axis=0) if len(chosen) else pixels.mean(axis=(0, 1))),
            len(chosen) / pixels[..., 0].size,
            1,
        ]

    def encode_texts(self, texts):
        return unit(np.array([self.text(self.cut(text.split())) for text in texts]))

    def cut(self, words):
        return words[: self.limit]

    def text(self, words):
        colours = [PAINT[word] for word in words if word in PAINT]
        fill = [FILL[word] for word in words if word in FILL]
        return [*np.mean(colours, axis=0), np.mean(fill or [0]) / 4, -1] if colours else [0, 0, 0, 0, -1]


class Long(Colours):
    def encode_images(self, images):
        return 3 * super().encode_images(images)


class Constant(Colours):
    def text(self, words):
        return [1, 2, 3, 4, 5]


class Dropout(Colours):
    random = np.random.default_rng(0)

    def image(self, pixels):
        return np.array(super().image(pixels)) * self.random.integers(0, 2, 5) + 0.01


class Padded(Colours):
    """Texts are padded on the left with a word that changes the mean."""

    def encode_texts(self, texts):
        longest = max(len(text.split()) for text in texts)
        return super().encode_texts([" ".join(["yellow"] * (longest - len(text.split())) + [text]) for text in texts])


class LastWords(Colours):
    def cut(self, words):
        return words[-self.limit :]


class Exchanged(Colours):
    def image(self, pixels):
        return super().image(pixels[..., ::-1])


class Alpha(Colours):
    """Reads the first bytes of an image whatever its mode is."""

    def encode_images(self, images):
        return super().encode_images([Image.new("RGB", (8, 8), "blue") if i.mode == "RGBA" else i for i in images])


class Mismatched(Colours):
    """Words have colours at random."""

    def text(self, words):
        return super().text([dict(zip(COLOURS, np.roll(COLOURS, 1), strict=True)).get(word, word) for word in words])


class Unscaled(Colours):
    def prepare_images(self, images):
        return {"pixel_values": torch.tensor(np.stack([np.asarray(image) for image in images])).float()}


def failed(encoder):
    return {check.name for check in check_encoder(encoder) if not check.passed}


def test_known_pairs_show_each_colour_and_shape_once():
    images, texts = known_pairs()
    assert texts == [f"a {colour} {shape}" for colour in COLOURS for shape in SHAPES]
    for image, text in zip(images, texts, strict=True):
        pixels = np.asarray(image, float) / 255
        mean = pixels[np.ptp(pixels, axis=2) > 0.4].mean(axis=0)
        assert np.abs(mean - PAINT[text.split()[1]]).max() < 0.3


def test_a_good_adapter_passes_and_each_fault_is_found():
    assert failed(Colours()) == set()
    assert failed(Long()) == {"images: unit rows"}
    assert failed(Constant()) >= {"texts: different inputs differ", "pairs: above mismatched ones"}
    assert "images: repeatable" in failed(Dropout())
    assert failed(Padded()) == {"texts: alone as in a batch"}
    assert failed(LastWords()) == {"texts: the beginning of a long one counts"}
    assert failed(Exchanged()) >= {"images: order of the channels"}
    assert failed(Alpha()) == {"images: RGBA as RGB"}
    assert "pairs: above mismatched ones" in failed(Mismatched())
    assert failed(Unscaled()) == {"images: range of pixel_values"}


@pytest.mark.parametrize("kind", ["clip", "siglip"])
def test_adapters_of_real_architectures_fail_only_for_want_of_training(kind, tmp_path):
    tiny_models.save_hugging_face(kind, tmp_path / "model")
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump({"family": "huggingface", "model": "model"}))
    result = CliRunner().invoke(app, ["check-encoder", str(tmp_path / "tiny.yaml"), "--json"])
    assert result.exit_code == 0, result.output
    checks = {check["name"]: check["passed"] for check in json.loads(result.stdout)}
    assert any(name.startswith("images: range of") for name in checks)
    wrong = {name for name, passed in checks.items() if not passed}
    assert wrong <= {"pairs: above mismatched ones", "texts: different inputs differ"}
    assert all(f"warning: {tmp_path / 'tiny.yaml'}: {name}" in result.stderr for name in wrong)
