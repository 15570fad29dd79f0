"""The leaderboard of encoders: its order, and the metrics that it derives against their definitions."""

import json

import numpy as np
import pytest

from revision.gap.leaderboard import leaderboard
from revision.gap.measure import SuiteSettings, run_suite


def suite(offset, seed, paired=True):
    """What `revision gap --json` prints for two clouds `offset` apart."""
    random = np.random.default_rng(seed)
    image = random.standard_normal((300, 12)) * np.arange(1, 13) ** -0.5
    text = image + 0.6 * random.standard_normal((300, 12)) * np.arange(1, 13) ** -0.5
    text[:, 0] += offset
    result = run_suite(image, text, ["realign", "c3"], paired=paired, settings=SuiteSettings(sample=150))
    return json.loads(json.dumps(result.to_dict(), sort_keys=True))


@pytest.fixture(scope="module")
def suites():
    return {"wide": suite(3, 0), "near": suite(0.5, 1), "unpaired": suite(1.5, 2, paired=False)}


def test_encoders_are_sorted_by_gap_and_methods_start_before_alignment(suites):
    table = leaderboard(suites)
    assert list(dict.fromkeys(table.encoder)) == ["near", "unpaired", "wide"]
    for _, part in table.groupby("encoder"):
        assert list(dict.fromkeys(part["set"])) == ["image", "identity", "c3", "realign"]


def test_every_metric_of_the_suite_is_listed_and_derived_ones_are_as_defined(suites):
    values = leaderboard(suites).set_index(["encoder", "set", "metric"]).value
    assert values.index.is_unique
    for encoder, result in suites.items():
        assert values[encoder, "image", "dimension"] == 12
        for metric, value in result["image"].items():
            assert values[encoder, "image", metric] == value
        before = result["methods"]["identity"]
        for name, numbers in result["methods"].items():
            for metric, value in numbers.items():
                assert (np.isnan(values[encoder, name, metric]) and value is None) or values[
                    encoder, name, metric
                ] == value
            assert values[encoder, name, "gap_closed"] == pytest.approx(
                (before["gap"] - numbers["gap"]) / before["gap"]
            )
            if encoder == "unpaired":
                assert np.isnan(values[encoder, name, "recall"]) and np.isnan(values[encoder, name, "retrieval_cost"])
                continue
            both = [
                np.mean([metrics[f"{way}_at_1"] for way in ("text_to_image", "image_to_text")])
                for metrics in (before, numbers)
            ]
            assert values[encoder, name, "recall"] == pytest.approx(both[1])
            assert values[encoder, name, "retrieval_cost"] == pytest.approx(both[0] - both[1])
