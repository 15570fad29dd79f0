"""What ReAlign's statistics and operator cost, and what single precision loses (figure 7)."""

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
    """`count` rows that repeat those of `array` [n, d] in order: a set of any size in the memory of a small one."""

    array: Array
    count: int

    @property
    def dim(self) -> int:
        """d."""
        return self.array.shape[1]

    def blocks(self, rows: int) -> Iterator[Array]:
        """Blocks of at most `rows` rows; each is a copy."""
        for start in range(0, self.count, rows):
            index = np.arange(start, min(start + rows, self.count)) % len(self.array)
            yield self.array[index]

    def location(self, row: int) -> str:
        """What error messages call a row."""
        return f"row {row % len(self.array)}"


def exact_mean(rows: Rows) -> Array:
    """Mean float64 [d] of values in [-1, 1], correct to about 2^-61: sums are of integers, so none is rounded."""
    high, low = np.zeros((2, rows.dim), dtype=np.int64)
    for block in rows.blocks(BLOCK_ROWS):
        scaled = np.asarray(block, dtype=np.float64) * 2**HALF_BITS
        whole = np.floor(scaled)
        high += whole.astype(np.int64).sum(axis=0)
        low += np.floor((scaled - whole) * 2**HALF_BITS).astype(np.int64).sum(axis=0)
    total = [int(h) * 2**HALF_BITS + int(rest) for h, rest in zip(high, low, strict=True)]
    return np.array([part / (rows.count * 4**HALF_BITS) for part in total])


def single_precision_mean(rows: Rows) -> Array:
    """Mean float64 [d] from a running float32 sum, row after row: the plain loop over a data set."""
    total = np.zeros((1, rows.dim), dtype=np.float32)
    for block in rows.blocks(BLOCK_ROWS):
        total = np.add.reduce(np.concatenate([total, block.astype(np.float32)]), axis=0, keepdims=True)
    return total[0].astype(np.float64) / rows.count


def mean_errors(rows: Rows) -> dict[str, float]:
    """Euclidean distance of the estimated mean of `rows` to the exact one, by the precision of the running sum."""
    exact = exact_mean(rows)
    return {
        "float32": float(np.linalg.norm(single_precision_mean(rows) - exact)),
        "float64": float(np.linalg.norm(moments(rows).mean - exact)),
    }


def fit_and_transform(aligner: Aligner, source: Rows, target: Rows) -> None:
    """Fit on two sets and move every source row in blocks that are dropped at once: the work without a disk."""
    aligner.fit_stream(source, target)
    for _ in Engine().transformed(source, aligner.transforms_, "float32"):
        pass


def operator_cost(aligner: Aligner, source: Rows, target: Rows, repeats: int = 3) -> tuple[float, float]:
    """(least seconds of `repeats` runs, peak MB that one more run allocates) of `fit_and_transform`.

    The least of several is the time without a busy neighbour. Python's tracemalloc sees NumPy's arrays.
    """
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        fit_and_transform(aligner, source, target)
        seconds.append(time.perf_counter() - start)
    tracemalloc.start()
    try:
        fit_and_transform(aligner, source, target)
        peak = tracemalloc.get_traced_memory()[1] / 1e6
    finally:
        tracemalloc.stop()
    return min(seconds), peak
