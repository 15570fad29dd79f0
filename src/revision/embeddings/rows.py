"""Checks that arrays and embedding sets share: shape, dimension, unit length."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from revision.embeddings.moments import BLOCK_ROWS, ArrayRows, Moments, Rows, moments, unit_block
from revision.errors import DataError

Array = NDArray[Any]
UNIT_TOLERANCE = 5e-3  # allows for rows that were stored in half precision


def as_rows(embeddings: Array | Rows, name: str = "embeddings") -> Rows:
    """Wrap an array as `Rows`; other objects are returned unchanged.

    Parameters
    ----------
    embeddings : ndarray of shape (n, d) or Rows
        The embeddings.
    name : str, default="embeddings"
        How error messages refer to an array.

    Returns
    -------
    Rows
        The embeddings.

    Raises
    ------
    DataError
        If an array is empty or has another number of axes.
    """
    if not isinstance(embeddings, np.ndarray):
        return embeddings
    if embeddings.ndim != 2 or 0 in embeddings.shape:
        raise DataError(f"{name}: expected a non-empty array [rows, dimensions], got shape {embeddings.shape}")
    return ArrayRows(embeddings, name)


def measured(embeddings: Array | Rows, name: str = "embeddings", *, covariance: bool = False) -> Moments:
    """Compute the moments of rows as they are, without normalising them, in one pass.

    Parameters
    ----------
    embeddings : ndarray of shape (n, d) or Rows
        The embeddings.
    name : str, default="embeddings"
        How error messages refer to an array.
    covariance : bool, default=False
        Whether to compute the covariance too.

    Returns
    -------
    Moments
        Mean, trace and, if requested, population covariance, in float64.

    Raises
    ------
    DataError
        If the set is empty or holds NaN or infinity.
    """
    return moments(as_rows(embeddings, name), covariance=covariance)


def take(embeddings: Array | Rows, index: Array, name: str = "embeddings") -> Array:
    """Read some rows, normalised, in one pass over the blocks.

    Parameters
    ----------
    embeddings : ndarray of shape (n, d) or Rows
        The embeddings.
    index : ndarray of shape (k,)
        Indices of rows, ascending.
    name : str, default="embeddings"
        How error messages refer to an array.

    Returns
    -------
    ndarray of shape (k, d)
        The rows as float32, of unit length.

    Raises
    ------
    DataError
        If a row has no direction (zero, NaN, infinity).
    """
    rows = as_rows(embeddings, name)
    parts = [np.empty((0, rows.dim), np.float32)]
    start = 0
    for block in rows.blocks(BLOCK_ROWS):
        low, high = np.searchsorted(index, (start, start + len(block)))
        if high > low:
            parts.append(unit_block(rows, (start, block))[index[low:high] - start].astype(np.float32))
        start += len(block)
    return np.concatenate(parts)


def unit_rows(embeddings: Array, name: str) -> Array:
    """Check that rows have unit length.

    Parameters
    ----------
    embeddings : ndarray of shape (n, d)
        The embeddings.
    name : str
        How error messages refer to the array.

    Returns
    -------
    ndarray of shape (n, d)
        The same rows, as contiguous float32.

    Raises
    ------
    DataError
        If the length of a row differs from 1 by more than 0.005, or is not finite.
    """
    as_rows(embeddings, name)
    array = np.ascontiguousarray(embeddings, dtype=np.float32)
    norms = np.sqrt(np.einsum("nd,nd->n", array, array))
    wrong = np.flatnonzero(~(np.abs(norms - 1) <= UNIT_TOLERANCE))
    if len(wrong):
        raise DataError(f"{name}: row {wrong[0]} has length {norms[wrong[0]]:.4g}, not 1; normalise the rows first")
    return array


def same_shape(x: Array, y: Array) -> tuple[int, int]:
    """Return the common shape (n, d) of a paired set; raise DataError if the shapes differ."""
    as_rows(x), as_rows(y)
    if x.shape != y.shape:
        raise DataError(f"pairs: the two sets have shapes {x.shape} and {y.shape}; row i of one must belong to row i")
    return x.shape


def same_dimension(x: Array | Rows, y: Array | Rows) -> int:
    """Return the common dimension of two sets; raise DataError if their dimensions differ."""
    first, second = as_rows(x).dim, as_rows(y).dim
    if first != second:
        raise DataError(f"embeddings: dimensions differ, {first} against {second}; use one encoder for both")
    return first
