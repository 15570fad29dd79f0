"""The kernels against the same chain of shifts, computed row by row in extended precision."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from revision.embeddings import kernels
from revision.embeddings.kernels import unit_rows, unit_sum

TOLERANCE = {"float16": 6e-4, "float32": 7e-8, "float64": 1e-14}


def chain(rows, scales, shifts):
    rows = rows.astype(np.longdouble)
    rows = rows / np.sqrt((rows**2).sum(axis=1, keepdims=True))
    for scale, shift in zip(scales, shifts, strict=True):
        rows = scale * rows + shift
        rows = rows / np.sqrt((rows**2).sum(axis=1, keepdims=True))
    return rows


@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(1, 20),
    d=st.integers(1, 70),
    steps=st.integers(0, 5),
    length=st.sampled_from([1.0, 1e-3, 300.0]),
    input_type=st.sampled_from(["float16", "float32", "float64"]),
    output_type=st.sampled_from(["float16", "float32", "float64"]),
)
@settings(max_examples=150)
def test_rows_and_sums_equal_extended_precision(seed, n, d, steps, length, input_type, output_type):
    rng = np.random.default_rng(seed)
    rows = (length * (0.1 + rng.random((n, d)))).astype(input_type)
    scales, shifts = 0.2 + rng.random(steps), rng.random((steps, d)) / d
    expected = chain(rows, scales, shifts)
    out, total = np.empty((n, d), output_type), np.zeros(d)
    assert unit_rows(rows, scales, shifts, out) == -1
    assert np.abs(out - expected).max() <= TOLERANCE[output_type]
    assert unit_sum(rows, scales, shifts, total) == -1
    assert np.abs(total - expected.sum(axis=0)).max() < 1e-13 * n


@pytest.mark.parametrize("apart", [1e-3, 1e-6, 1e-9])
def test_a_shift_that_almost_cancels_a_row_keeps_its_direction(apart):
    rng = np.random.default_rng(0)
    row, other = (v / np.linalg.norm(v) for v in rng.standard_normal((2, 40)))
    shifts = np.stack([apart * other - row, 0.1 * other])
    out = np.empty((1, 40))
    assert unit_rows(row[None], np.ones(2), shifts, out) == -1
    assert np.abs(out - chain(row[None], np.ones(2), shifts)).max() < 1e-15 / apart


def test_the_first_row_without_a_direction_is_returned():
    rows = np.ones((5, 3))
    rows[3] = 0.0
    no_scales, no_shifts, total, out = np.empty(0), np.empty((0, 3)), np.zeros(3), np.empty((5, 3))
    assert unit_sum(rows, no_scales, no_shifts, total) == 3
    assert unit_rows(rows, no_scales, no_shifts, out) == 3
    axis = np.array([[1.0, 0.0, 0.0]])
    assert unit_rows(axis, np.ones(1), -axis, out[:1]) == 0


def test_float16_is_rounded_as_numpy_rounds_it():
    """Every float16 up to 1, the midpoints between neighbours, and the float32 values next to these."""
    halves = np.arange(np.float16(1.0).view(np.uint16) + 1, dtype=np.uint16).view(np.float16).astype(np.float32)
    middles = (halves[1:] + halves[:-1]) / 2
    near = [np.nextafter(middles, np.float32(0)), np.nextafter(middles, np.float32(1))]
    values = np.concatenate([halves, middles, *near])
    rows = np.stack([values, -values])
    out = np.empty(rows.shape, np.float16)
    kernels._to_half(rows.copy(), out)
    assert np.array_equal(out.view(np.uint16), rows.astype(np.float16).view(np.uint16))
