"""`revision reproduce`, `status` and `clean`: the workflow of one scale, one run at a time in a folder."""

import fcntl
import os
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Annotated

import typer
from rich.console import Console
from rich.table import Table

from revision.cli.progress import Display, follow, spoken
from revision.errors import ConfigError, RevisionError
from revision.io.files import sweep
from revision.jobs import (
    Durations,
    Job,
    Progress,
    command,
    estimate,
    failure,
    forced,
    last_lines,
    read_events,
    signal_in_words,
)
from revision.resume import EVENTS, MARK, keep, orphans, plan, refuse_orphans, renew, settle

Scale = Annotated[str, typer.Option(help="A file of config/scales.")]
Cores = Annotated[int, typer.Option(help="CPU cores.", min=1)]


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


def results_of(scale: str) -> Path:
    """The folder of a scale's results; ConfigError outside a checkout or for a scale that there is not."""
    if not Path("Snakefile").is_file():
        raise ConfigError(f"{Path.cwd()}: no Snakefile here; change to the folder of the checkout")
    from revision.config import scale_file

    scale_file("config", scale)
    return Path("results") / scale


def reproduce_command(
    targets: Annotated[list[str] | None, typer.Argument(help="What to make, such as figure_3; nothing: all.")] = None,
    scale: Scale = "laptop",
    cores: Cores = 2,
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Say what would run and what it costs.")] = False,
) -> None:
    """Run the workflow and say where the report is. After a kill the same command goes on where it stopped.

    Examples: revision reproduce --scale tiny

    revision reproduce figure_3 table_1 --cores 2

    revision reproduce -n
    """
    results = results_of(scale)
    console = Console()
    started = time.monotonic()
    if dry_run:
        _print_costs(plan(scale, targets or (), results)[0], Durations(results), cores, console)
        return
    with only_run(results / "work") as lock:
        refuse_orphans(results)
        sweep(results)
        settle([results, Path("config")])
        renew(Path("config"), results)
        jobs, again = plan(scale, targets or (), results)
        if jobs:
            keep(results, jobs, again)
            _run(scale, targets or [], cores, jobs, again, lock, console)
    minutes = (time.monotonic() - started) / 60
    if targets:
        typer.echo(f"Done in {minutes:.1f} minutes: {', '.join(targets)}, below {results.resolve()}")
    else:
        typer.echo(f"Done in {minutes:.1f} minutes. The report is {(results / 'report.html').resolve()}")


def _run(
    scale: str, targets: list[str], cores: int, jobs: list[Job], again: set[str], lock: IO[str], console: Console
) -> None:
    """Run Snakemake under the lock and show it; typer.Exit with its code if it stops early."""
    results = Path("results") / scale
    events, log = results / EVENTS, results / "work/logs/snakemake.log"
    display = Display(jobs, Durations(results), cores, console)
    console.print(
        f"{len(jobs)} jobs, {display.left(Progress(), time.monotonic()) or 'none of them timed before'}; log {log}"
    )
    with log.open("wb") as output:
        # The workflow inherits the lock, so that it outlives this process if that is killed alone.
        words = command(scale, targets, cores, events, *forced(again))
        marked = os.environ | {MARK: str(results.resolve())}
        process = subprocess.Popen(words, stdout=output, stderr=subprocess.STDOUT, pass_fds=[lock.fileno()], env=marked)
        signal.signal(signal.SIGTERM, lambda *_: process.terminate())
        state = follow(process, events, display)
    if process.returncode:
        if process.returncode < 0:
            typer.echo(f"error: Snakemake was killed by {signal_in_words(-process.returncode)}", err=True)
        elif not state.failed:
            typer.echo(last_lines(log.read_text(encoding="utf-8", errors="replace")), err=True)
        typer.echo(f"error: the run stopped; mend what is said above or in {log}, then repeat the command", err=True)
        raise typer.Exit(process.returncode if process.returncode > 0 else 1)


def _print_costs(jobs: list[Job], durations: Durations, cores: int, console: Console) -> None:
    """What a run would start, by rule, and about what it costs."""
    if not jobs:
        console.print("Nothing to be done.")
        return
    table = Table("rule", "jobs", "CPU minutes", "never timed", box=None)
    for column in table.columns[1:]:
        column.justify = "right"
    for rule, count in Counter(job.rule for job in jobs).items():
        cost = estimate([job for job in jobs if job.rule == rule], durations, cores)
        known = f"{cost.cpu_seconds / 60:.1f}" if cost.unknown < count else "unknown"
        table.add_row(rule, str(count), known, str(cost.unknown or ""))
    cost = estimate(jobs, durations, cores)
    table.add_section()
    table.add_row("all", str(len(jobs)), f"{cost.cpu_seconds / 60:.1f}", str(cost.unknown or ""))
    console.print(table)
    if cost.seconds:
        console.print(f"About {spoken(cost.seconds)} on {cores} cores, by the times of a former run.")


def status_command(scale: Scale = "laptop", cores: Cores = 2) -> None:
    """Say what is finished, what is left and about how long it takes, what runs, and what failed last.

    Examples: revision status

    revision status --scale tiny
    """
    results = results_of(scale)
    console = Console()
    durations, jobs = Durations(results), plan(scale, (), results)[0]
    state = Progress.of(read_events(results / EVENTS))
    busy = is_locked(results / "work")
    report = results / "report.html"
    working = "a run is working here" if busy else "no run is working here"
    if not busy and (ids := orphans(results)):
        working = f"jobs of a run that was killed still work here (process {', '.join(map(str, ids))})"
    console.print(f"{results}: {working}", highlight=False)
    if busy:
        for job, start in state.running.values():
            console.print(f"  runs: {job.label}, for {spoken(time.monotonic() - start)}", markup=False, highlight=False)
    if jobs:
        display = Display(jobs, durations, cores, console)
        left = display.left(Progress(running=state.running if busy else {}), time.monotonic())
        rules = ", ".join(f"{count} {rule}" for rule, count in Counter(job.rule for job in jobs).items())
        console.print(f"left: {len(jobs)} jobs{', ' + left if left else ''} on {cores} cores", highlight=False)
        console.print(f"  {rules}", highlight=False)
    else:
        console.print(f"nothing is left: the report is {report.resolve()}", highlight=False, soft_wrap=True)
    done = len(list((results / "work/benchmarks").rglob("*.tsv")))
    console.print(f"finished: {done} jobs timed so far, {len(state.finished)} of them in the last run", highlight=False)
    for job in state.failed:
        console.print(failure(job, said=state.said.get(job, "")), markup=False, highlight=False, soft_wrap=True)


def is_locked(folder: Path) -> bool:
    """Whether a run holds the lock of `folder`."""
    if not folder.is_dir():
        return False
    try:
        with only_run(folder):
            return False
    except RevisionError:
        return True


def clean_command(
    scale: Annotated[str, typer.Option(help="Whose results: a file of config/scales.")],
    everything: Annotated[bool, typer.Option("--all", help="Figures, tables and the report too.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Remove what a run of a scale left: its working folder, and with --all also its figures, tables and report.

    Examples: revision clean --scale tiny

    revision clean --scale tiny --all --yes
    """
    results = results_of(scale)
    folder = results if everything else results / "work"
    if not folder.is_dir():
        typer.echo(f"{folder}: nothing there")
        return
    if folder.resolve() != Path("results").absolute() / folder.relative_to("results"):
        raise ConfigError(f"{folder}: leads to {folder.resolve()}; nothing outside results/{scale} is removed")
    if not yes:
        typer.confirm(f"Remove {folder} and all that is in it?", abort=True)
    with only_run(results / "work"):
        refuse_orphans(results)
        shutil.rmtree(folder)
    typer.echo(f"removed {folder}")


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    for name, function in (("reproduce", reproduce_command), ("status", status_command), ("clean", clean_command)):
        app.command(name, rich_help_panel="Stages of the workflow")(function)
