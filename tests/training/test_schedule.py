"""The learning rate schedules: warm-up, then cosine decay or a constant rate."""

import pytest

from revision.training.schedule import learning_rate


def test_rate_rises_to_its_peak_and_decays_to_zero():
    rates = [learning_rate(step, 100, 0.1, peak=0.02) for step in range(101)]
    assert max(rates) == rates[9] == 0.02 and rates[0] == pytest.approx(0.002)
    assert rates[:10] == sorted(rates[:10]) and rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[55] == pytest.approx(0.01) and rates[100] == pytest.approx(0)


def test_a_single_step_and_no_warm_up_are_valid():
    assert learning_rate(0, 1, 0.03) == 1 and learning_rate(0, 10, 0.0) == 1


def test_a_constant_rate_follows_the_warm_up_whatever_the_number_of_steps():
    rates = [learning_rate(step, 100, 0.04, peak=0.02, schedule="constant") for step in range(100)]
    assert rates[:4] == pytest.approx([0.005, 0.01, 0.015, 0.02]) and set(rates[3:]) == {0.02}
