"""AnisoAlign's parts: phase prior, circular transport, bounds."""

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from revision.align import make_aligner
from revision.align.aniso import GRID, Polar, circular_transport, phase_density_integral
from revision.errors import ConfigError

PHASES = np.linspace(-np.pi, np.pi, GRID + 1)


def phase_moments(phases, harmonics):
    return np.array([[np.exp(1j * order * phases).mean() for order in range(1, harmonics + 1)]])


def test_distribution_is_monotone_from_zero_to_one_and_flat_for_no_preference():
    peaked = phase_density_integral(phase_moments(np.full(10, 0.3), 6))[0]
    assert peaked[0] == pytest.approx(0.0, abs=1e-12)
    assert peaked[-1] == pytest.approx(1.0)
    assert (np.diff(peaked) > -1e-12).all()
    flat = phase_density_integral(np.zeros((1, 6), complex))[0]
    assert np.allclose(flat, (PHASES + np.pi) / (2 * np.pi))


@pytest.mark.parametrize("turn", [0.25, -2.0])
def test_transport_costs_what_the_best_assignment_costs(turn):
    phases = np.random.default_rng(0).vonmises(2.0, 1.5, 5000)
    source = phase_density_integral(phase_moments(phases, 4))[0]
    target = phase_density_integral(phase_moments(phases + turn, 4))[0]
    levels = (np.arange(400) + 0.5) / 400
    left, right = np.interp(levels, source, PHASES), np.interp(levels, target, PHASES)
    apart = np.abs(left[:, None] - right)
    cost = np.minimum(apart, 2 * np.pi - apart) ** 2
    best = cost[linear_sum_assignment(cost)].mean()
    turns = circular_transport(source, target)
    assert (np.interp(left, PHASES, turns) ** 2).mean() == pytest.approx(best, rel=0.02)
    arrival = (PHASES + turns + np.pi) % (2 * np.pi) - np.pi
    crossing = np.exp(2j * np.pi * (np.interp(arrival, PHASES, target) - source))
    assert np.abs(crossing - crossing[0]).max() < 0.02


def test_corrections_stay_within_their_bounds(sets):
    aligner = make_aligner("aniso_align", max_angle=0.1, max_gain=1.2).fit(*sets)
    (polar,) = [transform for transform in aligner.transforms_ if isinstance(transform, Polar)]
    assert np.abs(polar.turns).max() <= 0.1
    assert polar.gains.min() >= 1 / 1.2
    assert polar.gains.max() <= 1.2
    complement = np.eye(24) - polar.basis @ polar.basis.T
    moved = polar.apply(sets[0], 0)
    assert np.abs((moved - sets[0]) @ complement).max() < 1e-12


def test_without_room_to_move_it_is_realign(sets):
    aligner = make_aligner("aniso_align", max_angle=0.0, max_gain=1.0).fit(*sets)
    expected = make_aligner("realign").fit(*sets).transform(sets[0])
    assert np.abs(aligner.transform(sets[0]) - expected).max() < 1e-6


def test_impossible_bounds_are_refused(sets):
    with pytest.raises(ConfigError, match="max_gain >= 1"):
        make_aligner("aniso_align", max_gain=0.5).fit(*sets)
