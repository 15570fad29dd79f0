"""First and second moments of embeddings, streamed and merged in float64 (Section 4).

`moments` makes one pass over an array or an `EmbeddingSet`. `Moments.merge` is associative, so parts of a set can be
processed by several workers. The variance is kept as the sum of squared deviations from the mean of a block (Chan,
Golub and LeVeque, 1983), since a difference of large sums over the whole set would lose precision.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any, Protocol
from zipfile import BadZipFile

import numpy as np

from revision.embeddings import EmbeddingSet, kernels
from revision.errors import DataError
from revision.io.files import atomic_file
from revision.io.prefetch import ordered_map

BLOCK_ROWS = 512


class Rows(Protocol):
    """Interface of embeddings that are read in blocks, as `EmbeddingSet` and `ArrayRows` have it."""

    @property
    def count(self) -> int:
        """Number of rows n."""

    @property
    def dim(self) -> int:
        """Dimension d."""

    def blocks(self, rows: int) -> Iterator[np.ndarray]:
        """Iterate over blocks of shape (k, d) with k <= `rows`, in order."""

    def location(self, row: int) -> str:
        """Describe where a row is, for error messages."""


@dataclass(frozen=True)
class ArrayRows:
    """An array as `Rows`.

    Parameters
    ----------
    array : ndarray of shape (n, d)
        Rows of any float type.
    name : str, default="array"
        How error messages refer to the array.
    """

    array: np.ndarray
    name: str = "array"

    @property
    def count(self) -> int:
        """Number of rows n."""
        return len(self.array)

    @property
    def dim(self) -> int:
        """Dimension d."""
        return self.array.shape[1]

    @property
    def dtype(self) -> str:
        """Type that an embedding set of these rows has by default."""
        return "float16" if self.array.dtype == np.float16 else "float32"

    def blocks(self, rows: int) -> Iterator[np.ndarray]:
        """Iterate over views of shape (k, d) with k <= `rows`, in order."""
        return (self.array[start : start + rows] for start in range(0, len(self.array), rows))

    def location(self, row: int) -> str:
        """Describe where a row is, for error messages."""
        return f"{self.name}, row {row}"


@dataclass(frozen=True)
class Moments:
    """First and second moments of a set of rows, in float64.

    Attributes
    ----------
    count : int
        Number of rows n.
    mean : ndarray of shape (d,)
        Mean.
    deviation : float
        Sum of the squared distances of the rows from the mean.
    scatter : ndarray of shape (d, d) or None
        Sum of the outer products of the deviations from the mean, if the covariance was requested.
    """

    count: int
    mean: np.ndarray
    deviation: float
    scatter: np.ndarray | None = None

    @property
    def trace(self) -> float:
        """Trace of the population covariance, T = E|e - mu|^2."""
        return self.deviation / self.count

    @property
    def covariance(self) -> np.ndarray:
        """Population covariance, of shape (d, d); raises DataError if it was not computed."""
        if self.scatter is None:
            raise DataError("these moments have no covariance; compute them with covariance=True")
        return self.scatter / self.count

    @classmethod
    def of(cls, block: np.ndarray, *, covariance: bool = False) -> "Moments":
        """Compute the moments of a block.

        Parameters
        ----------
        block : array-like of shape (k, d)
            At least one row.
        covariance : bool, default=False
            Whether to compute the scatter matrix too.

        Returns
        -------
        Moments
            The moments.
        """
        block = np.asarray(block, dtype=np.float64)
        mean = block.mean(axis=0)
        centred = block - mean
        scatter = centred.T @ centred if covariance else None
        return cls(len(block), mean, float(np.vdot(centred, centred)), scatter)

    def merge(self, other: "Moments") -> "Moments":
        """Combine the moments of two disjoint sets.

        Parameters
        ----------
        other : Moments
            Moments of the other set.

        Returns
        -------
        Moments
            Moments of their union; with a covariance if both have one.

        Raises
        ------
        DataError
            If dimensions differ.
        """
        if self.mean.shape != other.mean.shape:
            raise DataError(
                f"cannot merge moments of dimension {self.mean.size} and {other.mean.size}; use one encoder"
            )
        count = self.count + other.count
        step = other.mean - self.mean
        weight = self.count * other.count / count
        scatter = None
        if self.scatter is not None and other.scatter is not None:
            scatter = self.scatter + other.scatter + weight * np.outer(step, step)
        mean = self.mean + step * (other.count / count)
        return Moments(count, mean, self.deviation + other.deviation + weight * float(step @ step), scatter)


def numbered_blocks(rows: Rows, block_rows: int) -> Iterator[tuple[int, np.ndarray]]:
    """Iterate over rows with their position.

    Parameters
    ----------
    rows : Rows
        The rows.
    block_rows : int
        Largest number of rows in a block.

    Yields
    ------
    start : int
        Index of the first row of the block.
    block : ndarray of shape (k, d)
        The block.
    """
    start = 0
    for block in rows.blocks(block_rows):
        yield start, block
        start += len(block)


def bad_row_error(rows: Rows, row: int, block: np.ndarray, index: int) -> DataError:
    """Describe a row that has no direction.

    Parameters
    ----------
    rows : Rows
        The set.
    row : int
        Index of the row in the set.
    block : ndarray of shape (k, d)
        The block that holds the row.
    index : int
        Index of the row in the block.

    Returns
    -------
    DataError
        Reports the location of the row, the problem (NaN, infinity, zero) and the fix.
    """
    values = np.asarray(block[index], dtype=np.float64)
    if np.isnan(values).any():
        fault = "NaN"
    elif np.isinf(values).any():
        fault = "infinity"
    elif not values.any():
        fault = "a zero vector"
    else:
        fault = "a vector that a shift moves to zero or infinity"
    return DataError(f"{rows.location(row)}: {fault}; drop the row, or embed it again, and write the set again")


def moments(
    rows: Rows | np.ndarray,
    *,
    unit: bool = False,
    covariance: bool = False,
    threads: int = 1,
    block_rows: int = BLOCK_ROWS,
    advance: Callable[[int], Any] | None = None,
) -> Moments:
    """Compute the moments of all rows in one pass.

    Parameters
    ----------
    rows : ndarray of shape (n, d) or Rows
        The rows.
    unit : bool, default=False
        Whether to normalise rows to unit length first.
    covariance : bool, default=False
        Whether to compute the covariance too.
    threads : int, default=1
        Number of threads; results do not depend on it.
    block_rows : int, default=512
        Rows that are processed at a time.
    advance : callable, optional
        Called with the number of rows of each finished block, for example by a progress bar.

    Returns
    -------
    Moments
        The moments.

    Raises
    ------
    DataError
        If the set is empty, or a row holds NaN or infinity or, with `unit`, has length zero.
    """
    source: Rows = ArrayRows(rows) if isinstance(rows, np.ndarray) else rows
    if source.count == 0:
        raise DataError(f"{source.location(0)}: the set is empty; moments need at least one row")
    no_scales, no_shifts = np.empty(0), np.empty((0, source.dim))

    def block_moments(item: tuple[int, np.ndarray]) -> Moments:
        start, block = item
        total = np.zeros(source.dim)
        if covariance:
            block = unit_block(source, item) if unit else np.asarray(block, dtype=np.float64)
            if not np.isfinite(block).all():
                index = int(np.argmin(np.isfinite(block).all(axis=1)))
                raise bad_row_error(source, start + index, block, index)
            return Moments.of(block, covariance=True)
        if unit:
            bad = kernels.unit_sum(block, no_scales, no_shifts, total)
            squares, pivot = float(len(block)), np.zeros(source.dim)
        else:
            # Deviations from a row of the block keep the variance exact where the mean is much larger.
            pivot = np.asarray(block[0], dtype=np.float64)
            squares, bad = kernels.plain_sum(block, pivot, total)
        if bad >= 0:
            raise bad_row_error(source, start + bad, block, bad)
        shift = total / len(block)
        deviation = max(squares - len(block) * float(shift @ shift), 0.0)
        return Moments(len(block), pivot + shift, deviation)

    def report_progress(part: Moments) -> Moments:
        if advance is not None:
            advance(part.count)
        return part

    parts = ordered_map(block_moments, numbered_blocks(source, block_rows), threads)
    return reduce(Moments.merge, map(report_progress, parts))


def unit_block(rows: Rows, item: tuple[int, np.ndarray]) -> np.ndarray:
    """Normalise the rows of a block.

    Parameters
    ----------
    rows : Rows
        The set, for the location in error messages.
    item : tuple of int and ndarray of shape (k, d)
        Index of the first row, and the block, as `numbered_blocks` yields them.

    Returns
    -------
    ndarray of shape (k, d)
        The rows as float64, of unit length.

    Raises
    ------
    DataError
        If a row has no direction (zero, NaN, infinity).
    """
    start, block = item
    out = np.empty(block.shape)
    bad = kernels.unit_rows(block, np.empty(0), np.empty((0, block.shape[1])), out)
    if bad >= 0:
        raise bad_row_error(rows, start + bad, block, bad)
    return out


def save_moments(path: str | Path, values: Moments, sets: Iterable[EmbeddingSet]) -> None:
    """Write moments to a file.

    Parameters
    ----------
    path : str or Path
        The .npz file to write.
    values : Moments
        The moments.
    sets : iterable of EmbeddingSet
        The sets that the moments belong to. They are identified by the checksums of their shards.
    """
    shards = [shard.xxh3_128 for embeddings in sets for shard in embeddings.shards]
    _write_moments(path, values, np.array(shards, dtype=np.str_))


def load_moments(path: str | Path, of: EmbeddingSet | None = None) -> Moments:
    """Read moments that `save_moments` or `merge_moments` wrote.

    Parameters
    ----------
    path : str or Path
        The file.
    of : EmbeddingSet, optional
        The set that the moments must belong to.

    Returns
    -------
    Moments
        The moments.

    Raises
    ------
    DataError
        If the file holds no moments, or those of another set.
    """
    values, shards = _read_moments(path)
    if of is not None and shards.tolist() != [shard.xxh3_128 for shard in of.shards]:
        raise DataError(f"{path}: not the moments of {of.folder} as it is now; run `revision stats --save` again")
    return values


def merge_all(parts: Sequence[Moments]) -> Moments:
    """Combine the moments of one or more parts, in their order.

    Parameters
    ----------
    parts : sequence of Moments
        At least one; parts without rows, such as the last ones of a small table, are ignored.

    Returns
    -------
    Moments
        Moments of all rows.
    """
    return reduce(Moments.merge, [part for part in parts if part.count] or parts[:1])


def merge_moments(paths: Iterable[str | Path], out: str | Path) -> Moments:
    """Combine saved moments of several sets and write the result.

    Parameters
    ----------
    paths : iterable of str or Path
        Files that `save_moments` or `merge_moments` wrote, in the order of the sets.
    out : str or Path
        The .npz file to write.

    Returns
    -------
    Moments
        The combined moments.

    Raises
    ------
    DataError
        If a file holds no moments, or dimensions differ.
    """
    parts = [_read_moments(path) for path in paths]
    merged = merge_all([values for values, _ in parts])
    _write_moments(out, merged, np.concatenate([shards for _, shards in parts]))
    return merged


def _write_moments(path: str | Path, values: Moments, shards: np.ndarray) -> None:
    scatter: dict[str, Any] = {} if values.scatter is None else {"scatter": values.scatter}
    with atomic_file(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, count=values.count, mean=values.mean, deviation=values.deviation, shards=shards, **scatter)


def _read_moments(path: str | Path) -> tuple[Moments, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            scatter = archive["scatter"] if "scatter" in archive.files else None
            values = Moments(int(archive["count"]), archive["mean"], float(archive["deviation"]), scatter)
            return values, archive["shards"].astype(np.str_)
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        fix = "name a file written by `revision stats --save`"
        raise DataError(f"{path}: no moments here ({type(error).__name__}: {error}); {fix}") from error
