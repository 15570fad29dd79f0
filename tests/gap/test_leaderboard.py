"""The leaderboard of encoders: its order and what it adds to the suite's numbers, against the definitions."""

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
    found = run_suite(image, text, ["realign", "c3"], paired=paired, settings=SuiteSettings(sample=150))
    return json.loads(json.dumps(found.to_dict(), sort_keys=True))


@pytest.fixture(scope="module")
def suites():
    return {"wide": suite(3, 0), "near": suite(0.5, 1), "unpaired": suite(1.5, 2, paired=False)}


def test_encoders_come_by_gap_and_methods_begin_before_alignment(suites):
    table = leaderboard(suites)
    assert list(dict.fromkeys(table.encoder)) == ["near", "unpaired", "wide"]
    for _, part in table.groupby("encoder"):
        assert list(dict.fromkeys(part["set"])) == ["image", "identity", "c3", "realign"]


def test_every_number_of_the_suite_is_there_and_the_derived_ones_are_as_defined(suites):
    values = leaderboard(suites).set_index(["encoder", "set", "metric"]).value
    assert values.index.is_unique
    for encoder, found in suites.items():
        assert values[encoder, "image", "dimension"] == 12
        for metric, value in found["image"].items():
            assert values[encoder, "image", metric] == value
        before = found["methods"]["identity"]
        for name, numbers in found["methods"].items():
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
                np.mean([one[f"{way}_at_1"] for way in ("text_to_image", "image_to_text")]) for one in (before, numbers)
            ]
            assert values[encoder, name, "recall"] == pytest.approx(both[1])
            assert values[encoder, name, "retrieval_cost"] == pytest.approx(both[0] - both[1])
