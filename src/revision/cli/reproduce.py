"""The command `reproduce`: run the workflow of one scale with Snakemake, and remake what it would leave stale."""

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
    targets: Annotated[list[str] | None, typer.Argument(help="What to make, such as figure_3; default: all.")] = None,
    scale: Annotated[str, typer.Option(help="Name of a file in config/scales.")] = "laptop",
    cores: Annotated[int, typer.Option(help="Number of CPU cores to use.", min=1)] = 2,
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Print what would run and why.")] = False,
    list_only: Annotated[bool, typer.Option("--list", help="Print the targets.")] = False,
) -> None:
    """Run the workflow and print the path of the report. To resume an interrupted run, repeat the command.

    Examples:

      revision reproduce --scale tiny

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
            plan = output_of([*snakemake, "--dry-run", "--quiet", "host", "rules", *wanted])
            typer.echo("\n\n".join(plan.strip().split("\n\n")[-2:]))  # Snakemake prints the table of jobs twice
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
    """Return standard output of a Snakemake that runs no job; RevisionError with its message if it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RevisionError(f"Snakemake failed:\n{done.stderr.strip()}")
    return done.stdout


def known_targets(snakemake: Sequence[str]) -> dict[str, str]:
    """Return the names of all target rules, each with its docstring."""
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
    """Return missing outputs whose dependent files Snakemake considers up to date; they must be remade by force.

    Snakemake 9.27.1 deletes the output of a failed job, but records the job's new inputs and parameters as if it had
    succeeded (snakemake/snakemake#3808). Files made from the deleted version are then not recognised as stale.
    """
    lines = output_of([*snakemake, "--summary", *wanted]).splitlines()
    rows = csv.DictReader((line for line in lines if "\t" in line), delimiter="\t")
    return [row["output_file"] for row in rows if row["status"] == "missing" and row["plan"] == "no update"]


def run(command: Sequence[str]) -> int:
    """Run Snakemake, pass on its output, and return its exit code; on an interrupt, re-raise after its jobs ended.

    Snakemake runs in a process group of its own, so that an interrupt reaches it and its jobs exactly once, and the
    errors of interrupted jobs are not shown as a failure.
    """
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, process_group=0
    )
    assert process.stdout is not None
    signal.signal(signal.SIGTERM, lambda *_: process.terminate())  # Snakemake stops after the running jobs
    if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:  # under nohup it is SIG_IGN
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
    """Explain why a run stopped and how to continue."""
    if any(Path(".snakemake/locks").glob("*.lock")):
        return (
            "the run stopped, and the folder is locked by another run or by one that was killed; if no other run is "
            f"active, unlock it with `snakemake --unlock --config scale={scale}`, then repeat the command to resume"
        )
    return "the run stopped; fix the error above, then repeat the command to resume"


def register(app: typer.Typer) -> None:
    """Add `reproduce` to `app`."""
    app.command("reproduce", rich_help_panel="Stages of the workflow")(reproduce_command)
