"""Two real processes (gloo) train what one does: with parts of a batch, with sharded weights, and after a kill."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file
from torch import multiprocessing
from workflow_copy import HANGS

from revision.config.training import Stage1Training, Stage2Training
from revision.embeddings import write_embeddings
from revision.mllm.language_models.trained import LanguageModelSettings, new_llm, word_tokenizer
from revision.mllm.loop import LoopSettings
from revision.mllm.model import ReVisionModel
from revision.mllm.train import train_stage1, train_stage2
from revision.training.processes import local_parts

ROWS, WORDS = 90, ["red", "blue", "green", "white", "small", "what", "colour", "?"]
LOOP = LoopSettings(epochs=1, batch_size=10, learning_rate=0.01, validate_every=3, checkpoint_every=2)
# Sums in another order; AdamW divides small gradients by their own size, which makes differences grow.
CLOSE = {"rtol": 2e-3, "atol": 2e-5}
LAUNCHED = LOOP.model_copy(update={"epochs": 6, "batch_size": 6, "checkpoint_every": 5, "validate_every": 30})


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Captions of one to four words, so that a mean over tokens is no mean over rows; an untrained LLM."""
    folder = tmp_path_factory.mktemp("world")
    generator = np.random.default_rng(0)
    rows = generator.standard_normal((ROWS, 8)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    ids = [f"a-{k}" for k in range(ROWS)]
    write_embeddings(folder / "e", ids, rows, shard_rows=40)
    texts = [" ".join(generator.choice(WORDS[:5], generator.integers(1, 5))) for _ in ids]
    columns = {"id": ids, "short": texts, "question": ["what colour ?"] * ROWS, "answer": texts}
    pq.write_table(pa.table(columns), folder / "t.parquet")
    tokenizer = word_tokenizer(WORDS)
    ReVisionModel(
        new_llm(LanguageModelSettings(hidden_size=16, layers=2, heads=2), tokenizer, seed=0), tokenizer, None
    ).save(folder / "llm")
    return folder


def stage1(world, out, loop):
    train_stage1(Stage1Training(**stage1_of(world, out)), loop)


def stage1_of(world, out):
    rows, table = str(world / "e"), str(world / "t.parquet")
    data = {"embeddings": rows, "captions": table, "validation_embeddings": rows, "validation_captions": table}
    return {"llm": str(world / "llm"), **data, "out": str(out), "noise": 0.1}


def stage2(world, start, out, loop):
    train_stage2(Stage2Training(**stage2_of(world, start, out)), loop)


def stage2_of(world, start, out):
    rows, table = str(world / "e"), str(world / "t.parquet")
    data = {"embeddings": rows, "instructions": table, "validation_embeddings": rows, "validation_instructions": table}
    return {"start": str(start), **data, "out": str(out)}


def stages(world, out, loop):
    """Stage 1 and, from its checkpoint, Stage 2."""
    stage1(world, out / "s1", loop)
    stage2(world, out / "s1", out / "s2", loop)


def process(rank, port, world, out):
    """One of two processes, as a launcher starts them; it does all that takes two, since its start takes longest."""
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    stages(world, out / "two", LOOP)
    stages(world, out / "parts", LOOP.model_copy(update={"micro_batch_size": 2}))
    stage1(world, out / "undisturbed", LAUNCHED)
    fake_fsdp()
    stages(world, out / "sharded", LOOP)
    resume_sharded(world, out)
    torch.distributed.destroy_process_group()


def fake_fsdp():
    """Let accelerate use FSDP2 on the CPU: it knows how to, but offers FSDP on accelerators only."""
    from accelerate import Accelerator, PartialState
    from accelerate.state import AcceleratorState
    from accelerate.utils import DistributedType, FullyShardedDataParallelPlugin

    from revision.training.processes import join

    plugin = FullyShardedDataParallelPlugin(
        fsdp_version=2,
        auto_wrap_policy="transformer_based_wrap",
        transformer_cls_names_to_wrap=["LlamaDecoderLayer"],
        activation_checkpointing=True,
        state_dict_type="SHARDED_STATE_DICT",
    )
    join()
    Accelerator()
    for state in (AcceleratorState, PartialState):
        state._shared_state["distributed_type"] = DistributedType.FSDP
    AcceleratorState._shared_state["fsdp_plugin"] = plugin


class Killed(Exception):
    pass


def resume_sharded(world, out):
    """Stage 2 that dies after its second state and is started again."""
    from revision.mllm import loop

    real, seen = loop.local_parts, []

    def dying(*arguments):
        seen.append(1)
        if len(seen) == 6:
            raise Killed
        return real(*arguments)

    def run():
        stage2(world, out / "sharded/s1", out / "again/s2", LOOP)

    loop.local_parts = dying
    with contextlib.suppress(Killed):
        run()
    loop.local_parts = real
    assert [path.name for path in (out / "again/s2.state").iterdir()] == ["step-000000004"]
    run()


@pytest.fixture(scope="module")
def two(world, tmp_path_factory):
    """What two processes have trained."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = tmp_path_factory.mktemp("two")
    multiprocessing.spawn(process, (port, world, folder), nprocs=2)
    assert not list(folder.rglob("*.state*"))
    return folder


@pytest.fixture(scope="module")
def alone(world):
    stages(world, world / "one", LOOP)
    return world / "one"


def assert_same(found, expected, **close):
    for stage in ("s1", "s2"):
        histories = [pd.read_csv(folder / stage / "history.csv") for folder in (found, expected)]
        assert histories[0].step.tolist() == histories[1].step.tolist() == [3, 6, 9]
        for column in ("loss", "validation_loss", "learning_rate"):
            np.testing.assert_allclose(histories[0][column], histories[1][column], rtol=1e-5)
        for name in ("projector.safetensors", "llm/model.safetensors"):
            weights = [load_file(folder / stage / name) for folder in (found, expected)]
            assert weights[0].keys() == weights[1].keys()
            for key, value in weights[1].items():
                torch.testing.assert_close(weights[0][key], value, **close)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["two", "parts", "sharded"])
def test_two_processes_train_what_one_does(name, two, alone):
    assert_same(two / name, alone, **CLOSE)


@pytest.mark.slow
def test_sharded_weights_resume_to_the_same_bytes(two):
    for name in ("projector.safetensors", "llm/model.safetensors", "history.csv"):
        assert (two / "again/s2" / name).read_bytes() == (two / "sharded/s2" / name).read_bytes()


def test_parts_of_a_batch_change_neither_loss_nor_weights(world, alone, tmp_path):
    stages(world, tmp_path / "parts", LOOP.model_copy(update={"micro_batch_size": 3}))
    assert_same(tmp_path / "parts", alone, **CLOSE)


@pytest.mark.parametrize(("size", "micro"), [(1, None), (2, None), (3, 2), (4, 1), (16, 4)])
def test_every_row_is_taken_once_and_weights_add_up(size, micro):
    batch, targets = np.array([7, 3, 9, 1, 5, 8, 2]), np.arange(1, 11)
    parts = [local_parts(batch, targets, micro, rank, size) for rank in range(size)]
    assert len({len(of_rank) for of_rank in parts}) == 1
    assert sum(part.weight for of_rank in parts for part in of_rank) == pytest.approx(1)
    taken = np.concatenate([part.rows for of_rank in parts for part in of_rank if part.weight])
    assert sorted(taken) == sorted(batch)
    assert all(len(part.rows) <= (micro or len(batch)) for of_rank in parts for part in of_rank)


# `revision`, which kills one of its two processes (KILL=one) or all with their launcher, at a step that keeps a state.
PROGRAM = """
import os, signal
from pathlib import Path
from revision.cli import main
from revision.mllm.checkpoint import StateFiles
store, rank, launcher = StateFiles.store, os.environ["RANK"], os.getppid()

def store_and_kill(self, progress):
    store(self, progress)
    kill = os.environ.get("KILL")
    if kill == "one" and rank == "1" and progress.step == 10:
        os.kill(os.getpid(), signal.SIGKILL)
    if kill == "all" and rank == "0" and progress.step == 20:
        children = map(int, Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split())
        for process in (launcher, *sorted(children, key=os.getpid().__eq__)):
            os.kill(process, signal.SIGKILL)

StateFiles.store = store_and_kill
main()
"""


@pytest.mark.slow
def test_a_launched_command_that_is_killed_goes_on_where_it_stopped(world, two, tmp_path):
    folder, state, log = tmp_path / "killed", tmp_path / "killed.state.pt", tmp_path / "log"
    settings = {"loop": LAUNCHED.model_dump(mode="json"), "trainings": [stage1_of(world, folder)]}
    (tmp_path / "stage1.json").write_text(json.dumps(settings))
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "--no-python"]
    command = [*launcher, sys.executable, "-c", PROGRAM, "pretrain", "--config", tmp_path / "stage1.json"]

    def launch(kill):
        with log.open("wb") as said:
            return subprocess.run(command, env=os.environ | {"KILL": kill}, stderr=said, timeout=HANGS).returncode

    assert launch("one") == 1, "the process that is left waits for the dead one"
    said = log.read_text()
    assert "Signal 9 (SIGKILL) received" in said and "rank      : 1" in said, said[-2000:]
    assert torch.load(state, weights_only=True)["step"] in (5, 10) and not folder.exists()
    assert launch("all") == -signal.SIGKILL
    assert torch.load(state, weights_only=True)["step"] == 20 and not folder.exists()
    assert launch("") == 0
    for name in ("projector.safetensors", "history.csv", "manifest.json"):
        assert (folder / name).read_bytes() == (two / "undisturbed" / name).read_bytes()


def test_configurations_of_accelerate_are_what_accelerate_reads(monkeypatch):
    from accelerate.commands.config.config_args import load_config_from_file
    from accelerate.utils import FullyShardedDataParallelPlugin

    folder = Path(__file__).parents[2] / "config/accelerate"
    kinds = {path.stem: load_config_from_file(str(path)) for path in folder.glob("*.yaml")}
    assert {name: kind.distributed_type.value for name, kind in kinds.items()} == {
        "ddp": "MULTI_GPU", "fsdp": "FSDP", "deepspeed_zero3": "DEEPSPEED",
    }  # fmt: skip
    for name, value in kinds["fsdp"].fsdp_config.items():
        monkeypatch.setenv(name.upper().replace("LAYER_CLS_TO_WRAP", "CLS_TO_WRAP"), str(value))
    plugin = FullyShardedDataParallelPlugin()
    assert (plugin.fsdp_version, plugin.reshard_after_forward) == (2, True)
    assert plugin.activation_checkpointing and plugin.cpu_ram_efficient_loading
    assert plugin.transformer_cls_names_to_wrap == ["LlamaDecoderLayer"]
    assert kinds["deepspeed_zero3"].deepspeed_config["zero_stage"] == 3


@pytest.mark.slow
def test_launchers_stand_before_the_commands(tmp_path):
    """The rules of both stages start what the configuration names."""
    root = Path(__file__).parents[2]
    for part in ("Snakefile", "workflow", "config"):
        (shutil.copytree if (root / part).is_dir() else shutil.copy)(root / part, tmp_path / part)
    words = [
        "scale=tiny",
        "trainings_together=false",
        "launchers={stage1: torchrun --nproc-per-node 8 --no-python, stage2: accelerate launch}",
    ]
    target = "results/tiny/work/stage2/revision/encoder1_seed0"
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "-n", "-p", target, "--config", *words],
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    said = done.stdout + done.stderr
    assert "torchrun --nproc-per-node 8 --no-python revision pretrain" in said, said[-2000:]
    assert "accelerate launch revision finetune" in said
