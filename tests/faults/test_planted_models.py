"""Planted faults in checkpoints and task files: each ends a command with its place and its mend."""

import os
import pickle
import re
from pathlib import Path

import pyarrow.parquet as pq
import torch
from planting import EVALUATE, FINETUNE, PRETRAIN, Fault, column, cut, flip, page, rows, said, table
from safetensors.torch import load_file, save_file

PROJECTOR, WEIGHTS = "model/projector.safetensors", "model/llm/model.safetensors"


class Runs:
    """A pickle of this makes a file when it is read."""

    def __reduce__(self):
        return os.system, ("touch ran",)


def replaced(path, content):
    """Plant: other bytes under the name of a file."""
    return lambda: Path(path).write_bytes(content)


def unsigned(plant):
    """Plant: the same in a checkpoint without checksums, as another program writes one."""
    return lambda: (plant(), Path("model/checksums.json").unlink())


def narrower():
    state = load_file(PROJECTOR)
    save_file(state | {"layers.0.weight": state["layers.0.weight"][:, :5].contiguous()}, PROJECTOR)


def other_shape():
    state = load_file(PROJECTOR)
    save_file(state | {"layers.2.weight": torch.zeros(3, 3)}, PROJECTOR)


def altered_state():
    torch.save({"step": 3, "parameters": [torch.ones(9)]}, STATE)
    flip(STATE, torch.ones(9).numpy().tobytes())()


EMBED_PICTURES = "embed text.parquet --encoder encoder --column image --out set"
STATE = "out.state.pt"
BEGIN = "out.state.pt: not a whole training state .*delete it: the training starts again"
CHANGED = "altered since it was written, or cut .*make it again"
LLM, AGAIN = (
    "model/llm: not readable as a language model .*make it again",
    "projector.safetensors: not .*train it again",
)
ALTERED = "altered since it was written .*restore it from a copy, or make it again"
MODELS = [
    Fault("no configuration", Path("model/llm/config.json").unlink, PRETRAIN,
          "model/llm: .*config.json is missing.*run"),
    Fault("no model at all", str, FINETUNE.replace("--start model", "--start m"), "m/llm: no language model.*run"),
    Fault("weights that are cut", cut(WEIGHTS), PRETRAIN, f"{WEIGHTS}: {ALTERED}"),
    Fault("one bit of the weights", flip(WEIGHTS, b""), PRETRAIN, f"{WEIGHTS}: {ALTERED}"),
    Fault("one bit of the tokenizer", flip("model/llm/tokenizer.json", b""), PRETRAIN, f"tokenizer.json: {ALTERED}"),
    Fault("weights that are gone", Path(WEIGHTS).unlink, PRETRAIN, f"{WEIGHTS}: missing; restore it"),
    Fault("one bit of the projector", flip(PROJECTOR, b""), FINETUNE, f"{PROJECTOR}: {ALTERED}"),
    Fault("a projector that is gone", Path(PROJECTOR).unlink, FINETUNE, f"{PROJECTOR}: missing; restore it"),
    Fault("checksums that are cut", cut("model/checksums.json"), FINETUNE, "model/checksums.json: altered since"),
    Fault("a foreign configuration that is cut", unsigned(cut("model/llm/config.json")), PRETRAIN, LLM),
    Fault("a foreign tokenizer that is gone", unsigned(Path("model/llm/tokenizer.json").unlink), PRETRAIN, LLM),
    Fault("foreign weights that are cut", unsigned(cut(WEIGHTS)), PRETRAIN, LLM),
    Fault("a pickle in place of weights", unsigned(replaced(WEIGHTS, pickle.dumps(Runs()))), PRETRAIN, LLM),
    Fault("a pickle in place of a projector", unsigned(replaced(PROJECTOR, pickle.dumps(Runs()))), FINETUNE, AGAIN),
    Fault("a projector of another shape", unsigned(other_shape), FINETUNE, AGAIN),
    Fault("a projector of another dimension", unsigned(narrower), FINETUNE,
          "pictures: embeddings of dimension 8, the projector reads 5; embed with the encoder"),
    Fault("embeddings of another dimension", rows("pictures", lambda e: e[:, :6]), FINETUNE,
          "pictures: embeddings of dimension 6, the projector reads 8; embed with the encoder"),
    Fault("validation of another dimension", rows("pictures", lambda e: e[:, :6]),
          PRETRAIN.replace("validation-embeddings images", "validation-embeddings pictures"),
          "pictures: embeddings of dimension 6, the projector reads 8; embed with the encoder"),
    Fault("one bit of the embeddings", flip("pictures/shard-00000.arrow", b"instruct-000000020"), FINETUNE,
          "shard-00000.arrow: altered since .*restore it"),
    Fault("a training state that is cut", replaced(STATE, b"PK\3\4 half of a file"), PRETRAIN, BEGIN),
    Fault("one bit of a training state", altered_state, PRETRAIN, BEGIN),
    Fault("a pickle as training state", replaced(STATE, pickle.dumps(Runs())), PRETRAIN, BEGIN),
    Fault("an encoder that is cut", cut("encoder/weights.safetensors"), EMBED_PICTURES,
          "checksum differs.*train or copy"),
    Fault("an encoder without weights", Path("encoder/weights.safetensors").unlink, EMBED_PICTURES, "train or copy"),
    Fault("an encoder's configuration that is cut", cut("encoder/config.json"), EMBED_PICTURES,
          "encoder/config.json: not readable .*train or copy the encoder again"),
    Fault("one bit of a corpus table", page("text.parquet", "image"), EMBED_PICTURES, f"text.parquet: {CHANGED}"),
    Fault("one bit of a table in training", page("text.parquet", "short"), PRETRAIN, f"text.parquet: {CHANGED}"),
]  # fmt: skip


def no_tables():
    for path in Path("tasks").glob("*.parquet"):
        path.unlink()


def unknown_suite():
    Path("suites.yaml").write_text("suites: {pope: {}}")


def empty(path):
    pq.write_table(pq.read_table(path).slice(0, 0), path)


TASKS = [
    Fault("no tables", no_tables, EVALUATE, "tasks: no evaluation tasks there; write them"),
    Fault("a table without answers", column("tasks/count.parquet", "answer", None), EVALUATE,
          "count.parquet: missing column answer; the columns are"),
    Fault("a table that is cut", cut("tasks/count.parquet"), EVALUATE,
          "count.parquet: not a readable .*write the tasks"),
    Fault("an altered table", page("tasks/count.parquet", "question"), EVALUATE,
          "count.parquet: not a readable .*write the tasks"),
    Fault("a task without its YAML", Path("tasks/count.yaml").unlink, EVALUATE,
          "count.yaml: missing task of suite count"),
    Fault("no questions", lambda: empty("tasks/count.parquet"), EVALUATE,
          "count.parquet: no questions; write the tasks again"),
    Fault("a suite that is not known", unknown_suite, "published-tasks suites.yaml --out t",
          "suites.yaml, suite suites: unknown key pope; the keys are"),
    Fault("a folder of tasks that is not there", str, EVALUATE.replace("tasks tasks", "tasks t"),
          "t: no evaluation tasks"),
    Fault("no questions asked for", str, "tasks --count 0 --out t", "no questions for count 0; give a count"),
    Fault("a checkpoint without a name", str, EVALUATE.replace("m=model", "model"), "'model': expected method=folder"),
]  # fmt: skip


@table(MODELS + TASKS)
def test_a_planted_fault_is_named_with_its_mend(fault, work, monkeypatch, capsys):
    fault.plant()
    before = sorted(work.iterdir())
    heard = said(fault.command, monkeypatch, capsys)
    assert re.search(fault.said, heard), heard
    assert len(heard) < 1500
    assert sorted(work.iterdir()) == before, "something was left behind"
