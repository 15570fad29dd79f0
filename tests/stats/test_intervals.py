"""Student's intervals against scipy."""

import numpy as np
import pytest
from scipy import stats

from revision.stats.intervals import over_seeds


def test_student_interval_is_scipys():
    values = np.array([0.3, 0.5, 0.45, 0.62])
    expected = stats.t.interval(0.95, 3, loc=values.mean(), scale=stats.sem(values))
    interval = over_seeds(values)
    assert (interval.low, interval.high) == pytest.approx(expected)
    assert np.isnan(over_seeds(values[:1]).low)
