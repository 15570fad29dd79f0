"""What is left, how long it takes and what failed are read from Snakemake's events and benchmark files."""

import json

import pytest

from revision.jobs import (
    Duration,
    Durations,
    Job,
    Progress,
    durations_csv,
    estimate,
    failure,
    read_benchmarks,
    read_events,
    read_table,
)

HEAD = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time\n"


def info(number, rule, at, wildcards=None, log="work/logs/one.log", benchmark=None):
    return {"event": "job_info", "time": at, "rule": rule, "wildcards": wildcards or {}, "log": [log] if log else [],
            "benchmark": benchmark, "job": number}  # fmt: skip


@pytest.fixture
def results(tmp_path):
    """Two timed jobs of stage1, one of them too short for Snakemake to measure its CPU time."""
    folder = tmp_path / "work/benchmarks/stage1"
    folder.mkdir(parents=True)
    (folder / "c3_seed0.tsv").write_text(HEAD + "10.0\t0:00:10\t800\t0\t0\t0\t0\t0\t90\t9.0\n")
    (folder / "blind_seed0.tsv").write_text(HEAD + "20.0\t0:00:20\t-\t-\t-\t-\t-\t-\t-\tNA\n")
    return tmp_path


def job(name):
    return Job("pretrain", (name, "seed0"), ("log",), f"results/x/work/benchmarks/stage1/{name}_seed0.tsv")


def test_events_become_running_finished_and_failed_jobs():
    events = [
        info(1, "embed", 100.0, {"table": "text", "seed": "3"}), info(2, "align", 101.0),
        info(3, "all", 101.0, log=None), info(4, "report", 102.0), {"event": "job_finished", "job": 1, "time": 107.5},
        {"event": "job_error", "job": 2, "time": 108.0}, {"event": "job_finished", "job": 3, "time": 109.0},
    ]  # fmt: skip
    state = Progress.of(events)
    assert [(one.label, seconds) for one, seconds in state.finished] == [("embed text seed3", 7.5)]
    assert [one.label for one in state.failed] == ["align"]
    assert [(one.label, start) for one, start in state.running.values()] == [("report", 102.0)]


def test_the_half_line_of_a_killed_run_is_left_out(tmp_path):
    path = tmp_path / "events.jsonl"
    path.write_text(json.dumps(info(1, "embed", 1.0)) + "\n" + '{"event": "job_fini')
    assert [one["event"] for one in read_events(path)] == ["job_info"]
    assert read_events(tmp_path / "none.jsonl") == []


def test_a_job_is_timed_by_itself_then_by_its_rule_then_not_at_all(results):
    durations = Durations(results)
    assert durations.of(job("c3")) == Duration(10.0, 9.0, 800.0)
    assert durations.of(job("blind")) == Duration(20.0, 0.0, 0.0)
    assert durations.of(job("new")).seconds == 15.0
    assert durations.of(Job("report")) is None
    assert durations.of(Job("tasks", benchmark="results/x/work/benchmarks/tasks.tsv")) is None


def test_a_committed_table_stands_in_and_this_folder_wins(results):
    table = {"stage1/c3_seed0": Duration(99.0, 99.0, 1.0), "tasks": Duration(4.0, 3.0, 100.0)}
    (results / "tables").mkdir()
    (results / "tables/durations.csv").write_text(durations_csv(table))
    assert read_table(results / "tables/durations.csv") == table
    durations = Durations(results)
    assert durations.of(job("c3")).seconds == 10.0
    assert durations.of(Job("tasks", benchmark="x/benchmarks/tasks.tsv")).seconds == 4.0
    assert read_benchmarks(results / "nowhere") == {}


def test_the_estimate_shares_the_work_but_never_cuts_a_job(results):
    durations = Durations(results)
    both = [job("c3"), job("blind")]
    assert estimate(both, durations, 1).seconds == 30.0
    assert estimate(both, durations, 2).seconds == 20.0  # the longer of the two
    assert estimate([*both, Job("report")], durations, 1).unknown == 1
    assert estimate([], durations, 2).seconds == 0.0


def test_a_failure_names_the_job_its_log_and_the_last_lines(tmp_path):
    (tmp_path / "one.log").write_text("\n".join(f"line {number}" for number in range(40)))
    said = failure(Job("align", ("c3",), ("one.log", "none.log")), tmp_path)
    assert said.startswith("failed: align c3\n  its log one.log ends with")
    assert "line 39" in said and "line 25" in said and "line 24" not in said
    assert "none.log is empty" in said
