"""`revision reproduce` on a toy workflow: what it prints, how it stops and resumes, and that nothing stale is left."""

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress

import pytest
from workflow_copy import HANGS, kill, revision, start_reproduce

from revision.cli.reproduce import check_targets, essential, explained, made_for
from revision.errors import ConfigError

pytestmark = pytest.mark.slow
WORK = "results/toy/work"
SNAKEFILE = f"""
SETTING = open("setting").read()

rule all:
    default_target: True
    input: "{WORK}/c.txt"

rule a:
    \"\"\"The first file.\"\"\"
    input: "config/input"
    output: "{WORK}/a.txt"
    params: setting=SETTING
    log: "{WORK}/logs/a.log"
    shell: "(. ./before-a; cat {{input}} > {{output}}; echo {{params.setting}} >> {{output}}) > {{log}} 2>&1"

rule b:
    input: "{WORK}/a.txt"
    output: "{WORK}/b.txt"
    log: "{WORK}/logs/b.log"
    shell: "(. ./before-b; cp {{input}} {{output}}) > {{log}} 2>&1"

rule c:
    input: "{WORK}/b.txt"
    output: "{WORK}/c.txt"
    log: "{WORK}/logs/c.log"
    shell: "cp {{input}} {{output}} > {{log}} 2>&1"
"""


@pytest.fixture
def toy(tmp_path):
    """Three jobs in a row; each of the first two runs a piece of shell that a test may plant."""
    (tmp_path / "config/scales").mkdir(parents=True)
    (tmp_path / "config/scales/toy.yaml").write_text("scale: toy")
    (tmp_path / "config/input").write_text("one\n")
    (tmp_path / "setting").write_text("first")
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    before(tmp_path, "a", "")
    before(tmp_path, "b", "")
    return tmp_path


def before(folder, name, commands):
    """What the job `name` does before its work; the colon, since bash may replace itself by a file's last program."""
    (folder / f"before-{name}").write_text(f"{commands}\n:\n")


def run(folder, *words):
    return revision(folder, "reproduce", "--scale", "toy", "--cores", "1", *words)


def made(folder):
    return " ".join((folder / WORK / "c.txt").read_text().split())


def write_end(pipe, process):
    """Open the pipe as soon as a job reads from it; fail if the run ends before."""
    while process.poll() is None:
        with suppress(OSError):  # nobody reads yet
            return os.fdopen(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK), "w")
        time.sleep(0.05)
    pytest.fail(process.stdout.read())


@contextmanager
def waiting(toy):
    """A run and the open end of a pipe; its second job reads from the pipe until that end is closed.

    The job is known to run once it reads: a signal that comes while bash starts a program can get lost.
    """
    (toy / "go").unlink(missing_ok=True)
    os.mkfifo(toy / "go")
    before(toy, "b", "cat go")
    process = start_reproduce(toy, "--scale", "toy", "--cores", "1")
    try:
        with write_end(toy / "go", process) as go:
            before(toy, "b", "")
            yield process, go
    finally:
        kill(process)


def test_a_run_ends_with_the_place_of_the_report_and_its_repeat_does_nothing(toy):
    first = run(toy)
    assert first.returncode == 0 and made(toy) == "one first"
    lines = first.stdout.splitlines()
    assert lines[0] == "Planning scale toy; logs of its jobs: results/toy/work/logs"
    assert [line[7:] for line in lines[1:-1]] == [
        "0 of 4 jobs done",
        *("start  a", "done   a (1 of 4 jobs done)"),
        *("start  b", "done   b (2 of 4 jobs done)"),
        *("start  c", "done   c (3 of 4 jobs done)"),
        *("start  all", "done   all (4 of 4 jobs done)"),
    ]
    assert re.fullmatch(rf"Done in \d\.\d minutes: {toy}/results/toy/report.html", lines[-1])
    again = run(toy)
    assert again.returncode == 0 and "Nothing to be done" in again.stdout


def test_a_dry_run_counts_the_jobs_says_why_and_makes_nothing(toy):
    done = run(toy, "-n")
    assert done.returncode == 0 and done.stdout.count("Job stats") == 1
    assert "output files have to be generated:\n        a, b, c" in done.stdout and not (toy / WORK).exists()
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "individual jobs above" not in done.stdout and "revision preflight --scale toy" in done.stdout


def test_targets_are_listed_and_one_is_made(toy):
    assert run(toy, "--list").stdout.splitlines() == ["a                  The first file.", "all", "b", "c"]
    done = run(toy, "a")
    assert done.returncode == 0 and done.stdout.endswith(f"minutes: {toy}/{WORK}/a.txt\n")
    assert (toy / WORK / "a.txt").exists() and not (toy / WORK / "b.txt").exists()


def test_what_does_not_exist_is_named_in_one_line(toy, tmp_path_factory):
    target = run(toy, "al")
    assert target.returncode == 1 and len(target.stdout.splitlines()) == len(target.stderr.splitlines()) == 1
    assert "target 'al' does not exist; did you mean all" in target.stderr
    scale = revision(toy, "reproduce", "--scale", "huge")
    assert scale.returncode == 1 and "'huge' does not exist; the scales are toy" in scale.stderr
    elsewhere = revision(tmp_path_factory.mktemp("empty"), "reproduce")
    assert elsewhere.returncode == 1 and "no Snakefile here" in elsewhere.stderr


def test_paths_are_left_to_snakemake_and_nothing_close_is_no_guess():
    check_targets(["figure_3", "results/tiny/a.csv"], {"figure_3": ""})
    with pytest.raises(ConfigError, match="'x' does not exist; `revision reproduce --list`"):
        check_targets(["x"], {"figure_3": ""})


def test_of_a_figure_the_image_is_named():
    files = [
        {"output_file": f"results/tiny/figures/{name}", "rule": rule}
        for rule, name in [("figure_3", "figure_3.csv"), ("figure_3", "figure_3.png"), ("score_table", "table_1.csv")]
    ]
    assert made_for(["figure_3"], files) == ["results/tiny/figures/figure_3.png"]
    assert made_for(["table_1"], files) == made_for(["results/tiny/figures/table_1.csv"], files)
    assert made_for(["table_1"], files) == ["results/tiny/figures/table_1.csv"] and made_for(["all"], files) == []


def test_progress_is_short_and_errors_are_whole():
    lines = f"""Building DAG of jobs...
Job stats:
job      count
-----  -------
total       12

Select jobs to execute...
Execute 1 jobs...

[Thu Nov 26 04:26:16 2026]
localrule language_model:
    input: {"x" * 100}
    jobid: 53
    wildcards: llm={"y" * 100}
    resources: tmpdir=/tmp
[Thu Nov 26 04:31:40 2026]
Finished jobid: 53 (Rule: language_model)
1 of 12 steps (8%) done
Error in rule a:
    message: None
    log: a.log
""".splitlines()
    total, start, done, *error = essential(lines)
    assert total.endswith("  0 of 12 jobs done") and done.endswith("  done   language_model (1 of 12 jobs done)")
    assert start[5:].startswith("  start  language_model llm=yyy") and len(start) < 80
    assert error == ["Error in rule a:", "    message: None", "    log: a.log"]


def test_the_reasons_of_a_dry_run_are_wrapped():
    rules = ", ".join(f"rule_{number}" for number in range(40))
    plan = (
        f"Job stats:\njob\n\nJob stats:\na    1\n\nReasons:\n    output files have to be generated:\n        {rules}\n"
    )
    table, heading, reason, *names = [line for line in explained(plan).splitlines() if line and line != "a    1"]
    assert (table, heading, reason) == ("Job stats:", "Reasons:", "    output files have to be generated:")
    assert len(names) > 3 and all(line.startswith(" " * 8 + "rule_") and len(line) < 80 for line in names)
    assert " ".join(line.strip() for line in names) == rules


def test_what_snakemake_refuses_is_passed_on(toy):
    (toy / "Snakefile").write_text('rule one:\n    input: "nowhere.csv"\n')
    done = run(toy)
    assert done.returncode == 1 and "error: Snakemake failed:" in done.stderr
    assert "Missing input files for rule one" in done.stderr and "nowhere.csv" in done.stderr


def test_a_failed_second_run_leaves_nothing_stale(toy):
    assert run(toy).returncode == 0
    for path, content, expected in (("setting", "new", "one new"), ("config/input", "other\n", "other new")):
        (toy / path).write_text(content)
        before(toy, "a", "echo no luck; exit 7")
        failed = run(toy)
        assert failed.returncode == 1 and "no luck" in failed.stdout and "Traceback" not in failed.stderr
        assert failed.stderr == "error: the run stopped; fix the error above, then repeat the command to resume\n"
        before(toy, "a", "")
        assert "\nc            1\n" in run(toy, "-n").stdout
        assert run(toy).returncode == 0 and made(toy) == expected


def test_an_interrupt_is_no_failure_and_the_same_command_resumes(toy):
    for number in (signal.SIGINT, signal.SIGHUP):
        with waiting(toy) as (process, _):
            process.send_signal(number)
            said, _ = process.communicate(timeout=HANGS)
        rest = "(0 of 3 jobs done)" if number == signal.SIGHUP else "(1 of 4 jobs done)"
        assert process.returncode == 130, said
        assert said.endswith(f"\nInterrupted; repeat the command to resume {rest}.\n")
        assert "Error" not in said and "fail" not in said
        with pytest.raises(OSError, match="No such device"):  # no job reads from the pipe any more
            os.open(toy / "go", os.O_WRONLY | os.O_NONBLOCK)
    assert run(toy).returncode == 0 and made(toy) == "one first"


def test_sigterm_ends_the_run_after_the_jobs_that_work(toy):
    with waiting(toy) as (process, go):
        process.terminate()
        said = ""
        while "Will exit after finishing currently running jobs" not in said:
            said += process.stdout.readline() or pytest.fail(said)
        assert process.poll() is None
        go.close()
        said += process.communicate(timeout=HANGS)[0]
    assert process.returncode == 1 and (toy / WORK / "b.txt").exists() and not (toy / WORK / "c.txt").exists(), said


def test_a_killed_run_names_the_lock_and_resumes_to_the_same_bytes(toy):
    assert run(toy).returncode == 0
    (toy / "setting").write_text("new")
    before(toy, "b", "kill -9 0")  # the group: Snakemake and its jobs
    killed = run(toy)
    assert killed.returncode == 1 and "snakemake --unlock --config scale=toy" in killed.stderr
    before(toy, "b", "")
    locked = run(toy)
    assert locked.returncode == 1 and "cannot be locked" in locked.stdout and "scale=toy" in locked.stderr
    subprocess.run([sys.executable, "-m", "snakemake", "--unlock", "--config", "scale=toy"], cwd=toy, check=True)
    assert run(toy).returncode == 0 and made(toy) == "one new"
