"""One run at a time in a folder; what is asked wrongly is named before anything starts; what a run shows."""

import io
import json
import subprocess
import sys
import textwrap

import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from revision.cli.progress import Display, follow, spoken
from revision.cli.reproduce import is_locked, only_run, register
from revision.errors import ConfigError, RevisionError
from revision.jobs import Durations, Job, Progress


def revision(*words, cwd):
    return subprocess.run([sys.executable, "-c", "from revision.cli import main; main()", *words], cwd=cwd,
                          capture_output=True, text=True)  # fmt: skip


def test_a_second_run_is_refused_with_the_reason(tmp_path):
    with only_run(tmp_path), pytest.raises(RevisionError, match="another run is working there"), only_run(tmp_path):
        pass
    with only_run(tmp_path):
        pass


def test_the_lock_of_a_killed_run_is_free(tmp_path):
    script = f"""
        import os, signal, pathlib
        from revision.cli.reproduce import only_run
        with only_run(pathlib.Path({str(tmp_path)!r})):
            os.kill(os.getpid(), signal.SIGKILL)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)])
    assert done.returncode == -9
    with only_run(tmp_path):
        pass


def test_the_lock_lasts_as_long_as_the_workflow(tmp_path):
    with only_run(tmp_path) as lock:
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=[lock.fileno()])
    with pytest.raises(RevisionError), only_run(tmp_path):
        pass
    child.communicate(b"\n")
    with only_run(tmp_path):
        pass


def test_unknown_scale_and_wrong_folder_are_named(tmp_path):
    elsewhere = revision("reproduce", cwd=tmp_path)
    assert elsewhere.returncode == 1 and "no Snakefile here" in elsewhere.stderr
    (tmp_path / "Snakefile").touch()
    (tmp_path / "config/scales").mkdir(parents=True)
    (tmp_path / "config/scales/tiny.yaml").touch()
    unknown = revision("reproduce", "--scale", "huge", cwd=tmp_path)
    assert unknown.returncode == 1 and "'huge' does not exist; the scales are tiny" in unknown.stderr


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A folder that looks like a checkout with results of two scales."""
    (tmp_path / "Snakefile").touch()
    (tmp_path / "config/scales").mkdir(parents=True)
    for scale in ("tiny", "laptop"):
        (tmp_path / f"config/scales/{scale}.yaml").touch()
        for part in ("work/data", "figures"):
            (tmp_path / "results" / scale / part).mkdir(parents=True)
        (tmp_path / "results" / scale / "report.html").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run():
    app = typer.Typer()
    register(app)
    return lambda *words, answer="": CliRunner().invoke(app, words, input=answer)


def test_clean_asks_and_keeps_what_is_committed(checkout, run):
    assert run("clean", "--scale", "tiny", answer="n\n").exit_code == 1
    assert (checkout / "results/tiny/work").is_dir()
    assert run("clean", "--scale", "tiny", answer="y\n").exit_code == 0
    assert sorted(path.name for path in (checkout / "results/tiny").iterdir()) == ["figures", "report.html"]
    assert (checkout / "results/laptop/work/data").is_dir()


def test_clean_all_removes_one_scale_and_nothing_else(checkout, run):
    assert run("clean", "--scale", "tiny", "--all", "--yes").exit_code == 0
    assert not (checkout / "results/tiny").exists() and (checkout / "results/laptop/figures").is_dir()
    assert "nothing there" in run("clean", "--scale", "tiny", "--yes").stdout


def test_clean_refuses_a_run_under_way_and_a_way_out_of_the_results(checkout, run):
    with only_run(checkout / "results/tiny/work"):
        assert isinstance(run("clean", "--scale", "tiny", "--yes").exception, RevisionError)
        assert is_locked(checkout / "results/tiny/work")
    assert not is_locked(checkout / "results/tiny/work")
    precious = checkout / "precious"
    (checkout / "results/laptop/work").rename(precious)
    (checkout / "results/laptop/work").symlink_to(precious)
    refused = run("clean", "--scale", "laptop", "--yes").exception
    assert isinstance(refused, ConfigError) and "nothing outside" in str(refused)
    assert (precious / "data").is_dir()
    assert isinstance(run("clean", "--scale", "../..", "--all", "--yes").exception, ConfigError)


def timed(folder, name, seconds):
    path = folder / f"work/benchmarks/{name}.tsv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"s\tcpu_time\tmax_rss\n{seconds}\t{seconds}\t1\n")
    return Job(name, (), ("log",), f"x/benchmarks/{name}.tsv")


def test_a_rule_that_was_never_timed_is_timed_by_its_jobs_of_this_run(tmp_path):
    known, *new = [timed(tmp_path, "known", 100.0), *(Job("train", (str(k),), ("log",), f"x/benchmarks/s/{k}.tsv")
                                                      for k in range(4))]  # fmt: skip
    display = Display([known, *new], Durations(tmp_path), 2, Console(file=io.StringIO()))
    assert display.left(Progress(), 0.0) == "more than 2 min left, 4 jobs never timed"
    # Everything takes twice as long as before: two trainings took 500 s each, two are left for two cores.
    state = Progress(finished=[(known, 200.0), (new[0], 400.0), (new[1], 600.0)])
    assert display.left(state, 0.0) == "about 8 min left"


def test_time_left_follows_the_pace_of_this_run(tmp_path):
    first, second = timed(tmp_path, "first", 100.0), timed(tmp_path, "second", 300.0)
    words = io.StringIO()
    display = Display(
        [first, second, Job("report", (), ("log",))], Durations(tmp_path), 1, Console(file=words, width=80)
    )
    assert display.left(Progress(), 0.0) == "more than 7 min left, 1 job never timed"
    twice_as_slow = Progress(finished=[(first, 200.0)], running={2: (second, 1000.0)})
    assert display.left(twice_as_slow, 1060.0) == "more than 9 min left, 1 job never timed"  # 600 - 60 seconds
    display.print_news(twice_as_slow, 1060.0)
    display.print_news(twice_as_slow, 1061.0)
    assert words.getvalue() == "[1/3] first took 3 min, more than 9 min left, 1 job never timed\n"
    Console(file=words, width=100).print(display.render(twice_as_slow, 1060.0))
    assert "1/3 jobs" in words.getvalue() and "second  60 s" in words.getvalue()


def test_time_spans_are_said_as_people_do():
    assert [spoken(seconds) for seconds in (4.4, 89, 600, 11100)] == ["4 s", "89 s", "10 min", "3 h 05 min"]


class Process:
    """Stands for Snakemake's: each wait ends as `waits` says, None for the end of the process."""

    def __init__(self, *waits):
        self.waits = list(waits)

    def wait(self, seconds):
        if (error := self.waits.pop(0)) is not None:
            raise error


@pytest.mark.parametrize("terminal", [True, False])
def test_a_run_is_followed_to_its_end_through_an_interrupt(tmp_path, terminal):
    words, events = io.StringIO(), tmp_path / "events.jsonl"
    (tmp_path / "align.log").write_text("no such column\n")
    jobs = [Job(rule, (), (str(tmp_path / f"{rule}.log"),)) for rule in ("embed", "align")]
    about = {"event": "job_info", "wildcards": {}, "benchmark": None, "time": 100.0}
    lines = [about | {"job": number, "rule": job.rule, "log": list(job.logs)} for number, job in enumerate(jobs)]
    lines += [{"event": "job_finished", "job": 0, "time": 104.0}, {"event": "job_error", "job": 1, "time": 105.0}]
    events.write_text("".join(json.dumps(line) + "\n" for line in lines))
    console = Console(file=words, width=100, force_terminal=terminal)
    still = subprocess.TimeoutExpired("snakemake", 0.5)
    process = Process(still, KeyboardInterrupt(), still, None)
    state = follow(process, events, Display(jobs, Durations(tmp_path), 1, console))
    assert process.waits == [] and [job.rule for job in state.failed] == ["align"]
    said = words.getvalue()
    assert said.count("failed: align") == said.count("no such column") == said.count("stopping: the running jobs") == 1
    assert ("1/2 jobs" in said) == terminal and ("[1/2] embed took 4 s" in said) != terminal
