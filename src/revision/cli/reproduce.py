"""The command `reproduce`: run the workflow of one scale with Snakemake, and remake what it would leave stale."""

import csv
import difflib
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from revision.errors import ConfigError, RevisionError

INTERRUPTED = 130
WIDTH = 80
DONE = re.compile(r"\d+ of \d+ jobs done")
SILENT = (
    *("Assuming unrestricted", "Building DAG", "Using shell", "Provided cores", "Rules claiming", "Singularity"),
    *("Select jobs", "Execute ", "Complete log", "Elapsed time", "["),
)
"""How the lines of Snakemake begin that a user does not need; the last are times."""


def reproduce_command(
    targets: Annotated[list[str] | None, typer.Argument(help="What to make, such as figure_3; default: all.")] = None,
    scale: Annotated[str, typer.Option(help="Name of a file in config/scales.")] = "laptop",
    cores: Annotated[int, typer.Option(help="Number of CPU cores to use.", min=1)] = 2,
    changes: Annotated[
        list[str] | None, typer.Option("--set", help="Change a setting, key=value with a YAML value; repeatable.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Print what would run and why.")] = False,
    list_only: Annotated[bool, typer.Option("--list", help="Print the targets.")] = False,
) -> None:
    """Run the workflow and print what it made. To resume an interrupted run, repeat the command.

    Examples:

      revision reproduce --scale tiny

      revision reproduce figure_3 table_1 --cores 2

      revision reproduce compare_encoders --set 'compare={encoders: [clip_vit_b32]}'

      revision reproduce -n

      revision reproduce --list
    """
    if not Path("Snakefile").is_file():
        raise ConfigError(f"{Path.cwd()}: no Snakefile here; change to the folder of the checkout")
    if find_spec("snakemake") is None:
        raise ModuleNotFoundError(name="snakemake")
    from revision.config import scale_file

    scale_file("config", scale)
    snakemake = [sys.executable, "-m", "snakemake", "--cores", str(cores), "--rerun-incomplete"]
    snakemake += ["--show-failed-logs", "--config", f"scale={scale}", *(changes or ())]
    if list_only:
        for name, description in known_targets(snakemake).items():
            typer.echo(f"{name:<18} {description}".rstrip())
        return
    targets = targets or []
    wanted = ["--", *targets]
    started = time.monotonic()
    typer.echo(f"Planning scale {scale}; logs of its jobs: results/{scale}/work/logs")
    try:
        try:
            files = summary(snakemake, wanted)
        except RevisionError:
            check_targets(targets, known_targets(snakemake))
            raise
        if stale := stale_sources(files):
            snakemake += ["--forcerun", *stale]
        if dry_run:
            typer.echo(explained(output_of([*snakemake, "--dry-run", "--quiet", "host", "rules", *wanted])))
            typer.echo(f"To check data and models first: revision preflight --scale {scale}")
            return
        code = run([*snakemake, "--quiet", "host", "reason", *wanted])
    except KeyboardInterrupt as stopped:
        progress = f" ({stopped})" if stopped.args else ""
        typer.echo(f"Interrupted; repeat the command to resume{progress}.", err=True)
        raise typer.Exit(INTERRUPTED) from None
    if code:
        raise RevisionError(explanation(scale))
    made = made_for(targets, files) or [f"results/{scale}/report.html"]
    paths = ", ".join(str(Path(path).resolve()) for path in made)
    typer.echo(f"Done in {(time.monotonic() - started) / 60:.1f} minutes: {paths}")


def output_of(command: Sequence[str]) -> str:
    """Return standard output of a Snakemake that runs no job; RevisionError with its message if it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        own = re.search(r"^error: (.*)", done.stderr, re.M | re.S)  # what workflow/rules refuses
        raise RevisionError(own[1].strip() if own else f"Snakemake failed:\n{done.stderr.strip()}")
    return done.stdout


def explained(plan: str) -> str:
    """Shorten a dry run to one table of jobs, which Snakemake prints twice, and the reasons, wrapped."""
    lines = "\n\n".join(plan.strip().split("\n\n")[-2:]).splitlines()
    return "\n".join(
        textwrap.fill(line, WIDTH - 1, subsequent_indent=" " * 8, break_on_hyphens=False)
        for line in lines
        if not line.strip().startswith(("(check individual jobs", "This was a dry-run"))
    )


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


def summary(snakemake: Sequence[str], wanted: Sequence[str]) -> list[dict[str, str]]:
    """Return the files that a run makes or would make, each with its rule, status and plan."""
    lines = output_of([*snakemake, "--summary", *wanted]).splitlines()
    return list(csv.DictReader((line for line in lines if "\t" in line), delimiter="\t"))


def stale_sources(files: Sequence[Mapping[str, str]]) -> list[str]:
    """Return missing outputs whose dependent files Snakemake considers up to date; they must be remade by force.

    Snakemake 9.27.1 deletes the output of a failed job, but records the job's new inputs and parameters as if it had
    succeeded (snakemake/snakemake#3808). Files made from the deleted version are then not recognised as stale.
    """
    return [row["output_file"] for row in files if row["status"] == "missing" and row["plan"] == "no update"]


def made_for(targets: Collection[str], files: Sequence[Mapping[str, str]]) -> list[str]:
    """Return the files of targets: rules, paths, or names of files; of a figure and its numbers, the image."""
    paths = [row["output_file"] for row in files]
    named = [{row["rule"], path, Path(path).stem} for row, path in zip(files, paths, strict=True)]
    made = [path for path, names in zip(paths, named, strict=True) if not names.isdisjoint(targets)]
    return [path for path in made if path.endswith(".png")] or made


def essential(lines: Iterable[str]) -> Iterator[str]:
    """Yield what a user needs of Snakemake's output: a short line as a job starts or ends, and errors in full."""
    block = detail = ended = ""
    for line in lines:
        now, text = time.strftime("%H:%M"), line.rstrip("\n")
        if block == "Job stats":
            if total := re.match(r"total +(\d+)", text):
                yield f"{now}  0 of {total[1]} jobs done"
            block = block if text else ""
        elif block:
            name, _, value = text.strip().partition(": ")
            if name == "wildcards":
                detail = value
            elif name == "resources":  # the last line about a job
                yield f"{now}  start  {block} {detail}".rstrip()[: WIDTH - 1]
                block = detail = ""
        elif start := re.match(r"(Job stats)|(?:local)?(?:rule|checkpoint) (\w+):", text):
            block = start[1] or start[2]
        elif end := re.match(r"Finished jobid: \d+ \(Rule: (\w+)\)", text):
            ended = end[1]
        elif count := re.match(r"(\d+ of \d+) steps", text):
            yield f"{now}  done   {ended} ({count[1]} jobs done)"
        elif text and not text.startswith(SILENT):
            yield text


def run(command: Sequence[str]) -> int:
    """Run Snakemake, print its progress, and return its exit code; on an interrupt, re-raise after its jobs ended.

    Snakemake runs in a process group of its own, so that an interrupt reaches it and its jobs exactly once, and the
    errors of interrupted jobs are not shown as a failure. A second interrupt kills them.
    """
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, process_group=0
    )
    assert process.stdout is not None
    signal.signal(signal.SIGTERM, lambda *_: process.terminate())  # Snakemake stops after the running jobs
    if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:  # under nohup it is SIG_IGN
        signal.signal(signal.SIGHUP, signal.default_int_handler)  # the terminal was closed
    done: list[str] = []
    try:
        for line in essential(process.stdout):
            done = DONE.findall(line) or done
            print(line, flush=True)
    except KeyboardInterrupt:
        os.killpg(process.pid, signal.SIGINT)
        try:
            process.communicate()
        finally:
            with suppress(ProcessLookupError):  # none is left
                os.killpg(process.pid, signal.SIGKILL)
        raise KeyboardInterrupt(*done) from None
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
