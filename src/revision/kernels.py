"""Compiled row kernels: decode, normalise, shift and accumulate in one sweep over a block (section 4, steps 1 to 3).

Every kernel reads a C-contiguous block once and keeps one float64 row as working memory. float16 arrays are passed as
uint16 views (`raw`) and decoded in registers. The kernels release the GIL; threads come from the caller.
"""

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

# Reassociation lets sums use vector registers; NaN and infinity keep their meaning, so bad rows are seen.
FAST = {"reassoc", "contract", "arcp"}


@intrinsic
def _decode(typingctx, value):  # type: ignore[no-untyped-def]
    """float64 of a float16 (given as uint16), float32 or float64 number."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        (number,) = args
        if signature.args[0] == types.uint16:
            number = builder.fpext(builder.bitcast(number, ir.HalfType()), ir.FloatType())
        if number.type == ir.DoubleType():
            return number
        return builder.fpext(number, ir.DoubleType())

    return types.float64(value), codegen


@intrinsic
def _encode(typingctx, value, like):  # type: ignore[no-untyped-def]
    """The float64 `value` in the type of `like`: float16 (as uint16), float32 or float64."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        number = args[0]
        if signature.args[1] == types.float64:
            return number
        number = builder.fptrunc(number, ir.FloatType())
        if signature.args[1] == types.float32:
            return number
        return builder.bitcast(builder.fptrunc(number, ir.HalfType()), ir.IntType(16))

    return like(types.float64, like), codegen


@njit(nogil=True, cache=True, fastmath=FAST)
def _chain(row, scales, shifts, work):  # type: ignore[no-untyped-def]
    """Unit row in `work` after `work = unit(scale * work + shift)` for each stage; returns False for a row without
    a direction.

    Normalisation is delayed into the next stage's product, so each stage costs one sweep.
    """
    d = row.shape[0]
    square = 0.0
    for j in range(d):
        x = _decode(row[j])
        work[j] = x
        square += x * x
    if not (square > 0.0 and square < np.inf):
        return False
    for k in range(scales.shape[0]):
        factor = scales[k] / np.sqrt(square)
        square = 0.0
        for j in range(d):
            x = factor * work[j] + shifts[k, j]
            work[j] = x
            square += x * x
        if not (square > 0.0 and square < np.inf):
            return False
    factor = 1.0 / np.sqrt(square)
    for j in range(d):
        work[j] *= factor
    return True


@njit(nogil=True, cache=True, fastmath=FAST)
def unit_sum(raw, scales, shifts, total):  # type: ignore[no-untyped-def]
    """Add the unit rows of [n, d] `raw`, after the stages, to `total` [d]; returns the index of the first bad row,
    or -1.
    """
    work = np.empty(raw.shape[1])
    for i in range(raw.shape[0]):
        if not _chain(raw[i], scales, shifts, work):
            return i
        for j in range(raw.shape[1]):
            total[j] += work[j]
    return -1


@njit(nogil=True, cache=True, fastmath=FAST)
def unit_rows(raw, scales, shifts, out):  # type: ignore[no-untyped-def]
    """Write the unit rows of [n, d] `raw`, after the stages, to `out` [n, d]; returns the index of the first bad
    row, or -1.
    """
    work = np.empty(raw.shape[1])
    for i in range(raw.shape[0]):
        if not _chain(raw[i], scales, shifts, work):
            return i
        for j in range(raw.shape[1]):
            out[i, j] = _encode(work[j], out[i, j])
    return -1


@njit(nogil=True, cache=True, fastmath=FAST)
def plain_sum(raw, pivot, total):  # type: ignore[no-untyped-def]
    """Add `row - pivot` over [n, d] `raw` to `total` [d]; returns (sum of squared differences, first bad row or
    -1).
    """
    squares = 0.0
    for i in range(raw.shape[0]):
        square = 0.0
        for j in range(raw.shape[1]):
            x = _decode(raw[i, j]) - pivot[j]
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
