"""A copy of what the workflow reads, and the workflow run in it as a user runs it."""

import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).parents[1]
HANGS = 1200  # seconds after which a run of seconds counts as one that hangs
ENVIRONMENT = os.environ | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
REVISION = (sys.executable, "-c", "from revision.cli import main; main()")


def copy_checkout(folder: Path) -> Path:
    """Copy the workflow to `folder`, so that a test leaves nothing behind."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / "Snakefile", folder)
    for part in ("workflow", "config", "analysis"):
        shutil.copytree(ROOT / part, folder / part)
    return folder


def snakemake(
    folder: Path, *words: str, scale: str = "tiny", cores: int = 2, check: bool = True
) -> subprocess.CompletedProcess[str]:
    """Run snakemake in `folder`; the finished process with its output."""
    command = [sys.executable, "-m", "snakemake", "--cores", str(cores), "--config", f"scale={scale}", *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=ENVIRONMENT)
    if check and done.returncode:
        raise AssertionError(done.stdout[-3000:] + done.stderr[-6000:])
    return done


def revision(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run `revision` in `folder`; the finished process with its output."""
    return subprocess.run([*REVISION, *words], cwd=folder, capture_output=True, text=True, env=ENVIRONMENT)


def reproduce(folder: Path, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run `revision reproduce` in `folder`; the finished process with its output."""
    done = revision(folder, "reproduce", *words)
    if check and done.returncode:
        raise AssertionError(done.stdout[-3000:] + done.stderr[-6000:])
    return done


def start_reproduce(folder: Path, *words: str) -> subprocess.Popen[str]:
    """Start `revision reproduce` in `folder` as from a terminal: what runs in the background ignores some signals."""

    def listen() -> None:
        for number in (signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)

    return subprocess.Popen(
        [*REVISION, "reproduce", *words],
        cwd=folder, env=ENVIRONMENT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, preexec_fn=listen,
    )  # fmt: skip


def kill(process: subprocess.Popen[str]) -> None:
    """Kill a `revision reproduce` with its Snakemake and their jobs."""
    with suppress(FileNotFoundError, ProcessLookupError):
        for leader in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
            os.killpg(int(leader), signal.SIGKILL)
    process.kill()
    process.communicate()
