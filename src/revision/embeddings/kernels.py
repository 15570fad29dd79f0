"""Compiled row kernels: decode, normalise, shift and accumulate in one visit to a block (section 4, steps 1 to 3).

A chain of stages `e -> unit(scale * e + shift)` keeps a row x inside the span of x and the shifts s_k, so the kernels
carry the coefficients of that span and never the row itself: the lengths in between follow from the products x.x, x.s_k
and s_k.s_l. A row costs one product a stage and one sweep that adds it up or writes it. All arithmetic is float64;
float16 arrays are passed as uint16 views (`raw`) and widened to float32 a row at a time, which is exact.

The kernels release the GIL; threads come from the caller.
"""

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic, overload

# Reassociation lets sums use vector registers; NaN and infinity keep their meaning, so bad rows are seen.
FAST = {"reassoc", "contract", "arcp"}
compiled = njit(nogil=True, cache=True, fastmath=FAST)
CANCELLED = 1e-6  # below this share of its terms a squared length is summed anew from the row


@intrinsic
def _half_to_single(typingctx, bits):
    """float32 of a float16 given as uint16."""

    def codegen(context, builder, signature, args):
        return builder.fpext(builder.bitcast(args[0], ir.HalfType()), ir.FloatType())

    return types.float32(types.uint16), codegen


@intrinsic
def _single_to_half(typingctx, number):
    """The float16 nearest to a float32, as uint16."""

    def codegen(context, builder, signature, args):
        return builder.bitcast(builder.fptrunc(args[0], ir.HalfType()), ir.IntType(16))

    return types.uint16(types.float32), codegen


def _widened(row, spare):
    """`row` as numbers: itself, or for uint16 its float32 values in `spare`."""


@overload(_widened, inline="always")
def _widened_compiled(row, spare):
    # Through memory on purpose: float16 straight to float64 is several times slower than by way of float32.
    def half(row, spare):
        for j in range(row.shape[0]):
            spare[j] = _half_to_single(row[j])
        return spare

    return half if row.dtype == types.uint16 else lambda row, spare: row


def _put(work, spare, out):
    """Copy float64 `work` to `out`, for uint16 as float16 by way of `spare`."""


@overload(_put, inline="always")
def _put_compiled(work, spare, out):
    def half(work, spare, out):
        for j in range(work.shape[0]):
            spare[j] = work[j]
        for j in range(work.shape[0]):
            out[j] = _single_to_half(spare[j])

    def plain(work, spare, out):
        for j in range(work.shape[0]):
            out[j] = work[j]

    return half if out.dtype == types.uint16 else plain


@compiled
def _product(left, right):
    total = 0.0
    for j in range(left.shape[0]):
        total += np.float64(left[j]) * np.float64(right[j])
    return total


@compiled
def _combine(row, shifts, weights, stages, work):
    """work = weights[0] * row + sum of weights[k + 1] * shifts[k] over the first `stages`."""
    if stages >= 2:  # the usual chain in one sweep instead of three
        first, second = shifts[0], shifts[1]
        for j in range(row.shape[0]):
            work[j] = weights[0] * row[j] + weights[1] * first[j] + weights[2] * second[j]
    else:
        for j in range(row.shape[0]):
            work[j] = weights[0] * row[j]
    for k in range(2 if stages >= 2 else 0, stages):
        for j in range(row.shape[0]):
            work[j] += weights[k + 1] * shifts[k, j]


@compiled
def _weigh(row, scales, shifts, gram, weights, work):
    """Coefficients [1 + k] of the unit row after the k stages; returns False for a row without a direction."""
    square = _product(row, row)
    if not (square > 0.0 and square < np.inf):
        return False
    weights[0] = 1.0
    for k in range(scales.shape[0]):
        factor = scales[k] / np.sqrt(square)
        along = weights[0] * _product(row, shifts[k])
        for m in range(k):
            along += weights[m + 1] * gram[m, k]
        for m in range(k + 1):
            weights[m] *= factor
        weights[k + 1] = 1.0
        terms = scales[k] * scales[k] + gram[k, k]
        square = terms + 2.0 * factor * along
        if square < CANCELLED * terms:
            _combine(row, shifts, weights, k + 1, work)
            square = _product(work, work)
        if not (square > 0.0 and square < np.inf):
            return False
    length = np.sqrt(square)
    for m in range(scales.shape[0] + 1):
        weights[m] /= length
    return True


@compiled
def unit_sum(raw, scales, shifts, total):
    """Add the unit rows of [n, d] `raw`, after the stages, to `total` [d]; returns the first bad row, or -1."""
    d, stages = raw.shape[1], scales.shape[0]
    spare, work, gram = np.empty(d, np.float32), np.empty(d), shifts @ shifts.T
    weights, weight_sums = np.empty(stages + 1), np.zeros(stages + 1)
    for i in range(raw.shape[0]):
        row = _widened(raw[i], spare)
        if not _weigh(row, scales, shifts, gram, weights, work):
            return i
        weight_sums += weights
        for j in range(d):
            total[j] += weights[0] * row[j]
    for k in range(stages):
        total += weight_sums[k + 1] * shifts[k]
    return -1


@compiled
def unit_rows(raw, scales, shifts, out):
    """Write the unit rows of [n, d] `raw`, after the stages, to `out` [n, d]; returns the first bad row, or -1."""
    d, stages = raw.shape[1], scales.shape[0]
    spare, work, gram = np.empty(d, np.float32), np.empty(d), shifts @ shifts.T
    weights = np.empty(stages + 1)
    for i in range(raw.shape[0]):
        row = _widened(raw[i], spare)
        if not _weigh(row, scales, shifts, gram, weights, work):
            return i
        _combine(row, shifts, weights, stages, work)
        _put(work, spare, out[i])
    return -1


@compiled
def plain_sum(raw, pivot, total):
    """Add `row - pivot` over [n, d] `raw` to `total` [d]; returns (sum of squared differences, first bad row or
    -1).
    """
    squares, spare = 0.0, np.empty(raw.shape[1], np.float32)
    for i in range(raw.shape[0]):
        row, square = _widened(raw[i], spare), 0.0
        for j in range(raw.shape[1]):
            x = row[j] - pivot[j]
            total[j] += x
            square += x * x
        if not square < np.inf:
            return squares, i
        squares += square
    return squares, -1


def raw_view(block: np.ndarray) -> np.ndarray:
    """The block as the kernels take it: contiguous; float16 as uint16."""
    block = np.ascontiguousarray(block)
    return block.view(np.uint16) if block.dtype == np.float16 else block
