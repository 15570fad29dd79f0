"""Moments against numpy, merging, and effects that the paper derives from moments."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from revision.embeddings import write_embeddings
from revision.embeddings.moments import Moments, moments
from revision.errors import DataError

seeds = st.integers(0, 2**32 - 1)
counts = st.integers(1, 40)


def same(left: Moments, right: Moments) -> None:
    assert left.count == right.count
    assert np.allclose(left.mean, right.mean, rtol=1e-12, atol=1e-12)
    assert left.deviation == pytest.approx(right.deviation, rel=1e-10, abs=1e-10)
    assert np.allclose(left.scatter, right.scatter, rtol=1e-10, atol=1e-10)


@given(seed=seeds, sizes=st.tuples(counts, counts, counts), offset=st.floats(-50, 50))
@settings(max_examples=60)
def test_merge_is_associative_commutative_and_equals_the_whole(seed, sizes, offset):
    rng = np.random.default_rng(seed)
    parts = [rng.standard_normal((size, 5)) + offset * rng.standard_normal(5) for size in sizes]
    a, b, c = (Moments.of(part, covariance=True) for part in parts)
    whole = np.concatenate(parts)
    same(a.merge(b).merge(c), a.merge(b.merge(c)))
    same(a.merge(b), b.merge(a))
    merged = a.merge(b).merge(c)
    assert np.allclose(merged.covariance, np.cov(whole, rowvar=False, bias=True), atol=1e-8)
    assert merged.trace == pytest.approx(np.var(whole, axis=0).sum(), rel=1e-9, abs=1e-9)
    assert np.trace(merged.covariance) == pytest.approx(merged.trace, rel=1e-9, abs=1e-9)


@given(seed=seeds, n=st.integers(1, 200), d=st.integers(1, 40), block=st.integers(1, 70), threads=st.integers(1, 3))
@settings(max_examples=60)
def test_streamed_moments_equal_numpy(seed, n, d, block, threads):
    rows = np.random.default_rng(seed).standard_normal((n, d)) + 3.0
    raw = moments(rows, threads=threads, block_rows=block)
    assert np.allclose(raw.mean, rows.mean(axis=0), atol=1e-12)
    assert raw.trace == pytest.approx(np.var(rows, axis=0).sum(), rel=1e-10, abs=1e-10)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    full = moments(rows, unit=True, covariance=True, threads=threads, block_rows=block)
    assert np.allclose(full.covariance, np.cov(unit.T, bias=True).reshape(d, d), atol=1e-12)
    plain = moments(rows, unit=True, threads=threads, block_rows=block)
    assert np.allclose(plain.mean, full.mean, atol=1e-14)
    assert plain.trace == pytest.approx(np.var(unit, axis=0).sum(), abs=1e-12)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_every_value_of_a_type_is_decoded_exactly(dtype):
    if dtype == np.float16:
        bits = np.arange(2**16, dtype=np.uint16).view(np.float16)
        rows = bits[np.isfinite(bits)].reshape(-1, 1)
    else:
        rows = np.random.default_rng(0).standard_normal((1000, 1)).astype(dtype)
    for row in rows[:: max(1, len(rows) // 5000)]:
        assert moments(row[None]).mean[0] == float(row[0])


def test_trace_survives_a_mean_a_million_times_the_spread():
    rows = np.random.default_rng(0).standard_normal((5000, 4)) + 1e6
    expected = np.var(rows - 1e6, axis=0).sum()
    assert moments(rows, block_rows=64).trace == pytest.approx(expected, rel=1e-6)


def test_float32_running_sums_fail_and_float64_blocks_do_not():
    """Figure 7a: the error of a float32 running sum grows with N, that of float64 blocks does not."""
    rng = np.random.default_rng(0)
    rows = (0.3 + 0.01 * rng.standard_normal((1_000_000, 4))).astype(np.float32)
    errors = {}
    for count in (10_000, 1_000_000):
        exact = rows[:count].astype(np.longdouble).mean(axis=0)
        running = np.cumsum(rows[:count], axis=0, dtype=np.float32)[-1] / np.float32(count)
        engine = moments(rows[:count]).mean
        errors[count] = [float(np.abs(mean - exact).max()) for mean in (running, engine)]
    assert errors[1_000_000][0] > 1e-5
    assert errors[1_000_000][0] > 5 * errors[10_000][0]
    assert errors[1_000_000][1] < 1e-12


def drift(mean, covariance):
    """Theorem B.14, second order."""
    r, d = np.linalg.norm(mean), len(mean)
    a = mean / r
    pull = covariance @ a
    return (-pull - 0.5 * np.trace(covariance) * a + 1.5 * (a @ pull) * a) / r**2, np.eye(d) - np.outer(a, a)


@given(seed=seeds, d=st.integers(2, 8))
@settings(max_examples=15)
def test_phantom_drift_is_that_of_theorem_b14_to_second_order(seed, d):
    rng = np.random.default_rng(seed)
    mean = rng.standard_normal(d)
    mean *= rng.uniform(0.5, 2.0) / np.linalg.norm(mean)
    noise = rng.uniform(-1, 1, (2000, d)) @ rng.standard_normal((d, d)) / d
    noise *= 0.05 * np.linalg.norm(mean) / np.linalg.norm(noise, axis=1).max()
    noise = np.concatenate([noise, -noise])
    errors = []
    for size in (1.0, 0.5):
        measured = moments(mean + size * noise, unit=True).mean - mean / np.linalg.norm(mean)
        expected, _ = drift(mean, size**2 * noise.T @ noise / len(noise))
        errors.append(np.linalg.norm(measured - expected))
        assert errors[-1] < 0.02 * max(np.linalg.norm(expected), 1e-12)
    assert errors[1] < errors[0] / 12  # symmetric noise: the remainder is of fourth order


def test_isotropic_noise_has_no_tangential_drift_and_anisotropic_noise_has():
    mean = np.array([0.6, 0.8, 0.0])
    signs = np.array(np.meshgrid([-1, 1], [-1, 1], [-1, 1])).reshape(3, -1).T
    for scales, tangential in ((np.full(3, 0.01), False), (np.array([0.02, 0.01, 0.01]), True)):
        noise = signs * scales
        expected, project = drift(mean, np.diag(scales**2))
        measured = moments(mean + noise, unit=True).mean - mean
        assert (np.linalg.norm(project @ expected) > 1e-5) == tangential
        assert np.allclose(project @ measured, project @ expected, atol=2e-7)


def test_sets_on_disk_and_arrays_have_equal_moments(tmp_path):
    rows = np.random.default_rng(3).standard_normal((300, 6)).astype(np.float16)
    written = write_embeddings(tmp_path / "set", [str(i) for i in range(300)], rows, dtype="float16", shard_rows=41)
    assert np.allclose(moments(written).mean, rows.astype(np.float64).mean(axis=0), atol=1e-14)


@pytest.mark.parametrize("covariance", [False, True])
@pytest.mark.parametrize(("value", "fault"), [(np.nan, "NaN"), (np.inf, "infinity")])
def test_non_finite_rows_are_reported(value, fault, covariance):
    rows = np.ones((100, 3))
    rows[71, 1] = value
    with pytest.raises(DataError, match=f"array, row 71: {fault}; drop the row"):
        moments(rows, block_rows=10, threads=2, covariance=covariance)


def test_invalid_uses_are_refused():
    with pytest.raises(DataError, match="the set is empty"):
        moments(np.empty((0, 3)))
    with pytest.raises(DataError, match="dimension 2 and 3"):
        Moments.of(np.ones((1, 2))).merge(Moments.of(np.ones((1, 3))))
    with pytest.raises(DataError, match="covariance=True"):
        _ = Moments.of(np.ones((1, 2))).covariance
