"""Arrays or embedding sets as checked rows, and their moments (`revision.embeddings.moments`)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from revision.embeddings.moments import BLOCK_ROWS, ArrayRows, Moments, Rows, moments, unit_block
from revision.errors import DataError

Array = NDArray[Any]
UNIT_TOLERANCE = 5e-3


def as_rows(embeddings: Array | Rows, name: str = "embeddings") -> Rows:
    """An array or embedding set as `Rows`; DataError unless it is [n, d] with n, d >= 1."""
    if not isinstance(embeddings, np.ndarray):
        return embeddings
    if embeddings.ndim != 2 or 0 in embeddings.shape:
        raise DataError(f"{name}: expected a non-empty array [rows, dimensions], got shape {embeddings.shape}")
    return ArrayRows(embeddings, name)


def measured(embeddings: Array | Rows, name: str = "embeddings", *, covariance: bool = False) -> Moments:
    """Mean and, if asked for, population covariance, in one streamed float64 pass."""
    return moments(as_rows(embeddings, name), covariance=covariance)


def take(embeddings: Array | Rows, index: Array, name: str = "embeddings") -> Array:
    """Unit rows float32 [len(index), d] of the ascending indices `index`, read block by block.

    DataError names a row without a direction (NaN, infinity, zero).
    """
    rows = as_rows(embeddings, name)
    parts, start = [np.empty((0, rows.dim), np.float32)], 0
    for block in rows.blocks(BLOCK_ROWS):
        low, high = np.searchsorted(index, (start, start + len(block)))
        if high > low:
            parts.append(unit_block(rows, (start, block))[index[low:high] - start].astype(np.float32))
        start += len(block)
    return np.concatenate(parts)


def unit_rows(embeddings: Array, name: str) -> Array:
    """Return [n, d] as contiguous float32 after checking that the rows are finite and of unit length (to 0.5%)."""
    as_rows(embeddings, name)
    array = np.ascontiguousarray(embeddings, dtype=np.float32)
    norms = np.sqrt(np.einsum("nd,nd->n", array, array))
    wrong = np.flatnonzero(~(np.abs(norms - 1) <= UNIT_TOLERANCE))
    if len(wrong):
        raise DataError(f"{name}: row {wrong[0]} has length {norms[wrong[0]]:.4g}, not 1; normalise the rows first")
    return array


def same_shape(x: Array, y: Array) -> tuple[int, int]:
    """Shape [n, d] of a paired set; DataError if the two differ."""
    as_rows(x), as_rows(y)
    if x.shape != y.shape:
        raise DataError(f"pairs: the two sets have shapes {x.shape} and {y.shape}; row i of one must belong to row i")
    return x.shape


def same_dimension(x: Array | Rows, y: Array | Rows) -> int:
    """Common dimension of two sets; DataError if they differ."""
    first, second = as_rows(x).dim, as_rows(y).dim
    if first != second:
        raise DataError(f"embeddings: dimensions differ, {first} against {second}; use one encoder for both")
    return first
