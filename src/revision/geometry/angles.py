"""Pairwise cosines within a set, their density, and divergences between densities (figure 4b).

The paper specifies neither grid nor logarithm. Here: 2000 equal bins on [-1, 1]; Gaussian kernel with Scott's bandwidth
for the number of pairs, applied to the bins; Jensen-Shannon divergence (not its root) to base 2, so that it is in
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
    """Add the cosines of a tile (q, c) to the bins; in row i only those right of column i + skip."""
    bins = counts.shape[0]
    for i in range(tile.shape[0]):
        for j in range(max(0, i + skip + 1), tile.shape[1]):
            # Rounding in float32 can push a cosine slightly outside [-1, 1].
            bin_ = int((tile[i, j] + 1.0) * 0.5 * bins)
            counts[min(max(bin_, 0), bins - 1)] += 1


def cosine_histogram(embeddings: Array, bins: int = BINS) -> Array:
    """Histogram on [-1, 1] of the cosines of all pairs of rows, computed in tiles.

    Parameters
    ----------
    embeddings : ndarray of shape (n, d)
        Rows of unit length, n >= 2.
    bins : int
        Number of equal bins.

    Returns
    -------
    ndarray of shape (bins,), int64
        Counts that sum to n (n - 1) / 2.

    Raises
    ------
    DataError
        If there are fewer than two rows, or rows are not of unit length.
    """
    rows = unit_rows(embeddings, "embeddings")
    if len(rows) < 2:
        raise DataError("angles: one row has no pairs; give two or more rows")
    counts, tile = np.zeros(bins, dtype=np.int64), Tile(len(rows), len(rows))
    for row in range(0, len(rows), CORPUS):
        for column in range(row, len(rows), CORPUS):
            _count(tile.multiply(rows[row : row + CORPUS], rows[column : column + CORPUS]), row - column, counts)
    return counts


def grid(bins: int = BINS) -> Array:
    """Return the centres of equal bins on [-1, 1], ndarray of shape (bins,)."""
    return (np.arange(bins) + 0.5) * 2 / bins - 1


def density(counts: Array) -> Array:
    """Estimate a Gaussian kernel density from a histogram.

    Scott's bandwidth is std * pairs^(-1/5). Mass that smoothing moves beyond the ends is restored by scaling.

    Parameters
    ----------
    counts : ndarray of shape (bins,)
        As returned by `cosine_histogram`.

    Returns
    -------
    ndarray of shape (bins,)
        Density on `grid(bins)`, which integrates to 1 on [-1, 1].

    Raises
    ------
    DataError
        If the histogram is empty.
    """
    bins, total = len(counts), counts.sum()
    if total < 1:
        raise DataError("angles: the histogram is empty; give two or more rows")
    centres = grid(bins)
    mean = (counts @ centres) / total
    width = np.sqrt((counts @ (centres - mean) ** 2) / total) * total**-0.2 * bins / 2
    smooth = gaussian_filter1d(counts.astype(np.float64), width, mode="constant", truncate=8.0)
    return smooth / smooth.sum() * bins / 2


def cosine_density(embeddings: Array, bins: int = BINS) -> Array:
    """Return `density` of `cosine_histogram` of unit rows, ndarray of shape (n, d)."""
    return density(cosine_histogram(embeddings, bins))


def jensen_shannon(first: Array, second: Array, base: float = BASE) -> float:
    """Jensen-Shannon divergence of two densities (figure 4b).

    Parameters
    ----------
    first, second : ndarray of shape (bins,)
        Non-negative values on the same grid; both are scaled to sum 1.
    base : float
        Base of the logarithm.

    Returns
    -------
    float
        0 for equal densities, at most log 2 (to `base`).

    Raises
    ------
    DataError
        If the grids differ in size.
    """
    if first.shape != second.shape:
        raise DataError(
            f"angles: densities on different grids, {first.shape} and {second.shape}; use the same number of bins"
        )
    # SciPy returns the distance, the root of the divergence.
    return float(jensenshannon(first, second, base) ** 2)
