"""`revision reproduce`: the workflow of one scale, run by Snakemake; only `stale_sources` adds to its work."""

import csv
import difflib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Annotated

import typer

from revision.errors import ConfigError, RevisionError

INTERRUPTED = 130


def reproduce_command(
    targets: Annotated[list[str] | None, typer.Argument(help="What to make, such as figure_3; nothing: all.")] = None,
    scale: Annotated[str, typer.Option(help="A file of config/scales.")] = "laptop",
    cores: Annotated[int, typer.Option(help="CPU cores.", min=1)] = 2,
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Print what would run and why.")] = False,
    list_only: Annotated[bool, typer.Option("--list", help="Print the targets.")] = False,
) -> None:
    """Run the workflow and print where the report is. To resume an interrupted run, repeat the command.

    Examples: revision reproduce --scale tiny

    revision reproduce figure_3 table_1 --cores 2

    revision reproduce -n

    revision reproduce --list
    """
    if not Path("Snakefile").is_file():
        raise ConfigError(f"{Path.cwd()}: no Snakefile here; change to the folder of the checkout")
    from revision.config import scale_file

    scale_file("config", scale)
    snakemake = [sys.executable, "-m", "snakemake", "--cores", str(cores), "--rerun-incomplete"]
    snakemake += ["--show-failed-logs", "--config", f"scale={scale}"]
    if list_only:
        for name, description in known_targets(snakemake).items():
            typer.echo(f"{name:<18} {description}".rstrip())
        return
    wanted = ["--", *(targets or ())]
    started = time.monotonic()
    try:
        try:
            stale = stale_sources(snakemake, wanted)
        except RevisionError:
            check_targets(targets or (), known_targets(snakemake))
            raise
        if stale:
            snakemake += ["--forcerun", *stale]
        if dry_run:
            said = output_of([*snakemake, "--dry-run", "--quiet", "host", "rules", *wanted])
            typer.echo("\n\n".join(said.strip().split("\n\n")[-2:]))  # the table of jobs comes twice
            return
        code = run([*snakemake, "--quiet", "host", "reason", *wanted])
    except KeyboardInterrupt:
        typer.echo("Interrupted. Repeat the command to resume.", err=True)
        raise typer.Exit(INTERRUPTED) from None
    if code:
        raise RevisionError(explanation(scale))
    results = Path("results").resolve() / scale
    made = f"{', '.join(targets)}, in {results}" if targets else f"the report is {results / 'report.html'}"
    typer.echo(f"Done in {(time.monotonic() - started) / 60:.1f} minutes: {made}")


def output_of(command: Sequence[str]) -> str:
    """Standard output of a Snakemake that runs no job; RevisionError with its own words if it refuses."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RevisionError(f"Snakemake refuses:\n{done.stderr.strip()}")
    return done.stdout


def known_targets(snakemake: Sequence[str]) -> dict[str, str]:
    """Names of the rules that can be asked for, each with its docstring in the workflow."""
    lines = output_of([*snakemake, "--list-target-rules"]).splitlines()
    return {name: text.removesuffix(")") for name, _, text in (line.partition(" (") for line in lines)}


def check_targets(targets: Sequence[str], known: Collection[str]) -> None:
    """Raise ConfigError for a target that is neither a rule nor a path."""
    for name in targets:
        if name not in known and "/" not in name:
            close = ", ".join(difflib.get_close_matches(name, known))
            hint = f"did you mean {close}? " if close else ""
            raise ConfigError(f"target {name!r} does not exist; {hint}`revision reproduce --list` prints all targets")


def stale_sources(snakemake: Sequence[str], wanted: Sequence[str]) -> list[str]:
    """Missing outputs whose dependants Snakemake takes for up to date; they must be made again by force.

    Snakemake 9.27.1 deletes the output of a job that fails, but records the job's new inputs and parameters as if it
    had made it (snakemake/snakemake#3808). Nothing then shows that what was made of the deleted version is stale.
    """
    lines = output_of([*snakemake, "--summary", *wanted]).splitlines()
    rows = csv.DictReader((line for line in lines if "\t" in line), delimiter="\t")
    return [row["output_file"] for row in rows if row["status"] == "missing" and row["plan"] == "no update"]


def run(command: Sequence[str]) -> int:
    """Run Snakemake, print what it prints, and return its exit code; KeyboardInterrupt once its jobs have ended.

    It leads a process group of its own, so that an interrupt reaches it and its jobs exactly once, and what the
    interrupted jobs print is not shown as a failure.
    """
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, process_group=0
    )
    assert process.stdout is not None
    signal.signal(signal.SIGTERM, lambda *_: process.terminate())  # Snakemake ends after the jobs that run
    if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:  # under nohup it is ignored
        signal.signal(signal.SIGHUP, signal.default_int_handler)  # the terminal was closed
    try:
        for line in process.stdout:
            print(line, end="", flush=True)
    except KeyboardInterrupt:
        os.killpg(process.pid, signal.SIGINT)
        process.communicate()
        raise
    return process.wait()


def explanation(scale: str) -> str:
    """Why a run has stopped, and what to do."""
    if any(Path(".snakemake/locks").glob("*.lock")):
        return (
            "the run stopped, and the folder is locked by another run or by one that was killed; if no other run works "
            f"here, unlock it with `snakemake --unlock --config scale={scale}`, then repeat the command to resume"
        )
    return "the run stopped; fix the error above, then repeat the command to resume"


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("reproduce", rich_help_panel="Stages of the workflow")(reproduce_command)
