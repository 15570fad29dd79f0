"""Both stages on an accelerator: the losses of the CPU, the same bytes each time, gradients of parts, and memory."""

import gc

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from accelerate import Accelerator
from devices import DEVICE, needs_accelerator, on, same_files

from revision.config.language_models import LanguageModelSettings
from revision.config.training import LoopSettings, Stage1Training, Stage2Training
from revision.embeddings import write_embeddings
from revision.mllm.inputs import batch_maker, load_embeddings
from revision.mllm.language_models.trained import new_llm, word_tokenizer
from revision.mllm.loop import run_loop
from revision.mllm.model import ReVisionModel
from revision.mllm.prompts import tokenise
from revision.mllm.train import train_stage1, train_stage2
from revision.training.schedule import learning_rate

pytestmark = needs_accelerator
ROWS, DIM, WORDS = 48, 16, ["red", "blue", "green", "white", "small", "what", "colour", "?"]
LOOP = LoopSettings(epochs=2, batch_size=8, learning_rate=0.003, validate_every=2, checkpoint_every=2)
LONGEST = 40 if DEVICE == "cpu" else 400  # words: fused attention adds gradients of long texts in several blocks
WEIGHTS = ("projector.safetensors", "llm/model.safetensors")
PRECISIONS = ["no", "bf16", pytest.param("fp16", marks=pytest.mark.skipif(DEVICE == "cpu", reason="fp16 on a CPU"))]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Texts of different lengths, whose images are apart by an offset; an untrained LLM."""
    folder = tmp_path_factory.mktemp("world")
    generator = np.random.default_rng(0)
    rows = generator.standard_normal((ROWS, DIM)).astype(np.float32)
    ids = [f"a-{k}" for k in range(ROWS)]
    for name, offset in (("texts", 0.0), ("images", 1.0)):
        moved = rows + np.float32(offset) * np.eye(DIM, dtype=np.float32)[0]
        write_embeddings(folder / name, ids, moved / np.linalg.norm(moved, axis=1, keepdims=True))
    for name, lengths in (("table", generator.integers(20, LONGEST + 1, ROWS)), ("even", np.full(ROWS, LONGEST // 4))):
        texts = [" ".join(generator.choice(WORDS[:5], length)) for length in lengths]
        columns = {"id": ids, "short": texts, "question": ["what colour ?"] * ROWS, "answer": texts}
        pq.write_table(pa.table(columns), folder / f"{name}.parquet")
    tokenizer = word_tokenizer(WORDS)
    size = LanguageModelSettings(hidden_size=64, layers=2, heads=2, max_positions=512)
    ReVisionModel(new_llm(size, tokenizer, seed=0), tokenizer, None).save(folder / "llm")
    return folder


def stage1(world, out, loop=LOOP):
    """With noise, a corrected bias and the floors of another image and of the mean."""
    texts, images, table = (str(world / name) for name in ("texts", "images", "table.parquet"))
    training = Stage1Training(
        llm=str(world / "llm"), embeddings=texts, captions=table, validation_embeddings=images,
        validation_captions=table, out=str(out), noise=0.1, reference=images,
    )  # fmt: skip
    train_stage1(training, loop)


def stage2(world, out, loop=LOOP, table="table.parquet", start=None):
    rows, questions = str(world / "images"), str(world / table)
    training = Stage2Training(
        start=str(start or world / "llm"), instructions=questions, embeddings=rows, validation_instructions=questions,
        validation_embeddings=rows, out=str(out),
    )  # fmt: skip
    train_stage2(training, loop)


def stages(world, out, loop=LOOP, device=DEVICE):
    with on(device):
        stage1(world, out / "s1", loop)
        stage2(world, out / "s2", loop, start=out / "s1")


def assert_same_bytes(one, two):
    for stage in ("s1", "s2"):
        same_files(one / stage, two / stage, (*WEIGHTS, "history.csv"))


def test_losses_and_floors_are_those_of_the_cpu_to_a_thousandth(world, tmp_path):
    stages(world, tmp_path / "host", device="cpu")
    stages(world, tmp_path / "device")
    for stage in ("s1", "s2"):
        host, device = (pd.read_csv(tmp_path / name / stage / "history.csv") for name in ("host", "device"))
        assert host.columns.tolist() == device.columns.tolist() and host.step.tolist() == device.step.tolist()
        assert ("other_image_loss" in host) == ("mean_image_loss" in host) == (stage == "s1")
        np.testing.assert_allclose(device, host, rtol=1e-3)
        assert device.loss.iloc[-1] < device.loss.iloc[0]


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("micro_batch", [None, 3])
def test_the_same_seed_gives_the_same_bytes(world, tmp_path, precision, micro_batch):
    loop = LOOP.model_copy(update={"precision": precision, "micro_batch_size": micro_batch})
    for name in ("one", "two"):
        stages(world, tmp_path / name, loop)
    assert_same_bytes(tmp_path / "one", tmp_path / "two")
    assert np.isfinite(pd.read_csv(tmp_path / "one/s2/history.csv").validation_loss).all()


def test_fused_optimiser_gives_the_same_bytes(world, tmp_path):
    for name in ("one", "two"):
        stages(world, tmp_path / name, LOOP.model_copy(update={"fused": True}))
    assert_same_bytes(tmp_path / "one", tmp_path / "two")


class Killed(Exception):
    pass


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("fused", [False, True])
def test_a_killed_training_ends_with_the_bytes_of_an_undisturbed_one(world, tmp_path, monkeypatch, precision, fused):
    loop = LOOP.model_copy(update={"precision": precision, "micro_batch_size": 5, "fused": fused})
    stages(world, tmp_path / "whole", loop)

    def dying(step, *arguments, **options):
        if step == 5:
            raise Killed
        return learning_rate(step, *arguments, **options)

    for stage, train in (("s1", stage1), ("s2", stage2)):
        out, start = tmp_path / "part" / stage, {} if stage == "s1" else {"start": tmp_path / "whole/s1"}
        with monkeypatch.context() as patch, pytest.raises(Killed), on(DEVICE):
            patch.setattr("revision.mllm.loop.learning_rate", dying)
            train(world, out, loop, **start)
        assert torch.load(f"{out}.state.pt", weights_only=True, map_location="cpu")["step"] == 4 and not out.exists()
        with on(DEVICE):
            train(world, out, loop, **start)
    assert_same_bytes(tmp_path / "whole", tmp_path / "part")


def first_gradient(world, out, monkeypatch, device=DEVICE, **changes):
    """The gradient of the first step of Stage 2, before it is clipped, as one vector."""
    kept, clip = [], Accelerator.clip_grad_norm_

    def keep(self, parameters, *limits):
        kept.append(torch.cat([parameter.grad.flatten().double().cpu() for parameter in parameters]))
        return clip(self, parameters, *limits)

    with monkeypatch.context() as patch, on(device):
        patch.setattr(Accelerator, "clip_grad_norm_", keep)
        stage2(world, out, LOOP.model_copy(update={"epochs": 1} | changes))
    return kept[0]


@pytest.mark.parametrize(("precision", "tolerance", "of_host"), [("no", 1e-5, 1e-4), ("bf16", 0.02, 0.05)])
def test_micro_batches_give_the_gradient_of_the_whole_batch(
    world, tmp_path, monkeypatch, precision, tolerance, of_host
):
    whole = first_gradient(world, tmp_path / "whole", monkeypatch, precision=precision)
    for size in (1, 3):
        parts = first_gradient(world, tmp_path / f"{size}", monkeypatch, precision=precision, micro_batch_size=size)
        assert (parts - whole).norm() < tolerance * whole.norm()
    host = first_gradient(world, tmp_path / "host", monkeypatch, "cpu", precision=precision)
    assert (whole - host).norm() < of_host * host.norm()


def test_an_observer_may_generate_answers_between_two_steps(world, tmp_path):
    model = ReVisionModel.load(world / "llm")
    model = ReVisionModel(model.llm, model.tokenizer, DIM)
    texts = pq.read_table(world / "even.parquet")["short"].to_pylist()
    examples, rows = tokenise(model.tokenizer, [""] * ROWS, texts), load_embeddings(world / "images", [])
    captions = []

    def observe(trained, step):
        captions.append(model.generate(["", "what colour ?"], torch.from_numpy(rows.take(np.arange(2))), 6))

    with on(DEVICE):
        run_loop(
            model, examples.lengths, examples.targets, batch_maker(examples, rows),
            LOOP.model_copy(update={"epochs": 1}), seed=0, state=tmp_path / "state", observe=observe,
        )  # fmt: skip
    assert [len(texts) for texts in captions] == [2] * 7 and next(model.parameters()).device.type == DEVICE


@pytest.mark.skipif(DEVICE == "cpu", reason="the CPU's memory is not counted")
def test_memory_does_not_grow_with_the_steps_and_is_released_at_the_end(world, tmp_path):
    def peak_and_rest(out, epochs):
        gc.collect()
        torch.accelerator.reset_peak_memory_stats()
        before = torch.accelerator.memory_allocated()
        with on(DEVICE):
            stage2(world, out, LOOP.model_copy(update={"epochs": epochs}), "even.parquet")
        peak = torch.accelerator.max_memory_allocated() - before
        gc.collect()
        return peak, torch.accelerator.memory_allocated() - before

    peak_and_rest(tmp_path / "first", 1)  # also allocates the workspaces of libraries
    (few, _), (many, rest) = peak_and_rest(tmp_path / "few", 1), peak_and_rest(tmp_path / "many", 10)
    assert many <= 1.02 * few, f"{few} bytes in 6 steps, {many} in 60"
    assert rest < few / 100, f"{rest} of {few} bytes are still allocated"
