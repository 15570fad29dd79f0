"""Responses over replicates: the encoder is a random factor, and differences are paired."""

import numpy as np
import pandas as pd
import pytest

from revision.dose.response import differences, responses
from revision.errors import DataError
from revision.stats.intervals import over_seeds

RNG = np.random.default_rng(0)


def study(encoders=3, seeds=2):
    """Replicates with a large effect of their own; dose 1 costs exactly 2, dose 2 between 3 and 5."""
    rows = []
    for encoder in range(encoders):
        for seed in range(seeds):
            own = 10 * RNG.standard_normal()
            for dose, effect in (("0", 0.0), ("1", -2.0), ("2", -4 + (-1) ** encoder)):
                about = {"kind": "gap", "dose": dose, "steps": 4, "encoder": encoder, "seed": seed}
                rows.append(about | {"metric": "accuracy", "value": own + effect})
    return pd.DataFrame(rows)


def test_the_interval_is_over_the_means_of_the_encoders():
    table = study()
    part = table[table.dose == "1"]
    for chosen, values in (
        (table, part.groupby("encoder").value.mean()),
        (table[table.encoder == 0], part[part.encoder == 0].value),
    ):
        expected = over_seeds(values.to_numpy())
        row = responses(chosen).set_index("dose").loc["1"]
        assert (row.value, row.low, row.high) == (expected.value, expected.low, expected.high)


def test_differences_are_paired_by_replicate():
    table = differences(study(), "gap", "0").set_index("dose")
    assert list(table.index) == ["1", "2"]
    assert table.loc["1", ["value", "low", "high"]].tolist() == pytest.approx([-2, -2, -2])
    expected = over_seeds(np.array([-3.0, -5.0, -3.0]))
    assert table.loc["2", ["value", "low", "high"]].tolist() == pytest.approx(list(expected.ends().values()))
    with pytest.raises(DataError, match="no gap 7 to compare with"):
        differences(study(), "gap", "7")


def test_metrics_that_the_reference_lacks_are_left_out():
    table = study(2, 1)
    extra = table[table.dose == "1"].assign(metric="caption_loss")
    assert set(differences(pd.concat([table, extra]), "gap", "0").metric) == {"accuracy"}
