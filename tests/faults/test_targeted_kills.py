"""A process killed in the middle of one write: no half artefact under the final name, and the same bytes afterwards."""

import shlex
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from planting import ALIGN, PRETRAIN

from revision.cli import main
from revision.io.files import LEFTOVER, load_state, sweep

HOLD = """
import itertools, shlex, sys, time
calls = itertools.count(1)

def hold(at, before):
    def held(*arguments, **options):
        if next(calls) == at:
            before(*arguments, **options)
            print("ready", flush=True)
            time.sleep(600)
        return real(*arguments, **options)
    return held

def nothing(*_, **__):
    pass
"""
RUN = "from revision.cli import main; sys.argv = ['revision', *shlex.split({command!r})]; main()"
STATES = PRETRAIN.replace('"epochs": 1', '"epochs": 2, "checkpoint_every": 2')


@dataclass(frozen=True)
class Kill:
    """The command, what it makes, and the patch of the process that stops in the middle of a write."""

    name: str
    command: str
    out: str
    patch: str


KILLS = [
    Kill("before the last shard", ALIGN, "aligned", """
from revision.embeddings.writer import EmbeddingWriter as it
real, it._write = it._write, hold(3, nothing)"""),
    Kill("before the manifest of shards", ALIGN, "aligned", """
import revision.embeddings.writer as it
real, it.write_json = it.write_json, hold(1, nothing)"""),
    Kill("within a corpus table", "corpus captions --split text --count 50 --out out", "out", """
import pyarrow.parquet as it
real, it.ParquetWriter.write_table = it.ParquetWriter.write_table, hold(1, nothing)"""),
    Kill("within a folder of tasks", "tasks --count 3 --out out", "out", """
import pyarrow.parquet as it
real, it.write_table = it.write_table, hold(3, nothing)"""),
    Kill("within a checkpoint", PRETRAIN, "out", """
import revision.mllm.model as it
real, it.save_file = it.save_file, hold(1, nothing)"""),
    Kill("within a training state", STATES, "out", """
import torch as it
def half(state, path, *_, **__):
    path.write_bytes(b"PK half of a state")
real, it.save = it.save, hold(2, half)"""),
]  # fmt: skip


def killed(program: str) -> None:
    """Run the program until it says that it is ready, and kill it there."""
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None and process.stderr is not None
    heard = any(line.strip().endswith(b"ready") for line in process.stdout)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert heard, process.stderr.read().decode()[-2000:]


def run(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["revision", *shlex.split(command)])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code in (0, None)


def content(path: Path) -> dict[str, bytes]:
    """Bytes by name of a file, or of all files of a folder."""
    if path.is_file():
        return {"": path.read_bytes()}
    return {str(file.relative_to(path)): file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()}


@pytest.mark.parametrize("kill", [pytest.param(kill, id=kill.name) for kill in KILLS])
def test_a_kill_leaves_no_half_and_the_same_command_ends_with_the_same_bytes(kill, whole, work, monkeypatch):
    killed(HOLD + kill.patch + "\n" + RUN.format(command=kill.command))
    assert not Path(kill.out).exists()
    assert [path for path in work.iterdir() if LEFTOVER.search(path.name)], "the kill did not fall into a write"
    if kill.command == STATES:
        assert load_state("out.state.pt")["step"] == 2
    run(kill.command, monkeypatch)
    sweep(work)
    assert not [path for path in work.rglob(".*") if LEFTOVER.search(path.name)]
    shutil.copytree(whole, work / "again")
    monkeypatch.chdir(work / "again")
    run(kill.command, monkeypatch)
    assert content(work / kill.out) == content(work / "again" / kill.out)
    assert content(work / kill.out)
