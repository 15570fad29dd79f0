"""A workflow of four short jobs in a folder that looks like a checkout, and a clock that a test sets.

Each job runs `before-<rule>` first, a piece of shell that is empty until a test plants something. What a and b make is
larger than what Snakemake compares by checksum, so that their times alone tell what is out of date.
"""

import os
import subprocess
from pathlib import Path

from workflow_copy import REVISION

WORK = "results/toy/work"
RULE = """
rule {name}:
    input: {input}
    output: "{work}/{name}.txt"
    params: setting={setting}
    priority: {priority}
    log: "{work}/logs/{name}.log"
    benchmark: "{work}/benchmarks/{name}.tsv"
    shell: "(. ./before-{name}; {command}) > {{log}} 2>&1"
"""
RULES = {
    "a": ('"config/claims.yaml"', "(cat {input}; echo {params.setting}; head -c 1100000 /dev/zero) > {output}"),
    "b": (f'"{WORK}/a.txt"', "cp {input} {output}"),
    "c": (f'"{WORK}/b.txt"', "head -n 2 {input} > {output}"),
    "d": ("[]", "echo beside {params.setting} > {output}"),
}
FIRST = {"a": 2, "d": 1}  # on one core, what runs before the others
# Python's clock, and the times that Python gives to files, are as many seconds off as the file `clock` says.
LEAP = """
import os
import time

real, utime = time.time_ns, os.utime

def now():
    with open(os.environ["TOY_CLOCK"]) as file:
        return real() + int(float(file.read()) * 1e9)

def touch(path, times=None, *, ns=None, **options):
    if times is None:
        return utime(path, ns=ns or (now(), now()), **options)
    return utime(path, times, **options)

time.time_ns, time.time, os.utime = now, lambda: now() / 1e9, touch
os.supports_follow_symlinks.add(touch)
"""


def build(folder: Path) -> Path:
    """Write the workflow; its settings are the files `setting` and `config/claims.yaml`."""
    (folder / "config/scales").mkdir(parents=True)
    (folder / "config/scales/toy.yaml").write_text("scale: toy")
    (folder / "config/claims.yaml").write_text("one\n")
    os.utime(folder / "config/claims.yaml", (1e9, 1e9))
    (folder / "setting").write_text("first")
    head = f'SETTING = open("setting").read()\n\nrule all:\n    default_target: True\n    input: "{WORK}/c.txt"\n'
    rules = [
        RULE.format(
            name=name, work=WORK, input=wanted, command=command, priority=FIRST.get(name, 0),
            setting="SETTING" if "{params" in command else '""',
        )
        for name, (wanted, command) in RULES.items()
    ]  # fmt: skip
    (folder / "Snakefile").write_text(head + "".join(rules))
    for name in RULES:
        before(folder, name, "")
    (folder / "patch").mkdir()
    (folder / "patch/sitecustomize.py").write_text(LEAP)
    set_clock(folder, 0)
    return folder


def before(folder: Path, name: str, commands: str) -> None:
    """What the job `name` does before its work; the colon, since bash may end with a sourced file's last program."""
    (folder / f"before-{name}").write_text(f"{commands}\n:\n")


def leap(seconds: float) -> str:
    """Shell commands that set the clock."""
    return f"echo {seconds} > clock-new; mv clock-new clock"


def set_clock(folder: Path, seconds: float) -> None:
    (folder / "clock").write_text(str(seconds))


def start(folder: Path, *targets: str) -> subprocess.Popen[str]:
    """`revision reproduce` in a session of its own."""
    paths = [str(folder / "patch"), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "TOY_CLOCK": str(folder / "clock")}
    return subprocess.Popen(
        [*REVISION, "reproduce", "--scale", "toy", "--cores", "1", *targets],
        cwd=folder, env=environment, text=True, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def run(folder: Path, *targets: str) -> tuple[int, str]:
    """The exit code of `revision reproduce` and what it says, in one line."""
    process = start(folder, *targets)
    said, _ = process.communicate(timeout=120)
    return process.returncode, " ".join(said.split())


def made(folder: Path) -> str:
    """What the last job has made."""
    return " ".join((folder / WORK / "c.txt").read_text().split())


def event(folder: Path, name: str) -> str:
    """Pipes in `folder`, and the shell commands that say through one that a job is there, and wait for the other."""
    os.mkfifo(folder / f"{name}-there")
    os.mkfifo(folder / f"{name}-go")
    return f"echo there > {name}-there; cat {name}-go"
