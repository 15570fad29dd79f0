"""Dual encoders of transformers: tiny random models of each class are compared with their own forward pass."""

import numpy as np
import pytest
import tiny_models
import torch
import transformers
import yaml
from PIL import Image

from revision.encoders import Encoder, load_encoder
from revision.errors import ConfigError, DataError

TEXTS = ["a red circle", "the big blue square on the left", "green", "small"]
RANDOM = np.random.default_rng(0)
IMAGES = [Image.fromarray(RANDOM.integers(0, 256, (40, 40, 3), dtype=np.uint8)) for _ in TEXTS]
WAVEFORMS = [RANDOM.standard_normal(8000).astype(np.float32) for _ in TEXTS]
# Padding of texts as documented for each class.
PADDING = {
    "siglip": {"padding": "max_length", "max_length": 20},
    "siglip2": {"padding": "max_length", "max_length": 20},
    "align": {"padding": "max_length", "max_length": 64},
}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Folder of a class's tiny model, saved once."""
    made = {}

    def folder(kind):
        if kind not in made:
            made[kind] = tmp_path_factory.mktemp(kind) / "model"
            tiny_models.save_hugging_face(kind, made[kind])
        return made[kind]

    return folder


def describe(path, **values):
    path.write_text(yaml.safe_dump({"family": "huggingface"} | values))
    return path


@pytest.fixture
def load(saved, tmp_path):
    def work(kind, **values):
        return load_encoder(describe(tmp_path / f"{kind}.yaml", model=str(saved(kind)), batch_size=3, **values))

    return work


def unit(rows):
    rows = rows.detach().double().numpy()
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def check(rows, dim):
    assert rows.dtype == np.float32 and rows.shape == (len(TEXTS), dim)
    np.testing.assert_allclose(np.linalg.norm(rows.astype(float), axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("kind", ["clip", "siglip", "siglip2", "align"])
def test_rows_match_the_models_own_forward_pass(kind, load, saved):
    encoder = load(kind)
    assert isinstance(encoder, Encoder) and encoder.name == kind
    images, texts = encoder.encode_images(IMAGES), encoder.encode_texts(TEXTS)
    for rows in (images, texts):
        check(rows, encoder.dim)
    model = transformers.AutoModel.from_pretrained(saved(kind)).eval()
    processor = transformers.AutoProcessor.from_pretrained(saved(kind))
    tokens = processor(text=TEXTS, return_tensors="pt", **PADDING.get(kind, {"padding": True}))
    output = model(**tokens, **processor(images=IMAGES, return_tensors="pt"))
    np.testing.assert_allclose(images, unit(output.image_embeds), atol=2e-5)
    np.testing.assert_allclose(texts, unit(output.text_embeds), atol=2e-5)


def test_products_of_blip_rows_are_its_contrastive_scores(load, saved):
    encoder = load("blip")
    images, texts = encoder.encode_images(IMAGES), encoder.encode_texts(TEXTS)
    check(images, encoder.dim)
    check(texts, encoder.dim)
    model = transformers.BlipForImageTextRetrieval.from_pretrained(saved("blip")).eval()
    processor = transformers.AutoProcessor.from_pretrained(saved("blip"))
    inputs = processor(images=IMAGES, text=TEXTS, padding=True, return_tensors="pt")
    scores = model(**inputs, use_itm_head=False).itm_score.detach().numpy()
    np.testing.assert_allclose(images @ texts.T, scores, atol=2e-5)


def test_clap_embeds_waveforms_and_rejects_images(load, saved):
    encoder = load("clap")
    waveforms, texts = encoder.encode_images(WAVEFORMS), encoder.encode_texts(TEXTS)
    model = transformers.ClapModel.from_pretrained(saved("clap")).eval()
    processor = transformers.AutoProcessor.from_pretrained(saved("clap"))
    tokens = processor(text=TEXTS, padding=True, return_tensors="pt")
    output = model(**tokens, **processor(audio=WAVEFORMS, sampling_rate=8000, return_tensors="pt"))
    np.testing.assert_allclose(waveforms, unit(output.audio_embeds), atol=2e-5)
    np.testing.assert_allclose(texts, unit(output.text_embeds), atol=2e-5)
    with pytest.raises(DataError, match=r"embeds audio, not images; pass waveforms.*8000 Hz"):
        encoder.encode_images(IMAGES)


def test_rows_do_not_depend_on_the_batch_and_no_images_give_no_rows(load, saved, tmp_path):
    encoder = load("clip")
    alone = np.concatenate([encoder.encode_texts([text]) for text in TEXTS])
    np.testing.assert_allclose(encoder.encode_texts(TEXTS), alone, atol=1e-5)
    assert encoder.encode_images([]).shape == (0, encoder.dim)
    grey = [image.convert("L") for image in IMAGES]
    np.testing.assert_array_equal(encoder.encode_images(grey), encoder.encode_images([i.convert("RGB") for i in grey]))


def test_rows_do_not_depend_on_the_number_of_threads_that_prepare_images(load):
    images = IMAGES * 5  # seven batches
    np.testing.assert_array_equal(load("siglip", workers=4).encode_images(images), load("siglip").encode_images(images))


def test_dtype_and_lower_case_are_read_from_the_yaml(load):
    half, full = load("clip", dtype="bfloat16"), load("clip")
    assert half.model.dtype == torch.bfloat16
    np.testing.assert_allclose(half.encode_texts(TEXTS), full.encode_texts(TEXTS), atol=0.1)
    lower = load("clip", lower_case=True)
    upper = [text.upper() for text in TEXTS]
    np.testing.assert_array_equal(lower.encode_texts(upper), full.encode_texts(TEXTS))
    assert not np.allclose(full.encode_texts(upper), full.encode_texts(TEXTS))


def test_a_checkpoint_without_projections_is_rejected(saved, tmp_path):
    config = transformers.AutoConfig.from_pretrained(saved("blip"))
    transformers.BlipForConditionalGeneration(config).save_pretrained(tmp_path / "captions")
    transformers.AutoProcessor.from_pretrained(saved("blip")).save_pretrained(tmp_path / "captions")
    path = describe(tmp_path / "captions.yaml", model=str(tmp_path / "captions"))
    with pytest.raises(
        DataError, match=r"lacks weights of BlipForImageTextRetrieval.*use a checkpoint of this model class"
    ):
        load_encoder(path)


def test_a_model_with_one_tower_is_rejected(tmp_path):
    transformers.BertModel(transformers.BertConfig(**tiny_models.TEXT)).save_pretrained(tmp_path / "bert")
    tiny_models.tokenizer().save_pretrained(tmp_path / "bert")
    path = describe(tmp_path / "bert.yaml", model=str(tmp_path / "bert"))
    with pytest.raises(DataError, match="BertModel has no get_image_features, so it is not a dual encoder"):
        load_encoder(path)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"dtype": "int8"}, "dtype: 'int8' does not exist.*; there are bfloat16, float16, float32"),
        ({"device": "abacus"}, "device: 'abacus' is no torch device; use auto, cpu"),
        ({"batch_size": 0}, "batch_size: 0"),
        ({"batchsize": 3}, r"unknown key batchsize \(did you mean batch_size\?\); the keys are batch_size"),
        ({"trust_remote_code": True}, "unknown key trust_remote_code"),
    ],
)
def test_invalid_settings_are_reported(values, message, saved, tmp_path):
    path = describe(tmp_path / "clip.yaml", model=str(saved("clip")), **values)
    with pytest.raises(ConfigError, match=message):
        load_encoder(path)
