"""Killed at random moments and resumed by the same command, a run ends with the bytes of one that nobody disturbed.

Undisturbed: two cores. Killed: one core or two, drawn anew each time. So this also says that bytes depend neither on
the run nor on the number of cores. `python tests/faults/campaign.py --kills 50` is the long version (docs/faults.md).
"""

import json
from pathlib import Path

import pytest
from campaign import campaign, differences, undisturbed

KILLS = 6
RECORD = Path(__file__).parents[2] / "results/benchmarks/faults.json"


@pytest.mark.slow
def test_a_run_killed_again_and_again_ends_with_the_same_bytes(tmp_path):
    wanted = undisturbed(tmp_path)
    assert {"work/scores/seed0.parquet", "figures/figure_3.csv"} <= wanted.keys()
    found = campaign(tmp_path, KILLS, seed=1)
    assert len(found["kills"]) == KILLS
    assert [differences(wanted, end) for end in found["ends"]] == [[]] * len(found["ends"])


def test_the_recorded_campaign_had_fifty_kills_and_no_difference():
    record = json.loads(RECORD.read_text(encoding="utf-8"))
    assert record["kills"] == len(record["moments"]) >= 50
    assert record["files_compared"] > 50 and not any(record["files_that_differ"])
