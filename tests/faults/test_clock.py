"""The system's clock leaps while a run works, and files bear any times: the same bytes, no nonsense on the screen."""

import io
import json
import os
import re
import time

import pytest
from rich.console import Console
from toy import WORK, before, build, leap, made, run, set_clock

from revision.cli.progress import Display, spoken
from revision.jobs import Duration, Durations, Job, Progress, read_benchmarks, read_table
from revision.resume import EVENTS, PLAN, renew, settle, undone

DAY = 86400
NONSENSE = re.compile(r"-\d+ (s|min|h)\b|-\d+\.\d+ minutes|nan|inf\b|\d{4,} h")
UNDISTURBED = "one first"


@pytest.fixture
def toy(tmp_path):
    return build(tmp_path)


@pytest.mark.slow
def test_a_clock_set_back_stops_the_run_with_the_reason_and_a_repeat_ends_it(toy):
    before(toy, "b", leap(-20 * 365 * DAY))
    code, said = run(toy)
    assert code == 1 and not (toy / WORK / "b.txt").exists()
    assert re.search(r"failed: b the system's clock went back, .* repeat the command its log .*logs/b.log", said), said
    assert not NONSENSE.search(said)
    code, said = run(toy)
    assert (code, made(toy)) == (0, UNDISTURBED), said
    assert not NONSENSE.search(said)


@pytest.mark.slow
def test_a_clock_set_forward_and_back_again_neither_stops_a_run_nor_hides_a_change(toy):
    before(toy, "b", leap(20 * 365 * DAY))
    code, said = run(toy)
    assert (code, made(toy)) == (0, UNDISTURBED), said
    assert not NONSENSE.search(said)
    assert "b" not in read_benchmarks(toy / WORK / "benchmarks")
    before(toy, "b", "")
    set_clock(toy, 0)
    (toy / "setting").write_text("second")
    code, said = run(toy)
    assert (code, made(toy)) == (0, "one second"), said
    assert not NONSENSE.search(said)


@pytest.mark.slow
def test_results_from_before_a_leap_back_never_pass_for_those_after_it(toy):
    """The first job is done anew at an earlier time than what follows from it was; then the run is killed elsewhere."""
    both = f"{WORK}/c.txt", f"{WORK}/d.txt"
    assert run(toy, *both)[0] == 0
    (toy / "setting").write_text("second")
    before(toy, "a", leap(-7200))
    before(toy, "d", "kill -9 0")
    before(toy, "b", "exit 7")
    assert run(toy, *both)[0] == -9
    assert (toy / WORK / "a.txt").stat().st_mtime < (toy / WORK / "b.txt").stat().st_mtime
    for name in "abd":
        before(toy, name, "")
    code, said = run(toy, *both)
    assert (code, made(toy)) == (0, "one second"), said


@pytest.mark.slow
def test_files_with_times_of_the_future_and_of_the_past_change_nothing(toy):
    assert run(toy)[0] == 0
    files = [path for part in ("results", "config") for path in sorted((toy / part).rglob("*")) if path.is_file()]
    backwards = {path: DAY * (1 + place) for place, path in enumerate(files[::-1])}
    for sign, claim in ((1, "one"), (-1, "two")):
        for path, seconds in backwards.items():
            os.utime(path, (time.time() + sign * seconds,) * 2)
        (toy / "config/claims.yaml").write_text(f"{claim}\n")
        os.utime(toy / "config/claims.yaml", (time.time() + sign * 100 * DAY,) * 2)
        code, said = run(toy)
        assert (code, made(toy)) == (0, f"{claim} first"), said
        assert all(path.stat().st_mtime <= time.time() for path in files)
    code, said = run(toy)
    assert code == 0 and "jobs" not in said, said


def test_times_of_the_future_keep_their_order_and_others_stay(tmp_path):
    now = time.time_ns()
    times = {"old": now - 5, "late": now + 10**15, "later": now + 10**18, "twin": now + 10**15}
    (tmp_path / "inner").mkdir()
    os.utime(tmp_path / "inner", ns=(now - 9, now - 9))
    for name, when in times.items():
        (tmp_path / name).touch()
        os.utime(tmp_path / name, ns=(when, when))
    (tmp_path / "link").symlink_to("nowhere")
    os.utime(tmp_path / "link", ns=(now + 1, now + 1), follow_symlinks=False)
    os.utime(tmp_path / "inner", ns=(now - 9, now - 9))
    assert settle([tmp_path], now) == 4
    found = {name: (tmp_path / name).lstat().st_mtime for name in (*times, "link")}
    assert found["link"] < found["late"] == found["twin"] < found["later"]
    assert (tmp_path / "later").stat().st_mtime_ns == now
    assert (tmp_path / "old").stat().st_mtime_ns == now - 5
    assert settle([tmp_path], now) == 0


def test_another_content_counts_whatever_its_time(tmp_path):
    inputs, results = tmp_path / "config", tmp_path / "results"
    inputs.mkdir()
    for name in ("same", "other"):
        (inputs / name).write_text("one")
        os.utime(inputs / name, (1, 1))
    renew(inputs, results)
    assert [path.stat().st_mtime for path in inputs.iterdir()] == [1, 1]
    (inputs / "other").write_text("two")
    os.utime(inputs / "other", (2, 2))
    renew(inputs, results)
    assert (inputs / "same").stat().st_mtime == 1
    assert abs((inputs / "other").stat().st_mtime - time.time()) < 60


def events(results, walls):
    """Two jobs of a run; the first ends. `walls` are what the wall clock said at each of the three events."""
    kinds = [("job_info", "a"), ("job_finished", "a"), ("job_info", "b")]
    lines = [
        {"event": kind, "time": 100.0 + place, "wall": wall, "rule": name, "wildcards": {}, "log": [f"{name}.log"],
         "output": [name], "benchmark": None, "job": "ab".index(name)}
        for place, ((kind, name), wall) in enumerate(zip(kinds, walls, strict=True))
    ]  # fmt: skip
    (results / EVENTS).parent.mkdir(parents=True, exist_ok=True)
    (results / EVENTS).write_text("".join(json.dumps(line) + "\n" for line in lines))
    (results / PLAN).write_text(json.dumps({"planned": ["a", "b", "c"], "again": ["a", "z"]}))


def test_what_a_run_left_undone_is_known_and_all_of_its_plan_after_a_leap_back(tmp_path):
    assert undone(tmp_path) == set()
    events(tmp_path, [1000.0, 1001.0, 1002.0])
    assert undone(tmp_path) == {"b", "z"}
    events(tmp_path, [1000.0, 901.0, 902.0])
    assert undone(tmp_path) == {"b", "c", "z"}
    events(tmp_path, [1000.0, 9001.0, 9002.0])
    assert undone(tmp_path) == {"b", "z"}


def test_no_nonsense_is_shown_for_times_that_a_leap_made(tmp_path):
    (tmp_path / "work/benchmarks").mkdir(parents=True)
    for name, seconds in {"back": -7200, "years": 6e8, "unknown": "nan", "good": 60}.items():
        (tmp_path / f"work/benchmarks/{name}.tsv").write_text(f"s\tcpu_time\tmax_rss\n{seconds}\t1\t1\n")
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables/durations.csv").write_text("job,seconds,cpu_seconds,peak_mb\nold,-3,1,1\n")
    assert read_table(tmp_path / "tables/durations.csv") == {}
    durations = Durations(tmp_path)
    assert durations.jobs == {"good": Duration(60.0, 1.0, 1.0)}
    jobs = [Job(name, (), ("log",), f"x/benchmarks/{name}.tsv") for name in ("back", "years", "unknown", "good")]
    words = io.StringIO()
    display = Display(jobs, durations, 1, Console(file=words, width=100))
    begun = Progress(running={1: (jobs[3], 1000.0)}, finished=[(jobs[0], -7200.0)])
    assert display.left(begun, 0.0) == "more than 60 s left, 2 jobs never timed"  # begun later than now: no time gone
    Console(file=words, width=100).print(display.render(begun, 0.0))
    display.print_news(begun, 0.0)
    assert "good  0 s" in words.getvalue() and "back took 0 s" in words.getvalue()
    assert not NONSENSE.search(words.getvalue()), words.getvalue()
    assert spoken(-90) == "0 s"
