"""Both stages on a toy task whose answer is in the embedding: what they train, their losses and their errors."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from accelerate.state import AcceleratorState
from colour_world import COLOURS, ROWS
from typer.testing import CliRunner

from revision.cli import app
from revision.config.language_models import LanguageModelSettings
from revision.config.training import ProjectorSettings, Stage1Training, Stage2Training
from revision.embeddings import open_embeddings, write_embeddings
from revision.errors import ConfigError, DataError
from revision.mllm.checkpoint import StateFiles
from revision.mllm.inputs import rows_with_image, with_noise
from revision.mllm.loop import LoopSettings
from revision.mllm.model import ReVisionModel
from revision.mllm.train import train_language_model, train_stage1, train_stage2

LOOP = LoopSettings(epochs=16, batch_size=32, learning_rate=0.01, validate_every=20)


SHORT = LOOP.model_copy(update={"epochs": 1})


DATA = {"embeddings": "e", "validation_embeddings": "e"}
FIRST = {"llm": "llm", **DATA, "captions": "t.parquet", "validation_captions": "t.parquet", "out": "s1"}
SECOND = {"start": "s1", **DATA, "instructions": "t.parquet", "validation_instructions": "t.parquet", "out": "s2"}


def inside(world, values):
    """Settings of a training whose paths are relative to `world`."""
    paths = {"reference", "texts", *FIRST, *SECOND}
    return {key: str(world / value) if key in paths and value else value for key, value in values.items()}


def first(world, **changes):
    return inside(world, FIRST | changes)


def second(world, **changes):
    return inside(world, SECOND | changes)


def stage1(world, loop=LOOP, projector=None, tracker=None, **changes):
    train_stage1(Stage1Training(**first(world, **changes)), loop, projector, tracker)


def stage2(world, loop=LOOP, projector=None, tracker=None, **changes):
    train_stage2(Stage2Training(**second(world, **changes)), loop, projector, tracker)


def command(tmp_path, name, trainings, loop=SHORT):
    """Run `revision <name>` on a list of trainings."""
    (tmp_path / "settings.json").write_text(json.dumps({"loop": loop.record(), "trainings": trainings}))
    done = CliRunner().invoke(app, [name, "--config", str(tmp_path / "settings.json")])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output


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
    stage2(world, start="llm", embeddings=None, out="blind")
    stage2(world, start="llm", out="without_stage1")
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
    stage1(world, out="one")
    stage1(world, out="two")
    assert (world / "one/projector.safetensors").read_bytes() == (world / "two/projector.safetensors").read_bytes()


def test_training_in_bfloat16_is_close_to_float32(world):
    short = LOOP.model_copy(update={"epochs": 2, "learning_rate": 0.001})
    stage1(world, short)
    stage2(world, short)
    AcceleratorState._reset_state()  # accelerate has one precision per process
    try:
        half = short.model_copy(update={"precision": "bf16"})
        stage1(world, half, out="half")
        stage2(world, half, start="half", out="half2")
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
    with pytest.raises(ConfigError, match="embeddings without image embeddings of the held-out instructions"):
        stage2(world, start="llm", validation_embeddings=None)
    write_embeddings(world / "few", ["a-0", "a-1"], np.eye(8, dtype=np.float32)[:2])
    with pytest.raises(DataError, match="2 rows, but the table asks for 256"):
        stage2(world, start="llm", embeddings="few")
    write_embeddings(world / "other", [f"b-{k}" for k in range(ROWS)], np.tile(np.eye(8, dtype=np.float32), (32, 1)))
    with pytest.raises(DataError, match="row 0 is 'b-0', the table has 'a-0'"):
        stage2(world, start="llm", embeddings="other")
    pq.write_table(pa.table({"id": ["a"]}), world / "bare.parquet")
    with pytest.raises(DataError, match=r"bare.parquet: no column short"):
        stage1(world, captions="bare.parquet")


def files(folder):
    """The bytes of all files of a checkpoint by their paths."""
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_trainings_do_not_depend_on_those_before_them_in_the_process(world, tmp_path):
    stage1(world)
    for name, training, changes in (
        ("pretrain", first, {"noise": 0.1, "seed": 1}),
        ("finetune", second, {"share": 0.5, "seed": 1}),
    ):
        together = [training(world, out=f"{name}-a"), training(world, **changes, out=f"{name}-b")]
        command(tmp_path, name, together)
        for one in together:
            command(tmp_path, name, [one | {"out": one["out"] + "-alone"}])
            assert files(Path(one["out"] + "-alone")) == files(Path(one["out"]))


class Killed(Exception):
    pass


def test_a_killed_batch_of_trainings_continues_in_the_one_that_was_interrupted(world, tmp_path, monkeypatch):
    loop = SHORT.model_copy(update={"checkpoint_every": 3})
    together = [first(world, out="a"), first(world, out="b", noise=0.1, seed=1)]
    command(tmp_path, "pretrain", together, loop)
    before = [files(world / out) for out in "ab"]
    store, stored = StateFiles.store, []

    def dying(self, progress):
        store(self, progress)
        stored.append(progress.step)
        if len(stored) == 3:  # the first step stored by the second training
            raise Killed

    monkeypatch.setattr(StateFiles, "store", dying)
    with pytest.raises(Killed):
        command(tmp_path, "pretrain", together, loop)
    assert stored == [3, 6, 3] and (world / "b.state.pt").exists()
    stored.clear()
    command(tmp_path, "pretrain", together[1:], loop)
    assert stored == [6]
    assert [files(world / out) for out in "ab"] == before


def test_the_projector_of_the_settings_is_used(world):
    settings = ProjectorSettings(tokens=2, copies=3)
    stage1(world, SHORT, settings)
    stage2(world, SHORT, settings, start="llm", out="new")
    for name in ("s1", "new"):
        assert ReVisionModel.load(world / name).projector.settings == settings


def test_noise_depends_on_seed_step_and_row_alone():
    rows = np.arange(2000)
    embeddings = np.tile(np.eye(16, dtype=np.float32)[0], (2000, 1))
    noisy = with_noise(embeddings, 0.1, 5, 7, rows)
    some = np.array([1999, 3])
    assert np.array_equal(with_noise(embeddings[some], 0.1, 5, 7, some), noisy[some])
    for seed, step in ((5, 8), (6, 7)):
        assert not np.isclose(with_noise(embeddings, 0.1, seed, step, rows), noisy).all(axis=1).any()
    np.testing.assert_allclose(np.linalg.norm(noisy, axis=1), 1, rtol=1e-6)
    # Normalised by its first coordinate, which is about 1, a row has noise of the standard deviation given.
    assert (noisy[:, 1:] / noisy[:, :1]).std() == pytest.approx(0.1, rel=0.05)
    assert abs(np.corrcoef(noisy[:-1, 1], noisy[1:, 1])[0, 1]) < 0.1


def test_noise_has_the_asked_standard_deviation_and_leaves_unit_length():
    rows, index = np.eye(4, dtype=np.float32), np.array([2, 0])
    one, two = (with_noise(rows[index], 0.1, 3, step, index) for step in (0, 1))
    np.testing.assert_allclose(np.linalg.norm(one, axis=1), 1, rtol=1e-6)
    assert np.abs(one - two).max() > 0.01
    other = np.array([0, 3])
    assert np.array_equal(with_noise(rows[other], 0.1, 3, 0, other)[0], one[1])
    assert np.abs(with_noise(rows[index], 0.1, 4, 0, index) - one).max() > 0.01
    many = with_noise(np.tile(rows[:1], (3000, 1)), 0.1, 0, 0, np.arange(3000))
    # To first order, the first coordinate is 1 and the others are the noise.
    np.testing.assert_allclose(many[:, 1:].std(axis=0), 0.1, rtol=0.06)


def test_noise_is_drawn_anew_in_every_epoch_and_only_in_training(world, monkeypatch):
    from revision.mllm import inputs

    seen = []
    monkeypatch.setattr(inputs, "with_noise", lambda e, *about: seen.append(about) or e)
    stage1(world, LOOP.model_copy(update={"epochs": 2}), noise=0.1, seed=3)
    assert [(deviation, seed, step) for deviation, seed, step, _ in seen] == [(0.1, 3, step) for step in range(16)]
    for epoch in (seen[:8], seen[8:]):
        assert sorted(np.concatenate([rows for *_, rows in epoch])) == list(range(ROWS))


def test_more_images_include_those_of_fewer():
    few, many = rows_with_image(5000, 0.01), rows_with_image(5000, 0.1)
    assert (
        (few <= many).all()
        and few.mean() == pytest.approx(0.01, abs=0.005)
        and many.mean() == pytest.approx(0.1, abs=0.02)
    )
    assert np.array_equal(rows_with_image(9000, 0.1)[:5000], many)
    assert rows_with_image(5000, 1).all() and not rows_with_image(5000, 0).any()


def test_stage2_reads_texts_where_a_question_has_no_image(world, monkeypatch):
    """Texts that say nothing: the model learns from the images alone, and without any image it learns nothing."""
    ids = open_embeddings(world / "e").ids().to_pylist()
    write_embeddings(world / "blank", ids, np.tile(np.eye(8, dtype=np.float32)[7], (ROWS, 1)))
    loss = {}
    for images in (0.0, 0.5, 1.0):
        embeddings = None if images == 0 else "e"
        stage2(world, start="llm", embeddings=embeddings, texts="blank", images=images, out=f"mix{images}")
        loss[images] = pd.read_csv(world / f"mix{images}/history.csv").validation_loss.iloc[-1]
    assert loss[0.0] > np.log(4) / 2 - 0.05  # chance
    assert loss[1.0] < loss[0.5] < 0.5 * loss[0.0]
    stage2(world, start="llm", out="images")
    assert (
        files(world / "images")[Path("projector.safetensors")] == files(world / "mix1.0")[Path("projector.safetensors")]
    )


def test_a_corrected_bias_reads_images_as_texts_with_the_mean_of_the_training_set(world):
    # Texts and images share their content, and each has a constant part of its own: the gap is one vector.
    rows = open_embeddings(world / "e")
    for name, axis in (("texts", 4), ("images", 5)):
        moved = rows.array() + 2 * np.eye(8, dtype=np.float32)[axis]
        write_embeddings(world / name, rows.ids().to_pylist(), moved / np.linalg.norm(moved, axis=1, keepdims=True))
    common = {"embeddings": "texts", "validation_embeddings": "images"}
    stage1(world, **common)
    stage1(world, **common, reference="images", out="corrected")
    plain, corrected = (ReVisionModel.load(world / name) for name in ("s1", "corrected"))
    images = torch.from_numpy(open_embeddings(world / "images").array())
    difference = images.mean(0) - torch.from_numpy(open_embeddings(world / "texts").array()).mean(0)
    with torch.no_grad():
        torch.testing.assert_close(
            corrected.projector(images), plain.projector(images - difference), rtol=1e-4, atol=1e-5
        )
        for name, weight in plain.state_dict().items():
            assert torch.equal(weight, corrected.state_dict()[name]) == (name != "projector.layers.0.bias"), name
    histories = [pd.read_csv(world / name / "history.csv") for name in ("s1", "corrected")]
    assert histories[0].loss.equals(histories[1].loss)
    before, after = (history.validation_loss for history in histories)
    assert before[:-1].equals(after[:-1]) and after.iloc[-1] < before.iloc[-1]
    stage1(world, embeddings="texts", validation_embeddings="texts", out="read")
    assert after.iloc[-1] == pytest.approx(pd.read_csv(world / "read/history.csv").validation_loss.iloc[-1], abs=0.01)
