"""`revision reproduce`: the whole workflow of one scale, one run at a time in a folder, resumed by the same command."""

import fcntl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Annotated

import typer

from revision.config import scale_file
from revision.errors import ConfigError, RevisionError
from revision.files import sweep


@contextmanager
def only_run(folder: Path) -> Iterator[IO[str]]:
    """Hold the lock of `folder` and give its file; the system lets go of it when the last holder ends, however it ends.

    Raises RevisionError if another run holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / ".run.lock"
    with path.open("a+") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RevisionError(
                f"{folder}: another run is working there (its lock is {path}); wait for it or stop it first"
            ) from error
        yield handle


def reproduce_command(
    targets: Annotated[list[str] | None, typer.Argument(help="What to make, such as figure_3; nothing: all.")] = None,
    scale: Annotated[str, typer.Option(help="A file of config/scales.")] = "laptop",
    cores: Annotated[int, typer.Option(help="CPU cores.", min=1)] = 2,
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Say what would run, and run nothing.")] = False,
) -> None:
    """Run the workflow and say where the report is. After a kill the same command goes on where it stopped.

    Examples: revision reproduce --scale tiny

    revision reproduce figure_3 table_1 --cores 2

    revision reproduce -n
    """
    if not Path("Snakefile").is_file():
        raise ConfigError(f"{Path.cwd()}: no Snakefile here; change to the folder of the checkout")
    scale_file("config", scale)
    results = Path("results") / scale
    command = [sys.executable, "-m", "snakemake", "--cores", str(cores), "--config", f"scale={scale}", "--nolock"]
    command += ["--rerun-incomplete", "--show-failed-logs", *(["--dry-run"] if dry_run else [])]
    command += ["--", *(targets or [])]
    started = time.monotonic()
    with only_run(results / "work") as lock:
        if not dry_run:
            sweep(results)
        # The workflow inherits the lock, so that it outlives this process if that is killed alone.
        code = subprocess.run(command, check=False, pass_fds=[lock.fileno()]).returncode
    if code:
        typer.echo(f"error: the run stopped; see above and {results}/work/logs, then repeat the command", err=True)
        raise typer.Exit(code)
    if not dry_run:
        minutes = (time.monotonic() - started) / 60
        typer.echo(f"Done in {minutes:.1f} minutes. The report is {(results / 'report.html').resolve()}")


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("reproduce", rich_help_panel="Stages of the workflow")(reproduce_command)
