"""Two processes (gloo) give the result of one: with micro-batches, with sharded weights, and after a kill."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file
from torch import multiprocessing

from revision.embeddings import write_embeddings
from revision.mllm.language_models.trained import LanguageModelSettings, new_llm, word_tokenizer
from revision.mllm.loop import LoopSettings
from revision.mllm.model import ReVisionModel
from revision.mllm.train import train_stage1, train_stage2
from revision.training.processes import local_parts

ROWS, WORDS = 90, ["red", "blue", "green", "white", "small", "what", "colour", "?"]
LOOP = LoopSettings(epochs=1, batch_size=10, learning_rate=0.01, validate_every=3, checkpoint_every=2)
# Sums are in another order, and AdamW divides small gradients by their own size, which amplifies differences.
CLOSE = {"rtol": 2e-3, "atol": 2e-5}
BOUND = 300  # seconds, far more than any of these runs takes


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Captions of one to four words, so that means over tokens and over rows differ, and an untrained LLM."""
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


def stages(world, out, loop):
    """Train Stage 1 and, from its checkpoint, Stage 2."""
    held = (world / "e", world / "t.parquet")
    train_stage1(
        world / "llm", world / "e", world / "t.parquet", "short", held, loop, rows=None, seed=0, out=out / "s1"
    )
    train_stage2(out / "s1", world / "e", world / "t.parquet", held, loop, share=1.0, seed=0, out=out / "s2")


def process(rank, port, world, out, sharded):
    """Run one of two processes as a launcher would."""
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    if sharded:
        fake_fsdp()
        stages(world, out / "sharded", LOOP)
        resume_sharded(world, out)
    else:
        stages(world, out / "two", LOOP)
        stages(world, out / "parts", LOOP.model_copy(update={"micro_batch_size": 2}))
    torch.distributed.destroy_process_group()


def fake_fsdp():
    """Make accelerate use FSDP2 on the CPU, which works but is only offered on accelerators."""
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
    """Kill Stage 2 after its second stored state and start it again."""
    from revision.mllm import loop

    real, calls = loop.local_parts, []

    def share_until_killed(*arguments):
        calls.append(1)
        if len(calls) == 6:
            raise Killed
        return real(*arguments)

    def run():
        held = (world / "e", world / "t.parquet")
        start = out / "sharded/s1"
        train_stage2(start, world / "e", world / "t.parquet", held, LOOP, share=1.0, seed=0, out=out / "again/s2")

    loop.local_parts = share_until_killed
    with contextlib.suppress(Killed):
        run()
    loop.local_parts = real
    assert [path.name for path in (out / "again/s2.state").iterdir()] == ["step-000000004"]
    run()


def two(world, out, sharded):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    multiprocessing.spawn(process, (port, world, out, sharded), nprocs=2)


@pytest.fixture(scope="module")
def alone(world):
    stages(world, world / "one", LOOP)
    return world / "one"


def assert_same(actual, expected, **close):
    for stage in ("s1", "s2"):
        histories = [pd.read_csv(folder / stage / "history.csv") for folder in (actual, expected)]
        assert histories[0].step.tolist() == histories[1].step.tolist() == [3, 6, 9]
        for column in ("loss", "validation_loss", "learning_rate"):
            np.testing.assert_allclose(histories[0][column], histories[1][column], rtol=1e-5)
        for name in ("projector.safetensors", "llm/model.safetensors"):
            weights = [load_file(folder / stage / name) for folder in (actual, expected)]
            assert weights[0].keys() == weights[1].keys()
            for key, value in weights[1].items():
                torch.testing.assert_close(weights[0][key], value, **close)


@pytest.mark.slow
def test_two_processes_match_one_with_and_without_micro_batches(world, alone, tmp_path):
    two(world, tmp_path, sharded=False)
    assert_same(tmp_path / "two", alone, **CLOSE)
    assert_same(tmp_path / "parts", alone, **CLOSE)
    assert not list(tmp_path.rglob("*.state*"))


@pytest.mark.slow
def test_sharded_weights_match_one_process_and_resume(world, alone, tmp_path):
    two(world, tmp_path, sharded=True)
    assert_same(tmp_path / "sharded", alone, **CLOSE)
    for name in ("projector.safetensors", "llm/model.safetensors", "history.csv"):
        assert (tmp_path / "again/s2" / name).read_bytes() == (tmp_path / "sharded/s2" / name).read_bytes()
    assert not list(tmp_path.rglob("*.state*"))


def test_micro_batches_change_neither_loss_nor_weights(world, alone, tmp_path):
    stages(world, tmp_path / "parts", LOOP.model_copy(update={"micro_batch_size": 3}))
    assert_same(tmp_path / "parts", alone, **CLOSE)


@pytest.mark.parametrize(("size", "micro"), [(1, None), (2, None), (3, 2), (4, 1), (16, 4)])
def test_every_row_is_in_one_part_and_weights_sum_to_1(size, micro):
    batch, targets = np.array([7, 3, 9, 1, 5, 8, 2]), np.arange(1, 11)
    parts = [local_parts(batch, targets, micro, rank, size) for rank in range(size)]
    assert len({len(of_rank) for of_rank in parts}) == 1
    assert sum(part.weight for of_rank in parts for part in of_rank) == pytest.approx(1)
    taken = np.concatenate([part.rows for of_rank in parts for part in of_rank if part.weight])
    assert sorted(taken) == sorted(batch)
    assert all(len(part.rows) <= (micro or len(batch)) for of_rank in parts for part in of_rank)


@pytest.fixture(scope="module")
def launched(world):
    """A function that starts `revision pretrain` on two processes, and the result of an undisturbed run."""
    settings = {"epochs": 6, "batch_size": 6, "learning_rate": 0.01, "checkpoint_every": 5, "validate_every": 30}
    (world / "loop.json").write_text(json.dumps(settings))
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "--no-python"]
    held = ["--validation-embeddings", world / "e", "--validation-captions", world / "t.parquet"]
    command = [*launcher, sys.executable, "-c", "from revision.cli import main; main()", "pretrain", "--llm",
               world / "llm", "--embeddings", world / "e", "--captions", world / "t.parquet", *held, "--config",
               world / "loop.json", "--out"]  # fmt: skip

    def start(out):
        log = out.with_suffix(".log").open("wb")
        return subprocess.Popen([*map(str, command), str(out)], start_new_session=True, stderr=log)

    assert start(world / "whole").wait(BOUND) == 0
    return start, world / "whole"


def second_process(launcher):
    """Process id of rank 1 of a launcher."""
    children = Path(f"/proc/{launcher.pid}/task/{launcher.pid}/children").read_text().split()
    return next(int(child) for child in children if b"\0RANK=1\0" in Path(f"/proc/{child}/environ").read_bytes())


@pytest.mark.slow
@pytest.mark.parametrize("killed", ["all", "one of two"])
def test_a_killed_launch_resumes_and_gives_the_same_files(killed, launched, tmp_path):
    start, whole = launched
    folder, state = tmp_path / "killed", tmp_path / "killed.state.pt"
    first = start(folder)
    while not state.exists():
        assert first.poll() is None, "the run ended without a state"
        time.sleep(0.01)
    if killed == "all":
        os.killpg(first.pid, signal.SIGKILL)
        first.wait()
    else:
        os.kill(second_process(first), signal.SIGKILL)
        assert first.wait(BOUND) == 1, "the remaining process waits for the killed one"
        log = folder.with_suffix(".log").read_text()
        assert "Signal 9 (SIGKILL) received" in log and "rank      : 1" in log, log[-2000:]
    kept = torch.load(state, weights_only=True)["step"]
    assert 0 < kept < 90 and not folder.exists()
    assert start(folder).wait(BOUND) == 0
    for name in ("projector.safetensors", "history.csv", "manifest.json"):
        assert (folder / name).read_bytes() == (whole / name).read_bytes()


def test_accelerate_reads_our_configurations(monkeypatch):
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
def test_launchers_precede_the_commands(tmp_path):
    """The rules of both stages start the launchers of the configuration."""
    root = Path(__file__).parents[2]
    for part in ("workflow", "config"):
        shutil.copytree(root / part, tmp_path / part)
    settings = ["scale=tiny", "launchers={stage1: torchrun --nproc-per-node 8 --no-python, stage2: accelerate launch}"]
    target = "results/tiny/work/stage2/revision/seed0"
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "-n", "-p", target, "--config", *settings],
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    output = done.stdout + done.stderr
    assert "torchrun --nproc-per-node 8 --no-python revision pretrain" in output, output[-2000:]
    assert "accelerate launch revision finetune" in output
