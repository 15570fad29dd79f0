"""Normalise, shift and sum rows in float64 (Section 4, steps 1 to 3), in pieces that fit into the processor's cache.

A chain of shifts `e -> unit(scale * e + shift)` keeps a row x in the span of x and the shifts s_k. The chain is
therefore applied to the coefficients of that span: the intermediate lengths follow from the products x.x, x.s_k and
s_k.s_l, and the row itself is used only once, at the end, where it is summed or written.
"""

from collections.abc import Iterator

import numpy as np

PIECE_SIZE = 1 << 16  # values in a piece: 512 KB as float64, which fits into the second-level cache
HALF = np.float32(0.5)
CANCELLED = 1e-6  # below this fraction of its terms, a squared length is computed again from the row


def unit_sum(block: np.ndarray, scales: np.ndarray, shifts: np.ndarray, total: np.ndarray) -> int:
    """Normalise the rows of a block, apply a chain of shifts, and add the resulting unit rows to `total`.

    Parameters
    ----------
    block : ndarray of shape (n, d)
        Rows of any float type.
    scales : ndarray of shape (k,)
        Factor of each shift.
    shifts : ndarray of shape (k, d)
        Vector of each shift.
    total : ndarray of shape (d,)
        Sum to which the rows are added in place, float64.

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
    """Normalise the rows of a block, apply a chain of shifts, and write the resulting unit rows to `out`.

    Parameters
    ----------
    block : ndarray of shape (n, d)
        Rows of any float type.
    scales : ndarray of shape (k,)
        Factor of each shift.
    shifts : ndarray of shape (k, d)
        Vector of each shift.
    out : ndarray of shape (n, d)
        Receives the rows, of any float type.

    Returns
    -------
    int
        Index of the first row without a direction (zero, NaN, infinity), or -1.
    """
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
    """Add the deviations of rows from a pivot to `total`, without normalising the rows.

    Parameters
    ----------
    block : ndarray of shape (n, d)
        Rows of any float type.
    pivot : ndarray of shape (d,)
        Subtracted from each row, so that sums do not lose precision where the mean is large.
    total : ndarray of shape (d,)
        Sum to which the deviations are added in place, float64.

    Returns
    -------
    squares : float
        Sum of the squared lengths of the deviations.
    bad : int
        Index of the first row with NaN or infinity, or -1.
    """
    squares = 0.0
    for start, rows in _pieces(block):
        rows -= pivot
        row_squares = np.vecdot(rows, rows)
        if not np.isfinite(row_squares).all():
            return squares, start + int(np.argmin(np.isfinite(row_squares)))
        total += np.ones(len(rows)) @ rows
        squares += float(row_squares.sum())
    return squares, -1


def _step(block: np.ndarray) -> int:
    """Number of rows in a piece."""
    return max(1, PIECE_SIZE // block.shape[1])


def _pieces(block: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Yield (index of the first row, float64 copy of the rows) over a block; all copies use the same memory."""
    step = _step(block)
    copy = np.empty((min(step, len(block)), block.shape[1]))
    for start in range(0, len(block), step):
        piece = block[start : start + step]
        copy[: len(piece)] = piece
        yield start, copy[: len(piece)]


def _coefficients(rows: np.ndarray, scales: np.ndarray, shifts: np.ndarray) -> tuple[np.ndarray, int]:
    """Coefficients (1 + k, n) of the final unit rows in the span of row and shifts, and the first bad row, or -1."""
    weights = np.zeros((1 + len(scales), len(rows)))
    weights[0] = 1.0
    gram = shifts @ shifts.T
    square = np.vecdot(rows, rows)  # squared length of the vectors that `weights` stand for
    good = (square > 0.0) & (square < np.inf)
    with np.errstate(divide="ignore", invalid="ignore"):  # `good` marks bad rows
        for k, scale in enumerate(scales):
            factor = scale / np.sqrt(square)
            along = weights[0] * (rows @ shifts[k]) + gram[k, :k] @ weights[1 : k + 1]
            weights[: k + 1] *= factor
            weights[k + 1] = 1.0
            terms = scale * scale + gram[k, k]
            square = terms + 2.0 * factor * along
            # Where the shift almost cancels the row, the products above have lost the digits of the small difference.
            (cancelled,) = np.nonzero(square < CANCELLED * terms)
            if len(cancelled):
                moved = weights[0, cancelled, None] * rows[cancelled] + weights[1:, cancelled].T @ shifts
                square[cancelled] = np.vecdot(moved, moved)
            good &= (square > 0.0) & (square < np.inf)
        weights /= np.sqrt(square)
    return weights, -1 if good.all() else int(np.argmin(good))


def _to_half(rows: np.ndarray, out: np.ndarray) -> None:
    """Round float32 values of at most 65504 to float16 as numpy's slower cast does; overwrites `rows`."""
    bits = rows.view(np.uint32)
    size = bits & 0x7FFFFFFF
    # Below 2^-14 the spacing of float16 is 2^-24, as is that of float32 between 0.5 and 1: adding 0.5 rounds.
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
