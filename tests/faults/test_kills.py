"""Killed at random moments and resumed by the same command, a run ends with the bytes of one that nobody disturbed.

Undisturbed: two cores. Killed: one core or two, drawn anew each time. So this also says that bytes depend neither on
the run nor on the number of cores. `python tests/faults/campaign.py --kills 50` is the long version (docs/faults.md).
"""

import json
import re
import time
from pathlib import Path

import pytest
from campaign import Work, campaign, undisturbed
from digests import CUT_OUT, compared, differences, digests

from revision.jobs import Job, Progress

KILLS = 6
RESULTS = Path(__file__).parents[2] / "results"
RECORD = RESULTS / "benchmarks/faults.json"


@pytest.mark.slow
def test_a_run_killed_again_and_again_ends_with_the_same_bytes(tmp_path):
    wanted, seconds = undisturbed(tmp_path)
    assert {"work/answers/seed0.parquet", "figures/figure_3.csv"} <= wanted.keys()
    found = campaign(tmp_path, KILLS, seed=1, seconds=seconds)
    assert len(found["kills"]) == KILLS
    assert [differences(wanted, end) for end in found["ends"]] == [[]] * len(found["ends"])


def test_the_recorded_campaign_had_fifty_kills_and_no_difference():
    record = json.loads(RECORD.read_text(encoding="utf-8"))
    assert record["kills"] == len(record["moments"]) >= 50
    assert record["files_compared"] > 50 and not any(record["files_that_differ"])


def test_work_is_counted_over_all_starts_of_a_run():
    first, second, third = (Job(name, (), ("log",)) for name in ("first", "second", "third"))
    work, now = Work({"first": 10.0, "second": 20.0, "third": 30.0}), time.monotonic()
    assert work.total == 60
    assert work.at(Progress(finished=[(first, 3.0)], running={2: (second, now - 5)})) == pytest.approx(15, abs=1)
    assert work.at(Progress()) == 10
    again = Progress(finished=[(second, 3.0)], running={1: (first, now - 99), 3: (third, now - 99)})
    assert work.at(again) == 60  # the first job's second time is no work; the third's is no more than it needs


@pytest.mark.parametrize("name", CUT_OUT)
def test_what_is_not_compared_of_a_file_is_there_and_all_else_is_compared(name):
    content = (RESULTS / "laptop" / name).read_bytes()
    rest = compared(name, content)
    assert len(rest) > 0.9 * len(content)
    for pattern in CUT_OUT[name]:
        part = re.search(pattern.encode(), content, re.DOTALL if name.endswith("html") else 0)
        assert part, f"{name}: {pattern} finds nothing"
        middle = sum(part.span()) // 2
        assert compared(name, content[:middle] + b"9" + content[middle:]) == rest
    assert compared(name, content.replace(b"figure 8", b"figure 9")) != rest


def test_digests_leave_out_what_clocks_measure_and_nothing_else(tmp_path):
    results = {"report.html", "work/stage1/c3/.weights.part", "figures/figure_7a.csv"}
    clocks = {"work/logs/a.log", "work/benchmarks/a/b.tsv", "tables/durations.csv", "work/dynamics/seed0/timing.json"}
    for name in (*results, *clocks, "figures/figure_7b.csv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    assert digests(tmp_path).keys() == results
