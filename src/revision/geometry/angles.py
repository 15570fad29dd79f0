"""Pairwise cosines within a set, their density, and divergences between densities (figure 4b).

The paper leaves grid and logarithm open. Here: 2000 equal bins on [-1, 1]; Gaussian kernel with Scott's bandwidth
over the number of pairs, applied to the bins; Jensen-Shannon divergence (not its root) to base 2, so that it lies in
[0, 1].
"""

import numba
import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.distance import jensenshannon

from revision.embeddings.rows import Array, unit_rows
from revision.errors import DataError
from revision.geometry.neighbours import CORPUS, Tile

BINS = 2000
BASE = 2.0


@numba.njit(cache=True, nogil=True)
def _count(tile, skip, counts):
    """Add the cosines of tile [q, c] to the bins, in row i only those right of column i + skip."""
    bins = counts.shape[0]
    for i in range(tile.shape[0]):
        for j in range(max(0, i + skip + 1), tile.shape[1]):
            place = int((tile[i, j] + 1.0) * 0.5 * bins)
            counts[min(max(place, 0), bins - 1)] += 1


def cosine_histogram(embeddings: Array, bins: int = BINS) -> Array:
    """Counts int64 [bins] on [-1, 1] of the cosines of all n (n - 1) / 2 pairs of the unit rows [n, d], in tiles."""
    rows = unit_rows(embeddings, "embeddings")
    if len(rows) < 2:
        raise DataError("angles: one row has no pairs; give two or more")
    counts, tile = np.zeros(bins, dtype=np.int64), Tile(len(rows), len(rows))
    for row in range(0, len(rows), CORPUS):
        for column in range(row, len(rows), CORPUS):
            _count(tile.multiply(rows[row : row + CORPUS], rows[column : column + CORPUS]), row - column, counts)
    return counts


def grid(bins: int = BINS) -> Array:
    """Centres [bins] of the equal bins on [-1, 1]."""
    return (np.arange(bins) + 0.5) * 2 / bins - 1


def density(counts: Array) -> Array:
    """Kernel density [bins] on `grid(bins)` from a histogram: Gaussian, Scott's bandwidth std * pairs^(-1/5).

    It integrates to 1 on [-1, 1]; mass smoothed over the ends is put back by scaling.
    """
    bins, total = len(counts), counts.sum()
    if total < 1:
        raise DataError("angles: the histogram is empty")
    centres = grid(bins)
    mean = (counts @ centres) / total
    width = np.sqrt((counts @ (centres - mean) ** 2) / total) * total**-0.2 * bins / 2
    smooth = gaussian_filter1d(counts.astype(np.float64), width, mode="constant", truncate=8.0)
    return smooth / smooth.sum() * bins / 2


def cosine_density(embeddings: Array, bins: int = BINS) -> Array:
    """`density` of `cosine_histogram` of the unit rows [n, d]."""
    return density(cosine_histogram(embeddings, bins))


def jensen_shannon(first: Array, second: Array, base: float = BASE) -> float:
    """Jensen-Shannon divergence of two non-negative vectors on one grid, each scaled to sum 1; 0 for equal ones.

    With base 2 it is at most 1; in nats, at most log 2.
    """
    if first.shape != second.shape:
        raise DataError(f"angles: densities on different grids, {first.shape} and {second.shape}")
    return float(jensenshannon(first, second, base) ** 2)
