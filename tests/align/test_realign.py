"""ReAlign and its variants against plain float64 formulas and against gaps recorded for real embeddings."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from revision.align import Engine, make_aligner
from revision.embeddings import write_embeddings
from revision.errors import ConfigError

RECORDED_GAPS = {"clip": (0.8514, 0.0014648), "convirt": (0.8231, 0.00029964)}


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def plain_realign(source, target, steps=3):
    """The formulas of Section 4, without streaming or fused kernels."""
    y, x = unit(np.asarray(source, np.float64)), unit(np.asarray(target, np.float64))
    mu_y, mu_x = y.mean(axis=0), x.mean(axis=0)
    if steps == 1:
        return unit(y - mu_y + mu_x)
    scale = np.sqrt(((x - mu_x) ** 2).sum(axis=1).mean() / ((y - mu_y) ** 2).sum(axis=1).mean())
    moved = unit(mu_x + scale * (y - mu_y))
    return moved if steps == 2 else unit(moved - moved.mean(axis=0) + mu_x)


def gap(left, right):
    return float(np.linalg.norm(np.asarray(left, np.float64).mean(axis=0) - np.asarray(right, np.float64).mean(axis=0)))


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_steps_equal_plain_formula_on_real_embeddings(real, steps):
    _, target, source = real
    aligned = make_aligner("realign", steps=steps).fit(source, target).transform(source)
    assert aligned.dtype == np.float32
    assert np.abs(aligned - plain_realign(source, target, steps)).max() < 2e-6


def test_gaps_on_real_embeddings_equal_the_recorded_gaps(real):
    name, target, source = real
    before, after = RECORDED_GAPS[name]
    exact = unit(target.astype(np.float64))
    assert gap(source, target) == pytest.approx(before, abs=5e-5)
    assert gap(make_aligner("realign").fit(source, target).transform(source), exact) == pytest.approx(after, rel=1e-4)


def test_mean_shift_is_the_first_step(sets):
    first = make_aligner("realign", steps=1).fit(*sets).transform(sets[0])
    assert np.array_equal(make_aligner("mean_shift").fit(*sets).transform(sets[0]), first)


def test_identity_only_normalises(sets):
    rows = make_aligner("identity").fit(*sets).transform(3.0 * sets[0])
    assert np.abs(rows - sets[0]).max() < 1e-7


@given(seed=st.integers(0, 2**32 - 1), d=st.integers(2, 30), n=st.integers(3, 60), pull=st.floats(0.1, 3.0))
@settings(max_examples=40)
def test_affine_step_matches_mean_and_trace(seed, d, n, pull):
    rng = np.random.default_rng(seed)
    y = unit(rng.standard_normal((n, d)) + pull * rng.standard_normal(d))
    x = unit(rng.standard_normal((n + 5, d)) + pull * rng.standard_normal(d))
    aligner = make_aligner("realign", steps=2).fit(y, x)
    (shift,) = aligner.transforms_
    moved = shift.scale * y + shift.shift
    trace = ((x - x.mean(axis=0)) ** 2).sum(axis=1).mean()
    assert np.allclose(moved.mean(axis=0), x.mean(axis=0), atol=1e-9)
    assert ((moved - moved.mean(axis=0)) ** 2).sum(axis=1).mean() == pytest.approx(trace, rel=1e-7)
    anchored = make_aligner("realign", steps=1).fit(y, x).transforms_[0]
    assert np.allclose((y + anchored.shift).mean(axis=0), x.mean(axis=0), atol=1e-12)


def test_iterated_centroid_goes_below_the_single_step(real):
    _, target, source = real
    aligner = make_aligner("realign_iterated", tolerance=1e-9, max_iterations=50).fit(source, target)
    assert aligner.centroid_errors_[-1] <= 1e-9
    assert aligner.centroid_errors_ == sorted(aligner.centroid_errors_, reverse=True)
    single = make_aligner("realign").fit(source, target).transform(source)
    unit_target = unit(target.astype(np.float64))
    assert aligner.centroid_errors_[1] == pytest.approx(gap(single, unit_target), rel=1e-3)
    assert gap(aligner.transform(source), unit_target) < 1e-6


def test_iteration_stops_at_its_limit(sets):
    aligner = make_aligner("realign_iterated", tolerance=0.0, max_iterations=2).fit(*sets)
    assert len(aligner.transforms_) == 3
    assert len(aligner.centroid_errors_) == 3


def test_centroid_error_is_bounded_by_proposition_b19(real):
    _, target, source = real
    second = make_aligner("realign", steps=2).fit(source, target).transform(source)
    third = make_aligner("realign").fit(source, target).transform(source)
    unit_target = unit(target.astype(np.float64))
    assert gap(third, unit_target) <= gap(second, unit_target)


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_result_does_not_depend_on_blocks_shards_or_threads(tmp_path, sets, dtype):
    source, target = sets
    names = [f"row {index}" for index in range(1000)]
    results = []
    for trial, (shard_rows, block_rows, threads) in enumerate([(1000, 2048, 1), (77, 13, 2), (9, 5, 3), (350, 100, 1)]):
        of_source = write_embeddings(tmp_path / f"y{trial}", names[:700], source, dtype=dtype, shard_rows=shard_rows)
        of_target = write_embeddings(tmp_path / f"x{trial}", names[:900], target, dtype=dtype, shard_rows=shard_rows)
        engine = Engine(threads=threads, block_rows=block_rows)
        aligner = make_aligner("realign").fit_stream(of_source, of_target, engine)
        written = aligner.transform_stream(of_source, tmp_path / f"out{trial}", dtype="float32", engine=engine)
        assert written.ids().to_pylist() == names[:700]
        results.append(written.array())
        assert np.abs(results[-1] - plain_realign(of_source.array(), of_target.array())).max() < 2e-6
    assert max(np.abs(result - results[0]).max() for result in results) < 1e-6


def test_same_block_size_gives_same_bytes_on_any_number_of_threads(tmp_path, sets):
    source = write_embeddings(tmp_path / "y", [str(i) for i in range(700)], sets[0], dtype="float16", shard_rows=90)
    target = write_embeddings(tmp_path / "x", [str(i) for i in range(900)], sets[1], dtype="float16", shard_rows=90)
    sums = set()
    for threads in (1, 2, 4):
        engine = Engine(threads=threads, block_rows=32)
        aligner = make_aligner("c3", seed=3).fit_stream(source, target, engine)
        written = aligner.transform_stream(source, tmp_path / f"out{threads}", engine=engine)
        sums.add(tuple(shard.xxh3_128 for shard in written.shards))
    assert len(sums) == 1


def test_step_number_out_of_range_is_refused(sets):
    with pytest.raises(ConfigError, match="steps must be 1, 2 or 3, got 4"):
        make_aligner("realign", steps=4).fit(*sets)
