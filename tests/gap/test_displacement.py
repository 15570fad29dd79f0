"""The displacement of rows in closed form, and the sentence about it."""

import numpy as np
import pytest

from revision.errors import DataError
from revision.gap.displacement import displacement

RNG = np.random.default_rng(0)
ROWS = RNG.standard_normal((500, 6))
SPREAD = np.sqrt(ROWS.var(axis=0).sum())


def test_a_shift_is_all_constant():
    shift = np.full(6, 0.5)
    moved = displacement(ROWS, ROWS + shift)
    assert moved.movement == pytest.approx(np.linalg.norm(shift) / SPREAD)
    assert moved.constant_share == pytest.approx(1) and moved.trace_ratio == pytest.approx(1)
    assert moved.remaining == pytest.approx(0, abs=1e-6)
    assert "the projector's bias can absorb" in moved.statement()


def test_scaling_about_the_mean_has_no_constant_part():
    mean = ROWS.mean(axis=0)
    moved = displacement(ROWS, mean + 1.5 * (ROWS - mean))
    assert moved.movement == moved.remaining == pytest.approx(0.5)
    assert moved.constant_share == pytest.approx(0, abs=1e-12) and moved.trace_ratio == pytest.approx(2.25)
    assert moved.statement().startswith("Rows move by 50.00% of their spread besides a constant vector")


def test_shift_and_scaling_add_in_squares():
    mean, shift = ROWS.mean(axis=0), np.array([0.3, 0, 0, 0, 0, 0])
    moved = displacement(ROWS, mean + shift + 1.1 * (ROWS - mean))
    assert moved.movement**2 == pytest.approx(0.01 + 0.09 / SPREAD**2)
    assert moved.constant_share == pytest.approx(0.09 / (0.09 + 0.01 * SPREAD**2))


def test_rows_that_stay_are_nearly_equal():
    moved = displacement(ROWS, ROWS)
    assert (moved.movement, moved.remaining, moved.trace_ratio) == (0, 0, 1) and np.isnan(moved.constant_share)
    assert "differences after training are noise" in moved.statement()
    with pytest.raises(DataError, match="pairs"):
        displacement(ROWS, ROWS[:-1])
