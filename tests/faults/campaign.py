"""The kill campaign: one run, killed again and again at random moments and resumed by the same command.

    python tests/faults/campaign.py --kills 50 --out results/benchmarks/faults.json

By default on the small scale of this folder; `--scale tiny --targets` (no targets: all) takes the whole graph. A kill
is SIGKILL to the whole process group: the command, Snakemake and every job. If the run ends before the kills are used
up, a new one begins in a new folder; each that ends is compared byte by byte with a run that nobody disturbed.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from digests import CUT_OUT, LEFT_OUT, differences, digests
from workflow_copy import ENVIRONMENT, REVISION, copy_checkout, reproduce

from revision.jobs import Progress, read_events
from revision.resume import EVENTS

SCALE = Path(__file__).with_name("small.yaml")
TARGETS = ("results/small/work/answers/seed0.parquet", "figure_3")
LAST = 0.98  # of the work; a run that is nearly done ends before it can be killed
STARTING = 1 / 8  # of the kills come before the first job


@dataclass
class Work:
    """How far a run is: the seconds that the jobs that it has done took (`seconds`, by label) when nobody disturbed it.

    A job that was done in an earlier start of the run counts; of one that works, at most its own seconds.
    """

    seconds: dict[str, float]
    done: set[str] = field(default_factory=set)

    @property
    def total(self) -> float:
        return sum(self.seconds.values())

    def at(self, state: Progress) -> float:
        """Seconds of work done, by the events of the present start."""
        self.done |= {job.label for job, _ in state.finished}
        now = time.monotonic()
        underway = {job.label: now - start for job, start in state.running.values() if job.label not in self.done}
        return sum(self.seconds.get(label, 0.0) for label in self.done) + sum(
            min(since, self.seconds.get(label, 0.0)) for label, since in underway.items()
        )


def prepare(folder: Path) -> Path:
    """A checkout at `folder` that knows the small scale."""
    copy_checkout(folder)
    shutil.copy(SCALE, folder / "config/scales/small.yaml")
    return folder


@contextmanager
def started(folder: Path, scale: str, cores: int, targets: tuple[str, ...]) -> Iterator[subprocess.Popen[bytes]]:
    """The workflow, started as a user starts it; its whole process group is killed at the end if it still runs."""
    command = [*REVISION, "reproduce", "--scale", scale, "--cores", str(cores), *targets]
    with (folder / "said.txt").open("wb") as said:
        run = subprocess.Popen(
            command, cwd=folder, env=ENVIRONMENT, stdout=said, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        yield run
    finally:
        if run.poll() is None:
            os.killpg(run.pid, signal.SIGKILL)
            run.wait()


def happened(results: Path, since: float = 0.0) -> Progress:
    """What the last start of a run has done since a moment of the monotonic clock."""
    return Progress.of(event for event in read_events(results / EVENTS) if event["time"] >= since)


def wait_for(work: Work, moment: float, run: subprocess.Popen[bytes], results: Path, begun: float) -> float | None:
    """Wait until so much work is done; seconds until the first job began, or None if the run ended before."""
    startup = None
    while run.poll() is None:
        state = happened(results, begun)
        if startup is None and (state.running or state.finished):
            startup = time.monotonic() - begun
        if startup is not None and work.at(state) >= moment:
            return startup
        time.sleep(0.02)
    return None


def campaign(
    folder: Path,
    kills: int,
    seed: int,
    seconds: dict[str, float],
    *,
    scale: str = "small",
    targets: tuple[str, ...] = TARGETS,
    tell=print,
) -> dict[str, Any]:
    """Kill and resume `kills` times; what was hit, and the results of every run that reached its end.

    One kill in eight comes while the run is starting up. The moments of the others are drawn evenly over the work of
    the whole run (`seconds`, as `undisturbed` gives it), so that every job is hit as likely as it is long, the last
    like the first; each is a later one than the one before, so that there is progress.
    """
    draw, hits, ends, startup, round_ = random.Random(seed), [], [], 5.0, 0
    place, work, moments = prepare(folder / "killed-0"), Work(seconds), None
    while True:
        if moments is None:
            moments = sorted(draw.uniform(0, LAST * work.total) for _ in range(kills - len(hits)))
        cores, results = draw.choice((1, 2)), place / "results" / scale
        with started(place, scale, cores, targets) as run:
            begun = time.monotonic()
            if len(hits) == kills:
                run.wait()
            elif draw.random() < STARTING:
                _wait(run, draw.uniform(0, startup))
            else:
                startup = wait_for(work, moments.pop(0), run, results, begun) or startup
            state, code, after = happened(results, begun), run.poll(), time.monotonic() - begun
        if code is None:
            hits.append({
                "second": round(after, 2),
                "cores": cores,
                "share_of_work": round(work.at(state) / work.total, 3),
                "running": [job.label for job, _ in state.running.values()],
            })  # fmt: skip
            tell(f"kill {len(hits)} of {kills}: {hits[-1]}")
            continue
        if code:
            raise AssertionError((place / "said.txt").read_text()[-6000:])
        ends.append(digests(results))
        tell(f"a run of {len(hits)} kills so far has ended")
        if len(hits) == kills:
            return {"kills": hits, "ends": ends}
        round_ += 1
        place, work, moments = prepare(folder / f"killed-{round_}"), Work(seconds), None


def undisturbed(
    folder: Path, *, scale: str = "small", targets: tuple[str, ...] = TARGETS
) -> tuple[dict[str, str], dict[str, float]]:
    """Results of a run that nobody kills, and the seconds that each of its jobs took."""
    reproduce(prepare(folder / "undisturbed"), "--scale", scale, "--cores", "2", *targets)
    results = folder / "undisturbed/results" / scale
    return digests(results), {job.label: seconds for job, seconds in happened(results).finished}


def _wait(run: subprocess.Popen[bytes], seconds: float) -> int | None:
    try:
        return run.wait(seconds)
    except subprocess.TimeoutExpired:
        return None


def by_rule(labels: Iterator[str] | list[str]) -> dict[str, int]:
    """How many labels each rule has."""
    return dict(sorted(Counter(label.split()[0] for label in labels).items()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--scale", default="small")
    parser.add_argument("--targets", nargs="*", default=TARGETS)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        begun = time.monotonic()
        settings = {"scale": options.scale, "targets": tuple(options.targets)}
        wanted, seconds = undisturbed(Path(folder), **settings)
        found = campaign(Path(folder), options.kills, options.seed, seconds, **settings)
        different = [differences(wanted, end) for end in found["ends"]]
        hit = by_rule([label for kill in found["kills"] for label in kill["running"]])
        tenths = Counter(min(int(10 * kill["share_of_work"]), 9) for kill in found["kills"])
        report = {
            "scale": options.scale,
            "targets": options.targets,
            "seed": options.seed,
            "kills": len(found["kills"]),
            "runs_ended": len(found["ends"]),
            "files_compared": len(wanted),
            "files_that_differ": different,
            "not_compared": LEFT_OUT,
            "compared_without": CUT_OUT,
            "minutes": round((time.monotonic() - begun) / 60, 1),
            "jobs": len(seconds),
            "kills_by_tenth_of_the_work": [tenths[tenth] for tenth in range(10)],
            "jobs_killed_by_rule": hit,
            "rules_never_hit": sorted(by_rule(list(seconds)).keys() - hit.keys()),
            "moments": found["kills"],
        }
    options.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(json.dumps({key: value for key, value in report.items() if key != "moments"}, indent=1))
    sys.exit(any(different))


if __name__ == "__main__":
    main()
