"""The jobs of a workflow run: which are left, how each went, and about how long the rest takes.

What is left is Snakemake's own dry run. What happens is told by `snakemake_logger_plugin_revision`, a line of JSON an
event. How long a job takes is read from Snakemake's benchmark files of jobs that were run here, else from the table
`durations.csv` of a committed run, else it is unknown.
"""

import csv
import json
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from revision.errors import RevisionError

COLUMNS = ("job", "seconds", "cpu_seconds", "peak_mb")
LONGEST = 30 * 24 * 3600  # seconds; Snakemake times jobs by the wall clock, and one that leaps gives any number
STATUS = re.compile(r"(?:died with <Signals\.\w+: (\d+)>|exit status (\d+))\.?\s*$")


@dataclass(frozen=True)
class Job:
    """One job: its rule, the values of its wildcards, its log files, its benchmark file and what it makes."""

    rule: str
    wildcards: tuple[str, ...] = ()
    logs: tuple[str, ...] = ()
    benchmark: str | None = None
    outputs: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """The rule and its wildcards, as a reader names the job."""
        return " ".join((self.rule, *self.wildcards))

    @property
    def key(self) -> str | None:
        """The benchmark file's name below `benchmarks`, such as stage1/revision_seed0."""
        if self.benchmark is None:
            return None
        return self.benchmark.rpartition("/benchmarks/")[2].removesuffix(".tsv")

    @staticmethod
    def of(event: dict[str, Any]) -> "Job":
        """The job that an event of kind job_info describes."""
        names = ((f"seed{value}" if name == "seed" else value) for name, value in event["wildcards"].items())
        made = tuple(event.get("output", ()))
        return Job(event["rule"], tuple(names), tuple(event["log"]), event["benchmark"], made)


@dataclass(frozen=True)
class Duration:
    """Seconds of wall time, seconds of CPU time and peak memory in MB (0: too short to be measured)."""

    seconds: float
    cpu_seconds: float
    peak_mb: float


def command(scale: str, targets: Iterable[str], cores: int, events: Path, *words: str) -> list[str]:
    """The Snakemake command line of a run of `targets` (nothing: all) whose events go to the file `events`."""
    return [
        sys.executable, "-m", "snakemake", "--cores", str(cores), "--config", f"scale={scale}", "--nolock",
        "--rerun-incomplete", "--show-failed-logs", "--logger", "revision", "--logger-revision-events", str(events),
        *words, "--", *targets,
    ]  # fmt: skip


def planned(scale: str, targets: Iterable[str] = (), root: Path = Path(), again: Iterable[str] = ()) -> list[Job]:
    """The jobs that a run of `targets` would start in the checkout `root`, by Snakemake's dry run.

    The files `again` are made again, and what follows from them. Raises RevisionError with Snakemake's last lines if it
    refuses.
    """
    _, events = _asked(scale, targets, root, "--dry-run", *forced(again))
    jobs = [Job.of(event) for event in events if event["event"] == "job_info"]
    return [job for job in jobs if job.logs]  # a rule without a log only gathers targets


def products(scale: str, targets: Iterable[str] = (), root: Path = Path()) -> set[str]:
    """All files that `targets` are made of or with, made already or not."""
    said, _ = _asked(scale, targets, root, "--summary")
    return {line.split("\t")[0] for line in said.splitlines() if "\t" in line}


def forced(again: Iterable[str]) -> list[str]:
    """Snakemake's option that makes files again; nothing for none."""
    files = sorted(again)
    return ["--forcerun", *files] if files else []


def _asked(scale: str, targets: Iterable[str], root: Path, *words: str) -> tuple[str, list[dict[str, Any]]]:
    """What Snakemake says of a run that does not take place, and its events."""
    with tempfile.TemporaryDirectory() as folder:
        events = Path(folder).resolve() / "events.jsonl"
        whole = command(scale, targets, 1, events, *words)
        done = subprocess.run(whole, cwd=root, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RevisionError(f"Snakemake refuses:\n{last_lines(done.stdout + done.stderr)}")
        return done.stdout, read_events(events)


def read_events(path: Path) -> list[dict[str, Any]]:
    """The events in a file, oldest first; none if there is no file, and no half line of a killed run."""
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines(True) if line.endswith("}\n")]


@dataclass
class Progress:
    """What the events of one run say: jobs that run (with their start, seconds of the system's monotonic clock), that
    ended, that failed (with what Snakemake says of it).
    """

    running: dict[int, tuple[Job, float]] = field(default_factory=dict)
    finished: list[tuple[Job, float]] = field(default_factory=list)
    failed: list[Job] = field(default_factory=list)
    said: dict[Job, str] = field(default_factory=dict)

    @staticmethod
    def of(events: Iterable[dict[str, Any]]) -> "Progress":
        """Replay events; a finished job comes with its seconds."""
        state = Progress()
        for event in events:
            if event["event"] == "job_info":
                job = Job.of(event)
                if job.logs:
                    state.running[event["job"]] = (job, event["time"])
            elif event["event"] == "error":
                state._hear(event["said"])
            elif event["job"] in state.running:
                job, start = state.running.pop(event["job"])
                if event["event"] == "job_finished":
                    state.finished.append((job, event["time"] - start))
                else:
                    state.failed.append(job)
        return state

    def _hear(self, said: str) -> None:
        """Give an error to the running job that it names; one that speaks of what a job made is the job's only end."""
        for number, (job, _) in list(self.running.items()):
            made = any(path in said for path in job.outputs) and STATUS.search(said) is None
            if made or any(path in said for path in job.logs):
                self.said[job] = said
            if made:
                del self.running[number]
                self.failed.append(job)


class Durations:
    """How long jobs took: benchmark files of this folder, else a table of a former run."""

    def __init__(self, results: Path) -> None:
        self.jobs = read_table(results / "tables/durations.csv") | read_benchmarks(results / "work/benchmarks")
        groups: dict[str, list[Duration]] = {}
        for key, duration in self.jobs.items():
            groups.setdefault(key.split("/")[0], []).append(duration)
        self._means = {
            name: Duration(
                *(sum(getattr(one, part) for one in group) / len(group) for part in Duration.__annotations__)
            )
            for name, group in groups.items()
        }

    def of(self, job: Job) -> Duration | None:
        """What the job took before, else the mean over its rule's jobs, else None."""
        if job.key is None:
            return None
        return self.jobs.get(job.key) or self._means.get(job.key.split("/")[0])


@dataclass(frozen=True)
class Estimate:
    """Seconds of wall time on the given cores, seconds of CPU time, and the number of jobs that nobody timed."""

    seconds: float
    cpu_seconds: float
    unknown: int


def estimate(jobs: Iterable[Job], durations: Durations, cores: int) -> Estimate:
    """About how long the jobs take when every core always has work; never less than the longest of them."""
    known = [durations.of(job) for job in jobs]
    times = [one for one in known if one is not None]
    wall = [one.seconds for one in times]
    seconds = max(sum(wall) / cores, max(wall, default=0.0))
    return Estimate(seconds, sum(one.cpu_seconds for one in times), known.count(None))


def read_benchmarks(folder: Path) -> dict[str, Duration]:
    """Snakemake's benchmark files below `folder`; the key is the file's name there without its ending."""
    found = {}
    for path in sorted(folder.rglob("*.tsv")):
        rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines(), delimiter="\t"))
        if rows:
            key = path.relative_to(folder).as_posix().removesuffix(".tsv")
            found[key] = Duration(*(_number(rows[-1].get(name)) for name in ("s", "cpu_time", "max_rss")))
    return _possible(found)


def read_table(path: Path) -> dict[str, Duration]:
    """The durations that `durations_csv` wrote; none if there is no file."""
    if not path.is_file():
        return {}
    rows = csv.DictReader(path.read_text(encoding="utf-8").splitlines())
    return _possible({row["job"]: Duration(*(_number(row[name]) for name in COLUMNS[1:])) for row in rows})


def _possible(durations: dict[str, Duration]) -> dict[str, Duration]:
    """Without those that a leap of the wall clock made negative or longer than a month: they say nothing."""
    return {key: one for key, one in durations.items() if 0 <= one.seconds <= LONGEST}


def durations_csv(durations: dict[str, Duration]) -> str:
    """The text of a table that `read_table` reads."""
    lines = [f"{key},{one.seconds:.2f},{one.cpu_seconds:.2f},{one.peak_mb:.1f}" for key, one in durations.items()]
    return "\n".join([",".join(COLUMNS), *lines]) + "\n"


def _number(text: str | None) -> float:
    """A measured number; 0 where Snakemake writes NA or -, because a job ended before it was looked at."""
    try:
        return float(text or 0)
    except ValueError:
        return 0.0


def last_lines(text: str, number: int = 15) -> str:
    """The last lines of a text, indented."""
    return "\n".join(f"    {line}" for line in text.rstrip().splitlines()[-number:])


def failure(job: Job, root: Path = Path(), said: str = "") -> str:
    """A failed job in words: its name, what ended it, its log's path and the log's last lines."""
    parts = [f"failed: {job.label}", *([f"  {why}"] if (why := cause(said)) else [])]
    for log in job.logs:
        path = root / log
        text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
        parts.append(f"  its log {log} " + (f"ends with\n{last_lines(text)}" if text.strip() else "is empty"))
    return "\n".join(parts)


def cause(said: str) -> str:
    """What ended a job besides its own error, by what Snakemake says of it, and the mend; empty if nothing did."""
    if "has older modification time" in said:
        return "the system's clock went back, so that its result seems older than its input; repeat the command"
    if "Missing files after" in said:
        return "it ended without an error and without its result; mend what its log says, then repeat the command"
    found = STATUS.search(said)
    number = 0 if found is None else int(found[1] or int(found[2]) - 128)  # the shell adds 128 to its child's signal
    return f"killed by {signal_in_words(number)}" if number in set(signal.Signals) else ""


def signal_in_words(number: int) -> str:
    """A signal that ended a process, what most likely sent it, and the mend."""
    words = f"signal {number} ({signal.Signals(number).name})"
    if number != signal.SIGKILL:
        return f"{words}; repeat the command"
    return (
        f"{words}, most likely by the system because memory ran out; free memory or use fewer cores (--cores 1), "
        "then repeat the command"
    )
