"""Verdicts: the criteria stay as they were written, and follow from the intervals alone."""

import numpy as np
import pytest
from scipy.stats import t

from revision.dynamics.verdicts import CLAIMS, Claim, Part, verdicts
from revision.errors import DataError

# Written before the first result. A change here is a change of what the project claims to have tested.
WRITTEN = {
    "leak_over_isotropic": ("below", 0.5),
    "leak_baseline_distance": ("below", 0.1),
    "leak_baseline_correlation": ("above", 0.5),
    "gamma_cosine": ("above", 0.95),
    "gamma_drift_end": ("below", 0.5),
    "delta_condition_ratio": ("above", 3.0),
    "delta_condition_ratio_min": ("above", 3.0),
    "rho_eig_early": ("above", 0.8),
    "rho_eig": ("above", 0.8),
    "rho_eig_over_chance": ("above", 0.0),
    "zeta_condition_ratio": ("above", 1.0),
    "gamma_angle": ("above", 80.0),
}

LOW = Part("leak", "below", 0.5, "low")
HIGH = Part("cosine", "above", 0.9, "high")
CLAIM = Claim("z", "leaks little and keeps its direction", (LOW, HIGH))


def test_the_criteria_are_those_written_before_the_results():
    assert {part.metric: (part.side, part.threshold) for claim in CLAIMS for part in claim.parts} == WRITTEN
    assert [claim.panel for claim in CLAIMS] == list("abcd")


@pytest.mark.parametrize(
    ("leaks", "cosines", "parts", "whole"),
    [
        ([0.1, 0.11, 0.12], [0.99, 0.99, 0.98], ["supported", "supported"], "supported"),
        ([0.9, 0.91, 0.92], [0.99, 0.99, 0.98], ["contradicted", "supported"], "contradicted"),
        ([0.1, 0.9, 0.5], [0.99, 0.99, 0.98], ["inconclusive", "supported"], "inconclusive"),
        ([0.1, 0.9, 0.5], [0.1, 0.11, 0.12], ["inconclusive", "contradicted"], "contradicted"),
        ([0.1], [0.99], ["inconclusive", "inconclusive"], "inconclusive"),
    ],
)
def test_a_part_is_judged_by_its_interval_and_a_claim_by_its_parts(leaks, cosines, parts, whole):
    table = verdicts([{"leak": a, "cosine": b} for a, b in zip(leaks, cosines, strict=True)], [CLAIM])
    assert table.verdict.tolist() == parts
    assert set(table.claim_verdict) == {whole}
    assert table.seeds.tolist() == [len(leaks)] * 2


def test_the_interval_is_students():
    values = [0.2, 0.25, 0.33]
    table = verdicts([{"leak": value, "cosine": 1.0} for value in values], [CLAIM]).set_index("metric")
    low, high = t.interval(0.95, 2, np.mean(values), np.std(values, ddof=1) / np.sqrt(3))
    assert table.loc["leak", ["low", "high"]].tolist() == pytest.approx([low, high])


def test_a_summary_without_the_metric_is_named():
    with pytest.raises(DataError, match="summary 1: no metric 'cosine'"):
        verdicts([{"leak": 0.1, "cosine": 1.0}, {"leak": 0.1}], [CLAIM])
