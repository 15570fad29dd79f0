"""The kill campaign: one run, killed again and again at random moments and resumed by the same command.

    python tests/faults/campaign.py --kills 50 --out results/benchmarks/faults.json

By default on the small scale of this folder; `--scale tiny --targets` (no targets: all) takes the whole graph. A kill
is SIGKILL to the whole process group: the command, Snakemake and every job. If the run ends before the kills are used
up, a new one begins in a new folder; each that ends is compared byte by byte with a run that nobody disturbed.
"""

import argparse
import hashlib
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
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from workflow_copy import ENVIRONMENT, REVISION, copy_checkout, reproduce

SCALE = Path(__file__).with_name("small.yaml")
TARGETS = ("results/small/work/scores/seed0.parquet", "figure_3")
LOG = "results/*/work/logs/snakemake.log"
# What tells of the run itself and not of its results.
OF_THE_RUN = ("work/logs/", "work/benchmarks/", "work/.run.lock", "work/history/")


def prepare(folder: Path) -> Path:
    """A checkout at `folder` that knows the small scale."""
    copy_checkout(folder)
    shutil.copy(SCALE, folder / "config/scales/small.yaml")
    return folder


def digests(results: Path) -> dict[str, str]:
    """SHA-256 of every result under `results`, by path; clocks and logs are left out, leftovers of a kill are not."""
    files = (path for path in sorted(results.rglob("*")) if path.is_file() and path.name != "timing.json")
    named = {path.relative_to(results).as_posix(): path for path in files}
    return {
        name: hashlib.sha256(path.read_bytes()).hexdigest()
        for name, path in named.items()
        if not name.startswith(OF_THE_RUN)
    }


def differences(wanted: dict[str, str], found: dict[str, str]) -> list[str]:
    """Files that only one of them has or that differ."""
    return sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))


@contextmanager
def started(folder: Path, scale: str, cores: int, targets: tuple[str, ...]) -> Iterator[subprocess.Popen[bytes]]:
    """The workflow, started as a user starts it; its whole process group is killed at the end if it still runs."""
    command = [*REVISION, "reproduce", "--scale", scale, "--cores", str(cores), *targets]
    for log in folder.glob(LOG):
        log.unlink()
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


def account(folder: Path) -> str:
    """Snakemake's own account of the run so far; empty until it starts."""
    return "".join(log.read_text(errors="replace") for log in folder.glob(LOG))


def first_job(folder: Path, run: subprocess.Popen[bytes]) -> bool:
    """Wait until Snakemake starts a job; False if the run ended before."""
    while "jobid:" not in account(folder):
        if run.poll() is not None:
            return False
        time.sleep(0.05)
    return True


def ended(folder: Path) -> int:
    """Jobs that the run has ended so far."""
    return account(folder).count("\nFinished job")


def running(folder: Path) -> list[str]:
    """Logs of the jobs that have begun and not ended, by Snakemake's own account."""
    said = account(folder).splitlines()
    logs = [line.split("/logs/")[1].strip() for line in said if "log:" in line and "/logs/" in line]
    finished = sum(line.startswith(("Finished job", "Finished jobid")) for line in said)
    return logs[finished:]


def campaign(
    folder: Path, kills: int, seed: int, *, scale: str = "small", targets: tuple[str, ...] = TARGETS, tell=print
) -> dict:
    """Kill and resume `kills` times; what was hit, and the results of every run that reached its end.

    A kill comes at a moment drawn anew each time: one in eight while the run is starting up, the others a random time
    (exponential, about as long as starting up takes) after its first job began or, one in two, after its first ended.
    """
    draw, hits, ends = random.Random(seed), [], []
    startup, round_, place = 5.0, 0, prepare(folder / "killed-0")
    while True:
        cores = draw.choice((1, 2))
        with started(place, scale, cores, targets) as run:
            begun = time.monotonic()
            if len(hits) == kills:
                code = run.wait()
            else:
                if draw.random() < 1 / 8:
                    code = _wait(run, draw.uniform(0, startup))
                elif first_job(place, run):
                    startup = time.monotonic() - begun
                    wanted = draw.choice((0, 1))
                    while ended(place) < wanted and run.poll() is None:
                        time.sleep(0.05)
                    code = _wait(run, draw.expovariate(1 / startup))
                else:
                    code = run.returncode
            seconds = time.monotonic() - begun
        if code is None:
            hits.append({"second": round(seconds, 2), "cores": cores, "running": running(place)})
            tell(f"kill {len(hits)} of {kills}: {hits[-1]}")
            continue
        if code:
            raise AssertionError((place / "said.txt").read_text()[-6000:])
        ends.append(digests(place / f"results/{scale}"))
        tell(f"a run of {len(hits)} kills so far has ended")
        if len(hits) == kills:
            return {"kills": hits, "ends": ends}
        round_ += 1
        place = prepare(folder / f"killed-{round_}")


def undisturbed(folder: Path, *, scale: str = "small", targets: tuple[str, ...] = TARGETS) -> dict[str, str]:
    """Results of a run that nobody kills."""
    reproduce(prepare(folder / "undisturbed"), "--scale", scale, "--cores", "2", *targets)
    return digests(folder / f"undisturbed/results/{scale}")


def _wait(run: subprocess.Popen[bytes], seconds: float) -> int | None:
    try:
        return run.wait(seconds)
    except subprocess.TimeoutExpired:
        return None


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
        wanted = undisturbed(Path(folder), **settings)
        found = campaign(Path(folder), options.kills, options.seed, **settings)
        different = [
            sorted(k for k in wanted.keys() | end.keys() if wanted.get(k) != end.get(k)) for end in found["ends"]
        ]
        hit = Counter(log.split("/")[0].removesuffix(".log") for kill in found["kills"] for log in kill["running"])
        report = {
            "scale": options.scale,
            "targets": options.targets,
            "seed": options.seed,
            "kills": len(found["kills"]),
            "runs_ended": len(found["ends"]),
            "files_compared": len(wanted),
            "files_that_differ": different,
            "minutes": round((time.monotonic() - begun) / 60, 1),
            "jobs_killed_by_kind": dict(sorted(hit.items())),
            "moments": found["kills"],
        }
    options.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(json.dumps({key: value for key, value in report.items() if key != "moments"}, indent=1))
    sys.exit(any(different))


if __name__ == "__main__":
    main()
