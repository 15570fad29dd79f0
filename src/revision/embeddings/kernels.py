"""Normalise, shift and add up rows in float64 (section 4, steps 1 to 3), in pieces that stay in the processor's cache.

A chain of shifts `e -> unit(scale * e + shift)` keeps a row x inside the span of x and the shifts s_k. The chain is
therefore carried out on the coefficients of that span: the lengths in between follow from the products x.x, x.s_k and
s_k.s_l, and a row is touched once at the end, where it is added up or written.
"""

from collections.abc import Iterator

import numpy as np

CELLS = 1 << 16  # numbers a piece: 512 KB as float64, which the second-level cache holds
HALF = np.float32(0.5)
CANCELLED = 1e-6  # below this share of its terms a squared length is computed anew from the row


def unit_sum(block: np.ndarray, scales: np.ndarray, shifts: np.ndarray, total: np.ndarray) -> int:
    """Add the unit rows of a block, after a chain of shifts, to `total`.

    Parameters
    ----------
    block
        Rows [n, d] of any float type.
    scales, shifts
        The chain: [k] and [k, d].
    total
        Sum [d], float64, added to in place.

    Returns
    -------
    int
        Index of the first row without a direction (zero, NaN, infinity), or -1.
    """
    for start, rows in _pieces(block):
        weights, bad = _coefficients(rows, scales, shifts)
        if bad >= 0:
            return start + bad
        total += weights[0] @ rows + weights[1:].sum(axis=1) @ shifts
    return -1


def unit_rows(block: np.ndarray, scales: np.ndarray, shifts: np.ndarray, out: np.ndarray) -> int:
    """Write the unit rows of a block, after a chain of shifts, to `out` [n, d]; otherwise as `unit_sum`."""
    shift = np.empty((min(_step(block), len(block)), block.shape[1]))
    for start, rows in _pieces(block):
        weights, bad = _coefficients(rows, scales, shifts)
        if bad >= 0:
            return start + bad
        rows *= weights[0][:, None]
        if len(shifts):
            rows += np.matmul(weights[1:].T, shifts, out=shift[: len(rows)])
        piece = out[start : start + len(rows)]
        if out.dtype == np.float16:
            _to_half(rows.astype(np.float32), piece)
        else:
            piece[...] = rows
    return -1


def plain_sum(block: np.ndarray, pivot: np.ndarray, total: np.ndarray) -> tuple[float, int]:
    """Add `row - pivot` over a block to `total` [d]; returns the sum of their squares and the first bad row, or -1."""
    squares = 0.0
    for start, rows in _pieces(block):
        rows -= pivot
        of_rows = np.vecdot(rows, rows)
        if not np.isfinite(of_rows).all():
            return squares, start + int(np.argmin(np.isfinite(of_rows)))
        total += np.ones(len(rows)) @ rows
        squares += float(of_rows.sum())
    return squares, -1


def _step(block: np.ndarray) -> int:
    """Rows a piece."""
    return max(1, CELLS // block.shape[1])


def _pieces(block: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """(index of the first row, float64 copy of the rows) over a block; the copies share their memory."""
    step = _step(block)
    copy = np.empty((min(step, len(block)), block.shape[1]))
    for start in range(0, len(block), step):
        piece = block[start : start + step]
        copy[: len(piece)] = piece
        yield start, copy[: len(piece)]


def _coefficients(rows: np.ndarray, scales: np.ndarray, shifts: np.ndarray) -> tuple[np.ndarray, int]:
    """Coefficients [1 + k, n] of the final unit rows in the span of row and shifts, and the first bad row, or -1."""
    weights, gram = np.zeros((1 + len(scales), len(rows))), shifts @ shifts.T
    weights[0], square = 1.0, np.vecdot(rows, rows)
    good = (square > 0.0) & (square < np.inf)
    with np.errstate(divide="ignore", invalid="ignore"):  # bad rows are told by `good`
        for k, scale in enumerate(scales):
            factor = scale / np.sqrt(square)
            along = weights[0] * (rows @ shifts[k]) + gram[k, :k] @ weights[1 : k + 1]
            weights[: k + 1] *= factor
            weights[k + 1] = 1.0
            terms = scale * scale + gram[k, k]
            square = terms + 2.0 * factor * along
            (cancelled,) = np.nonzero(square < CANCELLED * terms)
            if len(cancelled):
                moved = weights[0, cancelled, None] * rows[cancelled] + weights[1:, cancelled].T @ shifts
                square[cancelled] = np.vecdot(moved, moved)
            good &= (square > 0.0) & (square < np.inf)
        weights /= np.sqrt(square)
    return weights, -1 if good.all() else int(np.argmin(good))


def _to_half(rows: np.ndarray, out: np.ndarray) -> None:
    """Round float32 numbers of at most 65504 to float16 as numpy's slower cast does; `rows` is lost."""
    bits = rows.view(np.uint32)
    size = bits & 0x7FFFFFFF
    # Below 2^-14 the step of float16 is 2^-24, that of a float32 between 0.5 and 1: adding 0.5 rounds.
    small = size.view(np.float32) + HALF
    small.view(np.uint32)[...] -= HALF.view(np.uint32)
    half = size >> 13
    half &= 1
    half += size
    half -= (112 << 23) - 0xFFF  # the exponent's offset, and just under one half of the step
    half >>= 13
    np.copyto(half, small.view(np.uint32), where=size < 113 << 23)
    bits >>= 16
    bits &= 0x8000
    out.view(np.uint16)[...] = np.bitwise_or(half, bits, out=half)
