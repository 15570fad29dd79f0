"""The gap against the sample behind the statistics, on rows whose gap is known."""

import numpy as np
import pytest

from revision.align import make_aligner
from revision.config.variants import AlignerSettings
from revision.gap.sampling import NOISE, TRIALS, Sample, gap_by_domain, gap_by_half, gap_by_size

SETTINGS = {name: AlignerSettings(method=name) for name in ("identity", "realign", "procrustes")}
DIM = 8


def pair(count, seed, axis=0):
    """Texts and images [count, DIM], apart along one axis."""
    random, offset = np.random.default_rng(seed), 0.5 * np.eye(DIM)[axis]
    content = random.standard_normal((count, DIM)) * 0.2
    both = (content + 0.05 * random.standard_normal((count, DIM)) + side for side in (-offset, offset))
    return tuple(Sample((rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)) for rows in both)


@pytest.fixture(scope="module")
def unpaired():
    return pair(400, 0)[0], pair(300, 1)[1]


def test_each_seed_has_its_half_and_pairs_are_left_out(unpaired):
    realign = make_aligner("realign").fit(*(sample.rows for sample in unpaired))
    table = gap_by_half(SETTINGS, *unpaired, pair(200, 2), [0, 1], realign)
    assert set(table.method) == {"identity", "realign", NOISE}
    gaps = table.groupby(["method", "sample", "seed"]).gap.first()
    for seed in (0, 1):
        assert gaps["realign", "fitted", seed] < 0.01 < 0.5 < gaps["identity", "fitted", seed]
    assert gaps["identity", "fitted", 0] != gaps["identity", "fitted", 1]
    again = gap_by_half(SETTINGS, *unpaired, pair(200, 2), [0, 1], realign)
    assert again.equals(table)
    noise = gaps[NOISE, "held-out", -1]
    assert noise / 4 < gaps["realign", "held-out"].mean() < 4 * noise


def test_rows_of_the_same_content_raise_the_noise(unpaired):
    def noise(*parts):
        table = gap_by_size(SETTINGS, *parts[:2], parts[2:], [200])
        return table[table.method == NOISE].gap.item()

    plain = *unpaired, *pair(200, 2)
    twice = [Sample(np.repeat(one.rows[: len(one) // 2], 2, axis=0)) for one in plain]
    shuffled = [Sample(one.rows, np.arange(len(one)) // 2) for one in plain]
    assert noise(*twice) > 1.15 * noise(*plain)
    assert noise(*shuffled) == pytest.approx(noise(*plain), rel=0.1)  # rows of a content have nothing in common


def test_sizes_beyond_the_rows_are_left_out_and_more_samples_leave_less(unpaired):
    table = gap_by_size(SETTINGS, *unpaired, pair(2000, 2), [10, 300, 301])
    assert sorted(set(table.samples)) == [10, 300]
    means = table[table.method == "realign"].groupby("samples").gap.agg(["mean", "count"])
    assert means["mean"][300] < means["mean"][10] / 2 and (means["count"] == TRIALS).all()
    assert (table[table.method == NOISE].trial == -1).all() and (table.method == NOISE).sum() == 2


def test_statistics_of_another_domain_leave_a_gap(unpaired):
    sets = {"one": unpaired, "other": (pair(100, 5, axis=1)[0], pair(90, 6, axis=1)[1])}
    probes = {"one": pair(200, 2), "other": pair(200, 7, axis=1)}
    table = gap_by_domain(SETTINGS, sets, probes, [0])
    assert (table.samples == 45).all()
    gaps = table[table.method == "realign"].set_index(["statistics", "applied_to"]).gap
    for domain, foreign in (("one", "other"), ("other", "one")):
        assert gaps[foreign, domain] > 5 * gaps[domain, domain]
    assert set(table[table.method == NOISE].statistics) == set(sets)
