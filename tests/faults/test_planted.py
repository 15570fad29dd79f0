"""Planted faults: a small working folder, one fault put into it, and the one line with which a command then ends.

Faults of a single module are tested with that module: importers, embedding sets, corpora (`test_ingest`), suites.
"""

import os
import pickle
import re
import shlex
import shutil
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file, save_file

from revision.cli import main
from revision.embeddings import EmbeddingWriter, open_embeddings, write_embeddings

ALIGN = "align texts aligned --target images"
EMBED = "embed text.parquet --encoder encoder --out set --column"
PRETRAIN, FINETUNE = "pretrain --config stage1.yaml", "finetune --config stage2.yaml"
LOOP = "{loop: {epochs: 1, batch_size: 8, learning_rate: 0.01}, trainings: [{out: out, "
STAGE1 = (
    "llm: model, embeddings: images, captions: text.parquet, validation_embeddings: images, "
    "validation_captions: text.parquet}]}"
)
STAGE2 = (
    "start: model, embeddings: instruct_images, instructions: instruct.parquet, "
    "validation_embeddings: instruct_images, validation_instructions: instruct.parquet}]}"
)
EVALUATE = "evaluate --config evaluate.yaml --tasks tasks --encoder encoder --answers answers.parquet"
PROJECTOR, WEIGHTS, STATE = "model/projector.safetensors", "model/llm/model.safetensors", "out.state.pt"


@pytest.fixture(scope="session")
def whole(tmp_path_factory):
    """Two sets of embeddings, corpus tables, an encoder, a multimodal model and tasks, all very small."""
    from revision.config.language_models import LanguageModelSettings
    from revision.data.corpus import write_corpus
    from revision.data.scenes import World
    from revision.encoders import DualEncoder, EncoderSettings
    from revision.evaluation.suites import write_tasks
    from revision.mllm.language_models.trained import new_llm, word_tokenizer
    from revision.mllm.model import ReVisionModel

    folder = tmp_path_factory.mktemp("whole")
    world, rng, ids = World(), np.random.default_rng(0), [f"text-{row:09d}" for row in range(40)]
    for name, shift in (("texts", 1), ("images", -1)):
        write_embeddings(folder / name, ids, rng.standard_normal((40, 8)) + shift, shard_rows=16)
    write_embeddings(folder / "instruct_images", [name.replace("text", "instruct") for name in ids], np.ones((40, 8)))
    write_corpus(world, "captions", "text", 40, folder / "text.parquet")
    write_corpus(world, "instructions", "instruct", 40, folder / "instruct.parquet")
    shape = EncoderSettings(dim=8, vision_width=16, text_width=16, text_layers=1)
    DualEncoder(shape, world.vocabulary(), world.settings.image_size).save(folder / "encoder")
    tokenizer = word_tokenizer(world.vocabulary())
    llm = new_llm(LanguageModelSettings(hidden_size=16, layers=1, heads=2), tokenizer, 0)
    ReVisionModel(llm, tokenizer, 8).save(folder / "model")
    write_tasks(world, folder / "tasks", 3)
    (folder / "stage1.yaml").write_text(LOOP + STAGE1)
    (folder / "stage2.yaml").write_text(LOOP + STAGE2)
    (folder / "evaluate.yaml").write_text("checkpoints: [{method: m, encoder: 0, seed: 0, folder: model}]")
    return folder


@pytest.fixture
def work(whole, tmp_path, monkeypatch):
    """A fresh copy of the working folder; the test runs in it."""
    folder = tmp_path / "work"
    shutil.copytree(whole, folder)
    monkeypatch.chdir(folder)
    return folder


class Runs:
    """A pickle of this makes a file when it is read."""

    def __reduce__(self):
        return os.system, ("touch ran",)


def truncate(path):
    return lambda: os.truncate(path, Path(path).stat().st_size // 2)


def remove(path):
    return lambda: Path(path).unlink()


def replace(path, content):
    return lambda: Path(path).write_bytes(content)


def unsigned(plant):
    """The same in a checkpoint without checksums, as another program writes one."""
    return lambda: (plant(), Path("model/checksums.json").unlink())


def column(path, name, change):
    """Other values in a Parquet column, or with None no such column."""

    def plant():
        table = pq.read_table(path)
        index, values, kind = table.column_names.index(name), table[name].to_pylist(), table.schema.field(name).type
        rest = table.drop_columns([name])
        pq.write_table(rest.add_column(index, name, pa.array(change(values), kind)) if change else rest, path)

    return plant


def embeddings(folder, change):
    """Other numbers in an embedding set, written past the checks of the writer."""

    def plant():
        old = open_embeddings(folder)
        new = change(old.array())
        with EmbeddingWriter(folder, new.shape[1], checked=False) as writer:
            writer.append(old.ids().to_pylist()[: len(new)], new)

    return plant


def other_projector():
    state = load_file(PROJECTOR)
    save_file(state | {"layers.2.weight": torch.zeros(3, 3)}, PROJECTOR)


def with_row(row, value):
    return lambda values: [*values[:row], value, *values[row + 1 :]]


FAULTS = {
    "an encoder that is not there": (str, EMBED.replace("encoder encoder", "encoder e") + " short", "e.*config"),
    "an encoder that is truncated": (truncate("encoder/weights.safetensors"), f"{EMBED} image", "train or copy"),
    "a table without the column": (
        column("text.parquet", "short", None), f"{EMBED} short", "text.parquet: no column short; it has id, long"),
    "a table that is truncated": (
        truncate("text.parquet"), f"{EMBED} short", "text.parquet: not a readable .*make it again"),
    "an image that is none": (
        column("text.parquet", "image", with_row(7, b"x")), f"{EMBED} image",
        "text.parquet: row 7: not a readable .*replace"),
    "a caption that is missing": (
        column("text.parquet", "short", with_row(5, None)), PRETRAIN,
        "text.parquet: row 5: column short is empty; fill it"),
    "NaN in a set": (
        embeddings("texts", lambda e: e * np.where(np.arange(40) == 20, np.nan, 1)[:, None]), ALIGN,
        "shard-00000.arrow, row 20 .*id 'text-000000020'.*NaN; drop the row"),
    "a shard that is truncated": (
        truncate("texts/shard-00001.arrow"), ALIGN, "00001.arrow: .* bytes where .* were written .*restore"),
    "a shard that is gone": (remove("texts/shard-00001.arrow"), ALIGN, "shard-00001.arrow: missing; restore it"),
    "modalities of two dimensions": (
        embeddings("texts", lambda e: e[:, :7]), ALIGN, "dimension 7, .* has 8; .*one dual"),
    "an empty set": (embeddings("texts", lambda e: e[:0]), ALIGN, "texts.*the set is empty; realign needs"),
    "a set of other rows": (
        column("text.parquet", "id", lambda ids: ids[::-1]), PRETRAIN,
        "images: row 0 is 'text-000000000', the table has 'text-000000039'; embed this table again"),
    "a set of fewer rows": (
        embeddings("instruct_images", lambda e: e[:3]), FINETUNE, "3 rows, but the table asks for 40; embed"),
    "a set that the projector does not fit": (
        embeddings("instruct_images", lambda e: e[:, :6]), FINETUNE, "dimension 6, the projector reads 8"),
    "a language model that is not there": (
        replace("stage2.yaml", f"{LOOP}{STAGE2}".replace("model", "m").encode()), FINETUNE, "m/llm: no language model"),
    "weights that are truncated": (truncate(WEIGHTS), PRETRAIN, f"{WEIGHTS}: .* bytes where .*restore it"),
    "a projector that is gone": (remove(PROJECTOR), FINETUNE, f"{PROJECTOR}: missing; restore it"),
    "checksums that are truncated": (truncate("model/checksums.json"), FINETUNE, "model/checksums.json: not a table"),
    "foreign weights that are truncated": (
        unsigned(truncate(WEIGHTS)), PRETRAIN, "model/llm: not readable as a language model .*make it again"),
    "a pickle in place of weights": (
        unsigned(replace(WEIGHTS, pickle.dumps(Runs()))), PRETRAIN, "model/llm: not readable as a language model"),
    "a projector of another shape": (
        unsigned(other_projector), FINETUNE, "projector.safetensors: not .*train it again"),
    "a training state that is truncated": (
        replace(STATE, b"PK\3\4 half of a file"), PRETRAIN, f"{STATE}: not a whole training state .*delete it"),
    "a pickle as training state": (
        replace(STATE, pickle.dumps(Runs())), PRETRAIN, f"{STATE}: not a whole training state .*delete it"),
    "tasks that are not there": (str, EVALUATE.replace("tasks tasks", "tasks t"), "t: no evaluation tasks"),
    "a task without answers": (
        column("tasks/count.parquet", "answer", None), EVALUATE, "count.parquet: missing column answer; the columns"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_named_with_its_fix(name, work, monkeypatch, capsys):
    plant, command, message = FAULTS[name]
    plant()
    before = sorted(work.iterdir())
    monkeypatch.setattr(sys, "argv", ["revision", *shlex.split(command)])
    with pytest.raises(SystemExit) as end:
        main()
    printed = capsys.readouterr()
    error = " ".join(printed.err.split())
    assert end.value.code == 1 and "Traceback" not in printed.err + printed.out
    assert re.search(message, error) and len(error) < 1500, error
    assert sorted(work.iterdir()) == before, "something was left behind"
