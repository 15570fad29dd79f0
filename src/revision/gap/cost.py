"""Time and memory of ReAlign, and the error of single-precision means (figure 7)."""

import time
import tracemalloc
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from revision.align.base import Aligner, Engine
from revision.embeddings.moments import BLOCK_ROWS, Rows, moments
from revision.embeddings.rows import Array

HALF_BITS = 31


@dataclass(frozen=True)
class Cycled:
    """Rows that repeat those of an array in order: a set of any size in the memory of a small one.

    Attributes
    ----------
    array : ndarray of shape (n, d)
        Rows to repeat.
    count : int
        Total number of rows.
    """

    array: Array
    count: int

    @property
    def dim(self) -> int:
        """Dimension d."""
        return self.array.shape[1]

    def blocks(self, rows: int) -> Iterator[Array]:
        """Iterate over blocks of at most `rows` rows; each is a copy."""
        for start in range(0, self.count, rows):
            index = np.arange(start, min(start + rows, self.count)) % len(self.array)
            yield self.array[index]

    def location(self, row: int) -> str:
        """Return the name of a row in error messages."""
        return f"row {row % len(self.array)}"


def exact_mean(rows: Rows) -> Array:
    """Compute the mean of values in [-1, 1], correct to about 2^-61.

    Parameters
    ----------
    rows : Rows
        Embeddings with values in [-1, 1].

    Returns
    -------
    ndarray of shape (d,), float64
        The mean.
    """
    # Values are split into two integers of 31 bits each: sums of integers are exact up to 2^32 rows.
    high, low = np.zeros((2, rows.dim), dtype=np.int64)
    for block in rows.blocks(BLOCK_ROWS):
        scaled = np.asarray(block, dtype=np.float64) * 2**HALF_BITS
        whole = np.floor(scaled)
        high += whole.astype(np.int64).sum(axis=0)
        low += np.floor((scaled - whole) * 2**HALF_BITS).astype(np.int64).sum(axis=0)
    totals = [int(upper) * 2**HALF_BITS + int(lower) for upper, lower in zip(high, low, strict=True)]
    return np.array([total / (rows.count * 4**HALF_BITS) for total in totals])


def single_precision_mean(rows: Rows) -> Array:
    """Return the mean (d,) from a running float32 sum over rows, as in a plain loop over a data set."""
    total = np.zeros((1, rows.dim), dtype=np.float32)
    for block in rows.blocks(BLOCK_ROWS):
        total = np.add.reduce(np.concatenate([total, block.astype(np.float32)]), axis=0, keepdims=True)
    return total[0].astype(np.float64) / rows.count


def _tree_sum(rows: Array) -> Array:
    """Sum neighbouring rows (n, d), then neighbouring sums, until one row (d,) is left."""
    while len(rows) > 1:
        rows = np.concatenate([rows[:-1:2] + rows[1::2], rows[len(rows) - len(rows) % 2 :]])
    return rows[0]


def pairwise_mean(rows: Rows) -> Array:
    """Return the mean (d,) from float32 sums that are added in pairs, a binary tree over the rows."""
    sums: list[Array] = []
    for number, block in enumerate(rows.blocks(BLOCK_ROWS), start=1):
        sums.append(_tree_sum(block.astype(np.float32)))
        while number % 2 == 0:  # two sums of equally many blocks
            sums[-2:] = [sums[-2] + sums[-1]]
            number //= 2
    return _tree_sum(np.stack(sums)).astype(np.float64) / rows.count


def mean_errors(rows: Rows) -> dict[str, float]:
    """Compute the error of means by the precision of the sum (figure 7a).

    Parameters
    ----------
    rows : Rows
        Embeddings with values in [-1, 1].

    Returns
    -------
    dict
        Euclidean distance from the exact mean for "float32" (a running sum), "float32 pairwise" and "float64".
    """
    exact = exact_mean(rows)
    return {
        "float32": float(np.linalg.norm(single_precision_mean(rows) - exact)),
        "float32 pairwise": float(np.linalg.norm(pairwise_mean(rows) - exact)),
        "float64": float(np.linalg.norm(moments(rows).mean - exact)),
    }


def fit_and_transform(aligner: Aligner, source: Rows, target: Rows) -> None:
    """Fit on two sets and transform the source in blocks without keeping them, so that no disk is involved."""
    aligner.fit_stream(source, target)
    for _ in Engine().transformed(source, aligner.transforms_, "float32"):
        pass


def operator_cost(aligner: Aligner, source: Rows, target: Rows, repeats: int = 3) -> tuple[float, float]:
    """Measure time and memory of `fit_and_transform` (figure 7b).

    Parameters
    ----------
    aligner : Aligner
        Aligner to fit.
    source, target : Rows
        Texts and images.
    repeats : int
        Number of timed runs.

    Returns
    -------
    seconds : float
        The minimum of the runs, which other processes disturb least.
    megabytes : float
        Peak memory that one more run allocates.
    """
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        fit_and_transform(aligner, source, target)
        seconds.append(time.perf_counter() - start)
    # Tracing slows a run down, so it is not one of the timed ones. NumPy reports its arrays to tracemalloc.
    tracemalloc.start()
    try:
        fit_and_transform(aligner, source, target)
        peak = tracemalloc.get_traced_memory()[1] / 1e6
    finally:
        tracemalloc.stop()
    return min(seconds), peak
