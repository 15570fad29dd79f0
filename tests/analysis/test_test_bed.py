"""The rules of the test bed, on tables whose answer is known."""

import pandas as pd
import pytest
import test_bed
from working_folder import ROOT

from revision.config import load
from revision.data.scenes import World

SUITES = World().suites()


def tables(accuracy=80.0, apart=0.5, gain=1.0):
    metrics = ["centroid gap", "residual anisotropy (largest eigenvalue over the mean)", "image trace"]
    facts = pd.DataFrame({"caption": "short", "metric": metrics, "value": [0.7, 8.0, 0.3]})
    losses = pd.DataFrame(
        {"method": "paired", "encoder": [0, 0, 1, 1], "seed": [0, 1, 0, 1], "caption_loss": [1.0, 1.2, 1.1, 1.1]}
    )
    losses["other_image_loss"] = losses.caption_loss + apart
    cell = {"stage": "stage2", "value": accuracy, "low": accuracy - 1, "high": accuracy + 1}
    scores = pd.DataFrame([cell | {"method": "paired", "suite": suite} for suite in SUITES])
    difference = {"difference": gain, "difference_low": gain - 1, "difference_high": gain + 1}
    larger = pd.DataFrame([{"stage": "stage2", "method": "large", "group": "all"} | difference])
    return facts, losses, scores, larger


def test_a_bed_that_meets_all_rules():
    table = test_bed.measure(World(), *tables())
    assert table.holds.all() and table.rule.tolist() == [1, 1, 2, *[3] * len(SUITES), 4]
    assert table.value[2] == pytest.approx(0.5) and table.low[2] == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("changes", "missed"),
    [
        ({"accuracy": 96.0}, {3}),  # above the ceiling
        ({"accuracy": 48.0}, {3}),  # less than 15 points above chance where that is a third or a half
        ({"apart": 0.3}, {2}),
        ({"gain": -0.5}, {4}),
    ],
)
def test_a_rule_that_is_missed(changes, missed):
    table = test_bed.measure(World(), *tables(**changes))
    assert set(table.rule[~table.holds]) == missed
    if changes == {"accuracy": 48.0}:
        low = {suite for suite in SUITES if 100 * World().chance(suite) + 15 > 48}
        assert (~table.holds).sum() == len(low) and "count" in low and "colour" not in low


def test_without_a_larger_language_model():
    assert test_bed.measure(World(), *tables()[:3], None).rule.max() == 3


def test_the_rule_runs_at_the_scales_with_generated_suites():
    for scale in ("laptop", "tiny"):
        assert "paired" in load(ROOT / "config", scale).trained
