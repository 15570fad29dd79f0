"""Both stages on a toy task whose answer is in the embedding: what they train, their losses and their errors."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from accelerate.state import AcceleratorState
from colour_world import COLOURS, ROWS

from revision.config.language_models import LanguageModelSettings
from revision.embeddings import write_embeddings
from revision.errors import ConfigError, DataError
from revision.mllm.loop import LoopSettings
from revision.mllm.model import ReVisionModel
from revision.mllm.train import train_language_model, train_stage1, train_stage2

LOOP = LoopSettings(epochs=16, batch_size=32, learning_rate=0.01, validate_every=20)


def stage1(world, loop=LOOP, **changes):
    validation = (world / "e", world / "t.parquet")
    options = {"rows": None, "seed": 0, "out": world / "s1"} | changes
    train_stage1(world / "llm", world / "e", world / "t.parquet", "short", validation, loop, **options)


def stage2(world, start="s1", embeddings="e", loop=LOOP, **changes):
    validation = (world / "e", world / "t.parquet")
    options = {"share": 1.0, "seed": 0, "out": world / "s2"} | changes
    source = None if embeddings is None else world / embeddings
    train_stage2(world / start, source, world / "t.parquet", validation, loop, **options)


def test_the_language_model_learns_to_answer_from_text(world):
    history = pd.read_csv(world / "llm/history.csv")
    assert history.validation_loss.iloc[-1] < 0.7 * np.log(4) / 2  # chance: two tokens, the colour and a sure <eos>
    size = LanguageModelSettings(hidden_size=16, layers=1, heads=2)
    with pytest.raises(ConfigError, match="256 validation rows leave nothing of 256"):
        train_language_model(world / "t.parquet", ROWS, COLOURS, size, LOOP, seed=0, out=world / "x")


def test_stage1_trains_only_the_projector(world):
    stage1(world)
    before, after = ReVisionModel.load(world / "llm"), ReVisionModel.load(world / "s1")
    for name, weight in before.llm.state_dict().items():
        assert torch.equal(weight, after.llm.state_dict()[name]), name
    history = pd.read_csv(world / "s1/history.csv")
    assert history.validation_loss.iloc[-1] < 0.9 * history.validation_loss.iloc[0]


def test_stage2_answers_from_the_image_and_blind_cannot(world):
    stage1(world)
    stage2(world)
    stage2(world, start="llm", embeddings=None, out=world / "blind")
    stage2(world, start="llm", out=world / "without_stage1")
    visual = pd.read_csv(world / "s2/history.csv").validation_loss.iloc[-1]
    blind = pd.read_csv(world / "blind/history.csv").validation_loss.iloc[-1]
    assert visual < 0.1
    without = pd.read_csv(world / "without_stage1/history.csv").validation_loss
    assert without.iloc[-1] < 0.5 * blind and visual <= without.iloc[-1]
    assert ReVisionModel.load(world / "without_stage1").embedding_dim == 8
    assert blind == pytest.approx(np.log(4) / 2, abs=0.05)  # two target tokens: the colour, and a sure <eos>
    model = ReVisionModel.load(world / "s2")
    answers = model.generate(["what colour ?"] * 4, torch.eye(8)[:4])
    assert answers == COLOURS


def test_same_seed_same_bytes(world):
    stage1(world, out=world / "one")
    stage1(world, out=world / "two")
    assert (world / "one/projector.safetensors").read_bytes() == (world / "two/projector.safetensors").read_bytes()


def test_training_in_bfloat16_is_close_to_float32(world):
    short = LOOP.model_copy(update={"epochs": 2, "learning_rate": 0.001})
    stage1(world, short)
    stage2(world, loop=short)
    AcceleratorState._reset_state()  # accelerate has one precision per process
    try:
        half = short.model_copy(update={"precision": "bf16"})
        stage1(world, half, out=world / "half")
        stage2(world, "half", loop=half, out=world / "half2")
    finally:
        AcceleratorState._reset_state()
    for whole, halved in (("s1", "half"), ("s2", "half2")):
        losses = [pd.read_csv(world / name / "history.csv").validation_loss.iloc[-1] for name in (whole, halved)]
        assert losses[0] != losses[1] and losses[1] == pytest.approx(losses[0], rel=0.02)
    weights = ReVisionModel.load(world / "half2").state_dict()
    assert {value.dtype for value in weights.values() if value.is_floating_point()} == {torch.float32}


def test_weights_in_bfloat16_give_the_answers_of_float32(world):
    stage1(world)
    stage2(world)
    rows = torch.eye(8)[:4]
    whole, half = ReVisionModel.load(world / "s2"), ReVisionModel.load(world / "s2", dtype=torch.bfloat16)
    mapped = ReVisionModel.load(world / "s2", device="cpu:0")
    assert half.llm.dtype == torch.bfloat16 and half.projector.layers[0].weight.dtype == torch.float32
    answers = [model.generate(["what colour ?"] * 4, rows) for model in (whole, half, mapped)]
    assert answers == [COLOURS] * 3


def test_invalid_input_is_reported(world):
    with pytest.raises(ConfigError, match=r"share of the Stage-2 data: 0 is not in"):
        stage2(world, start="llm", share=0)
    write_embeddings(world / "few", ["a-0", "a-1"], np.eye(8, dtype=np.float32)[:2])
    with pytest.raises(DataError, match="2 rows, but the table asks for 256"):
        stage2(world, start="llm", embeddings="few")
    write_embeddings(world / "other", [f"b-{k}" for k in range(ROWS)], np.tile(np.eye(8, dtype=np.float32), (32, 1)))
    with pytest.raises(DataError, match="row 0 is 'b-0', the table has 'a-0'"):
        stage2(world, start="llm", embeddings="other")
    pq.write_table(pa.table({"id": ["a"]}), world / "bare.parquet")
    with pytest.raises(DataError, match=r"bare.parquet: no column short"):
        held = (world / "e", world / "t.parquet")
        options = {"rows": None, "seed": 0, "out": world / "x"}
        train_stage1(world / "llm", world / "e", world / "bare.parquet", "short", held, LOOP, **options)
