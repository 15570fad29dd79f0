"""What a run finds of the runs before it: jobs that they left undone, processes of theirs, and times that a clock made.

Snakemake tells what is out of date by the times of files and by what it wrote down about each job. Neither survives
everything: it writes down a failed job's new inputs and settings as if the job had made its result, so that what
follows from the old result passes for up to date; and a system clock that leaps gives files any time.
"""

import json
import os
import time
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

from revision.errors import DataError, RevisionError
from revision.io.files import digest, write_json
from revision.jobs import Job, Progress, planned, products, read_events

LOGS = "work/logs"
EVENTS, PLAN, INPUTS = f"{LOGS}/events.jsonl", f"{LOGS}/plan.json", f"{LOGS}/inputs.json"
MARK = "REVISION_RUN"
STEP = 1.0  # seconds that a clock must go back to have leapt
PATIENCE = 10.0  # seconds that killed processes may take to end
APART = 1000  # nanoseconds; the times that Snakemake compares are no finer


def settle(folders: Iterable[Path], now: int | None = None) -> int:
    """Give files below `folders` that bear times of the future times of `now` (nanoseconds), in the same order.

    Snakemake refuses a result that is older than its input, so that without this no job could read them until then.
    Returns how many there were.
    """
    now = time.time_ns() if now is None else now
    paths = (path for folder in folders for path in folder.rglob("*"))
    ahead = {path: when for path in paths if (when := path.lstat().st_mtime_ns) > now}
    places = {when: place for place, when in enumerate(sorted(set(ahead.values()), reverse=True))}
    for path, when in ahead.items():
        moment = now - places[when] * APART
        os.utime(path, ns=(moment, moment), follow_symlinks=False)
    return len(ahead)


def renew(inputs: Path, results: Path) -> None:
    """Give files below `inputs` whose content is another than at the last run the time of now, whatever theirs says."""
    known = _read(results / INPUTS)
    found = {path.as_posix(): digest(path) for path in sorted(inputs.rglob("*")) if path.is_file()}
    for name, checksum in found.items():
        if known.get(name, checksum) != checksum:
            os.utime(name)
    if found != known:
        write_json(results / INPUTS, found)


def undone(results: Path) -> set[str]:
    """Files whose jobs the last run began, or was to make again, and did not finish.

    If the clock went back while it worked, everything that it had planned and did not finish.
    """
    plan, events = _read(results / PLAN), read_events(results / EVENTS)
    state = Progress.of(events)
    begun = [*state.failed, *(job for job, _ in state.running.values())]
    left = {*plan.get("again", ()), *_made(begun)}
    if _went_back([event["wall"] - event["time"] for event in events if "wall" in event]):
        left |= set(plan.get("planned", ()))
    return left - _made(job for job, _ in state.finished)


def plan(scale: str, targets: Iterable[str], results: Path) -> tuple[list[Job], set[str]]:
    """The jobs that a run would start, and the files among their results that Snakemake alone would not make again."""
    jobs = planned(scale, targets)
    again = undone(results) - _made(jobs)
    if again and (again := again & products(scale, targets)):
        jobs = planned(scale, targets, again=again)
    return jobs, again


def keep(results: Path, jobs: list[Job], again: set[str]) -> None:
    """Write down what a run is to do, and forget the events of the one before."""
    write_json(results / PLAN, {"planned": sorted(_made(jobs)), "again": sorted(undone(results) | again)})
    (results / EVENTS).unlink(missing_ok=True)


def refuse_orphans(results: Path) -> None:
    """Raise RevisionError if jobs of a run that has ended still work for `results`; killed ones may take a moment."""
    until = time.monotonic() + PATIENCE
    while found := orphans(results):
        if time.monotonic() > until:
            ids = ", ".join(map(str, found))
            raise RevisionError(
                f"{results}: jobs of a run that was killed still work there (process {ids}); wait for them or stop them"
            )
        time.sleep(0.1)


def orphans(results: Path) -> list[int]:
    """Ids of processes that work for a run of `results`; known on Linux alone."""
    mark, found = f"{MARK}={results.resolve()}".encode(), []
    for place in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark in place.read_bytes().split(b"\0"):
                found.append(int(place.parent.name))
        except OSError:
            continue  # ended meanwhile, or another user's
    return sorted(found)


def _read(path: Path) -> dict[str, Any]:
    """The JSON that a former run wrote to `path`; nothing if there is none."""
    try:
        return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}
    except (ValueError, TypeError) as error:
        raise DataError(f"{path}: altered since it was written ({error}); delete it") from error


def _made(jobs: Iterable[Job]) -> set[str]:
    return {path for job in jobs for path in job.outputs}


def _went_back(offsets: list[float]) -> bool:
    """Whether the wall clock, given by its offsets to the monotonic one in the order of events, was set back."""
    return any(before - after > STEP for before, after in pairwise(offsets))
