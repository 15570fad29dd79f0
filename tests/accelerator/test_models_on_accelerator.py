"""Encoders, answers, captions and contrastive training on an accelerator give what they give on the CPU."""

import io
import sys
import tarfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from devices import DEVICE, needs_accelerator, on, same_files
from PIL import Image

from revision.config.dynamics import ClipSettings, MonitorSettings
from revision.config.encoders import EncoderSettings
from revision.config.evaluation import Checkpoint
from revision.config.language_models import LanguageModelSettings
from revision.contrastive.loop import train
from revision.contrastive.webdataset import ShardBatches
from revision.data.corpus import read_columns, write_corpus
from revision.data.scenes import World
from revision.dynamics.run import observe_shards
from revision.encoders import load_encoder
from revision.encoders.embed import embed_corpus
from revision.mllm.inputs import InMemory
from revision.mllm.language_models.trained import new_llm, word_tokenizer
from revision.mllm.model import ReVisionModel, load_llm, whole_model_device
from revision.mllm.prompts import tokenise
from revision.mllm.synthesis import SEED_WORDS, synthesise
from revision.mllm.train import mean_loss

sys.path.insert(0, str(Path(__file__).parents[1] / "encoders"))
import tiny_models

pytestmark = needs_accelerator
WORLD, DIM, ALIKE = World(), 12, 0.95
RANDOM = np.random.default_rng(0)
IMAGES = [Image.fromarray(RANDOM.integers(0, 256, (40, 48, 3), dtype=np.uint8)) for _ in range(7)]
TEXTS = ["a red circle", "the big blue square on the left", "green", "small", "a", "a big circle", "on the left"]


@pytest.fixture(scope="module")
def described(tmp_path_factory):
    """The YAML files of tiny encoders for one device, by family, device and further settings."""
    folder = tmp_path_factory.mktemp("encoders")

    def describe(kind, device, **settings):
        if kind == "open_clip" and not (folder / kind).exists():
            tiny_models.save_open_clip(pytest.importorskip("open_clip"), folder / kind)
        elif not (folder / kind).exists():
            tiny_models.save_hugging_face(kind, folder / kind)
        family = "open_clip" if kind == "open_clip" else "huggingface"
        values = {"family": family, "model": str(folder / kind), "device": device, "batch_size": 4} | settings
        path = folder / f"{kind}.yaml"
        path.write_text(yaml.safe_dump(values))
        return load_encoder(path)

    return describe


@pytest.mark.parametrize("kind", ["clip", "siglip", "siglip2", "open_clip"])
def test_embeddings_are_those_of_the_cpu_and_of_any_batch(kind, described):
    host, device, alone = described(kind, "cpu"), described(kind, DEVICE), described(kind, "auto", batch_size=1)
    assert next(device.model.parameters()).device.type == DEVICE
    assert alone.device.type == DEVICE
    for method, items in (("encode_images", IMAGES), ("encode_texts", TEXTS)):
        rows = [getattr(encoder, method)(items) for encoder in (host, device, alone)]
        np.testing.assert_allclose(rows[1], rows[0], atol=1e-5)
        np.testing.assert_allclose(rows[2], rows[1], atol=1e-5)
        np.testing.assert_array_equal(getattr(device, method)(items), rows[1])
        if kind in ("clip", "siglip"):
            half = getattr(described(kind, DEVICE, dtype="bfloat16"), method)(items)
            np.testing.assert_allclose(half, rows[0], atol=0.1)


def test_an_embedding_set_names_the_device(described, tmp_path):
    write_corpus(WORLD, "captions", "probe", 9, tmp_path / "probe.parquet")
    for device in ("cpu", DEVICE):
        rows = embed_corpus(
            described("clip", device), tmp_path / "probe.parquet", "image", tmp_path / device, show_progress=False
        )
        assert rows.about.get("device", "cpu") == device


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Scenes, a language model that knows their words and a checkpoint with a projector, all untrained."""
    folder = tmp_path_factory.mktemp("written")
    write_corpus(WORLD, "captions", "text", 60, folder / "text.parquet")
    tokenizer = word_tokenizer(WORLD.vocabulary())
    llm = new_llm(LanguageModelSettings(hidden_size=64, layers=2, heads=2), tokenizer, 0)
    ReVisionModel(llm, tokenizer, None).save(folder / "llm")
    ReVisionModel(llm, tokenizer, DIM, seed=1).save(folder / "checkpoint")
    return folder


def unit_rows(count):
    rows = np.random.default_rng(3).standard_normal((count, DIM)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def alike(one, two):
    """Fraction of equal texts. Words whose logits differ by less than rounding may be chosen differently."""
    return np.mean([a == b for a, b in zip(one, two, strict=True)])


def test_losses_and_greedy_texts_are_those_of_the_cpu(written):
    captions, rows = read_columns(written / "text.parquet", ("short",))["short"], unit_rows(60)
    assert torch.device(whole_model_device()).type == DEVICE
    models = [ReVisionModel.load(written / "checkpoint", device) for device in ("cpu", DEVICE)]
    assert {parameter.device.type for parameter in models[1].parameters()} == {DEVICE}
    examples = tokenise(models[0].tokenizer, [""] * 60, captions)
    losses = []
    for model, device in zip(models, ("cpu", DEVICE), strict=True):
        with on(device):
            losses.append(mean_loss(model, examples, InMemory(rows)))
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)
    prompts = [*["what is it ?"] * 20, *["is there a red star ?"] * 20, *[""] * 20]
    texts = [model.generate(prompts, torch.from_numpy(rows), 12) for model in models]
    assert alike(*texts) >= ALIKE
    with torch.inference_mode():
        batch = torch.tensor([[models[0].tokenizer.bos_token_id, 5, 6, 7]] * 60)
        logits = []
        for model, device in zip(models, ("cpu", DEVICE), strict=True):
            inputs = model.input_embeddings(batch.to(device), torch.from_numpy(rows).to(device))
            logits.append(model.llm(inputs_embeds=inputs).logits.cpu())
    torch.testing.assert_close(logits[1], logits[0], rtol=1e-4, atol=1e-4)


def test_synthetic_captions_repeat_with_the_seed_and_greedy_ones_are_those_of_the_cpu(written, tmp_path, monkeypatch):
    def caption(name, device, seed=0):
        monkeypatch.setattr("revision.mllm.synthesis.whole_model_device", lambda: device)
        synthesise(written / "text.parquet", written / "llm", tmp_path / name, seed=seed, new_tokens=12)
        return pd.read_parquet(tmp_path / name).short.tolist()

    one, two, other = caption("one", DEVICE), caption("two", DEVICE), caption("other", DEVICE, seed=1)
    assert one == two != other
    captions = read_columns(written / "text.parquet", ("short",))["short"]
    for text, start in zip(one, captions, strict=True):
        words = start.split()[:SEED_WORDS]
        assert text.split()[: len(words)] == words

    def greedy(source, device):
        llm, tokenizer = load_llm(source, device)
        generate = llm.generate
        llm.generate = lambda *inputs, **options: generate(*inputs, **options | {"do_sample": False})
        return llm, tokenizer

    monkeypatch.setattr("revision.mllm.synthesis.load_llm", greedy)
    assert alike(caption("host", "cpu"), caption("device", DEVICE)) >= ALIKE


class Pixels:
    """Embeds an image as the mean colours of four stripes."""

    def encode_images(self, images):
        small = [np.asarray(image.convert("RGB").resize((1, DIM // 3)), np.float32).ravel() - 128 for image in images]
        return np.stack([row / np.linalg.norm(row) for row in small])


@pytest.mark.parametrize("precision", ["no", "bf16"])
def test_answers_and_captions_of_the_evaluation_are_those_of_the_cpu(written, tmp_path, precision):
    for package in ("lmms_eval", "pycocoevalcap"):
        pytest.importorskip(package)
    from revision.evaluation.run import evaluate
    from revision.evaluation.suites import write_tasks

    tasks = write_tasks(WORLD, tmp_path / "tasks", 6, captions=6)
    checkpoints = [Checkpoint("m", 0, 0, written / "checkpoint"), Checkpoint("blind", 0, 0, written / "llm")]
    tables = {}
    for name, device in (("host", "cpu"), ("device", DEVICE)):
        evaluate(checkpoints, tasks, Pixels(), tmp_path / f"{name}.answers", captions=tmp_path / f"{name}.captions",
                 device=device, precision=precision)  # fmt: skip
        tables[name] = [pd.read_parquet(tmp_path / f"{name}.{kind}") for kind in ("answers", "captions")]
    for host, device in zip(tables["host"], tables["device"], strict=True):
        assert len(host) == len(device) > 0 and host.iloc[:, :3].equals(device.iloc[:, :3])
        if precision == "no":  # bfloat16 rounds by more than an untrained model's words differ
            assert alike(host.prediction, device.prediction) >= ALIKE


SMALL = EncoderSettings(dim=16, vision_width=8, text_width=8, images=64, batch=16, steps=8)
CLIP = ClipSettings(
    steps=10, dim=16, image_size=32, patch=8, vision_width=16, vision_layers=1, text_width=16, text_layers=1, heads=2,
    context=24, vocabulary=400, batch=8, peak_lr=5e-3,
)  # fmt: skip
MONITOR = MonitorSettings(every=2, probe=60, gradient_batches=1, freeze_at=2, late_from=6)


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    path = tmp_path_factory.mktemp("shards") / "00000.tar"
    scenes = WORLD.scenes("paired", 0, 120)
    with tarfile.open(path, "w") as archive:
        for row, (pixels, text) in enumerate(zip(WORLD.images(scenes), WORLD.captions(scenes), strict=True)):
            image = io.BytesIO()
            Image.fromarray(pixels).save(image, "PNG")
            for suffix, data in (("png", image.getvalue()), ("txt", text.encode())):
                member = tarfile.TarInfo(f"{row:06d}.{suffix}")
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
    return [path]


def observed(shards, out, device=DEVICE):
    with on(device):
        observe_shards(shards, CLIP, MONITOR, out, seed=4, checkpoint_every=3, show_progress=False)


def test_observed_contrastive_training_is_that_of_the_cpu_and_repeats(shards, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    observed(shards, tmp_path / "host", "cpu")
    observed(shards, tmp_path / "one")
    host, device = (pd.read_csv(tmp_path / name / "series.csv") for name in ("host", "one"))
    assert host.step.tolist() == device.step.tolist() == [0, 2, 4, 6, 8, 10]
    for column in ("gap", "pair_cosine", "temperature", "loss"):
        np.testing.assert_allclose(device[column], host[column], rtol=5e-3, atol=1e-3)
    with monkeypatch.context() as patch:
        batch = ShardBatches.__call__

        def killed(self, step):
            if step == 7:
                raise KeyboardInterrupt
            return batch(self, step)

        patch.setattr(ShardBatches, "__call__", killed)
        with pytest.raises(KeyboardInterrupt):
            observed(shards, tmp_path / "resumed")
    observed(shards, tmp_path / "two")
    observed(shards, tmp_path / "resumed")
    for name in ("two", "resumed"):
        same_files(tmp_path / name, tmp_path / "one", ("series.csv", "summary.json", "encoder/weights.safetensors"))


def test_the_built_in_encoder_trains_on_the_cpu_whatever_the_device(tmp_path):
    for name, device in (("host", "cpu"), ("device", DEVICE)):
        with on(device):
            train(WORLD, SMALL, tmp_path / name, seed=0, show_progress=False)
    same_files(tmp_path / "device", tmp_path / "host", ("weights.safetensors", "manifest.json"))
