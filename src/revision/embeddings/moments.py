"""Streaming, mergeable first and second moments of embeddings (section 4: statistics accumulated in float64).

`moments` makes one pass over an array or an `EmbeddingSet`; `Moments.merge` is associative, so shards can be reduced
in any order by any number of workers. The variance keeps the sum of squared deviations from the block's own mean
(Chan, Golub and LeVeque 1983), never a difference of large sums over the whole set.
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
    """Embeddings that can be walked in blocks: an `EmbeddingSet`, or an array inside `ArrayRows`."""

    @property
    def count(self) -> int: ...

    @property
    def dim(self) -> int: ...

    def blocks(self, rows: int) -> Iterator[np.ndarray]: ...

    def location(self, row: int) -> str: ...


@dataclass(frozen=True)
class ArrayRows:
    """A [n, d] float array as `Rows`; `name` is what error messages call it."""

    array: np.ndarray
    name: str = "array"

    @property
    def count(self) -> int:
        return len(self.array)

    @property
    def dim(self) -> int:
        return self.array.shape[1]

    @property
    def dtype(self) -> str:
        return "float16" if self.array.dtype == np.float16 else "float32"

    def blocks(self, rows: int) -> Iterator[np.ndarray]:
        return (self.array[start : start + rows] for start in range(0, len(self.array), rows))

    def location(self, row: int) -> str:
        return f"{self.name}, row {row}"


@dataclass(frozen=True)
class Moments:
    """Count n, mean [d], sum of squared deviations, and optionally the scatter matrix [d, d]; all float64."""

    count: int
    mean: np.ndarray
    deviation: float
    scatter: np.ndarray | None = None

    @property
    def trace(self) -> float:
        """T = E|e - mu|^2, the trace of the (population) covariance."""
        return self.deviation / self.count

    @property
    def covariance(self) -> np.ndarray:
        """Population covariance [d, d]."""
        if self.scatter is None:
            raise DataError("these moments hold no covariance: compute them with covariance=True")
        return self.scatter / self.count

    @classmethod
    def of(cls, block: np.ndarray, *, covariance: bool = False) -> "Moments":
        """Moments of a [k, d] block, k >= 1."""
        block = np.asarray(block, dtype=np.float64)
        mean = block.mean(axis=0)
        centred = block - mean
        scatter = centred.T @ centred if covariance else None
        return cls(len(block), mean, float(np.vdot(centred, centred)), scatter)

    def merge(self, other: "Moments") -> "Moments":
        """Moments of both sets together."""
        if self.mean.shape != other.mean.shape:
            raise DataError(f"cannot merge moments of dimension {self.mean.size} and {other.mean.size}")
        count = self.count + other.count
        step = other.mean - self.mean
        weight = self.count * other.count / count
        both = self.scatter is not None and other.scatter is not None
        scatter = self.scatter + other.scatter + weight * np.outer(step, step) if both else None  # type: ignore[operator]
        mean = self.mean + step * (other.count / count)
        return Moments(count, mean, self.deviation + other.deviation + weight * float(step @ step), scatter)


def numbered_blocks(rows: Rows, block_rows: int) -> Iterator[tuple[int, np.ndarray]]:
    """(index of the first row, block) over `rows`."""
    start = 0
    for block in rows.blocks(block_rows):
        yield start, block
        start += len(block)


def bad_row(rows: Rows, row: int, block: np.ndarray, index: int) -> DataError:
    """The error for a row that has no direction: it says NaN, infinity or zero, where, and what to do."""
    values = np.asarray(block[index], dtype=np.float64)
    if np.isnan(values).any():
        fault = "NaN"
    elif np.isinf(values).any():
        fault = "infinity"
    elif not values.any():
        fault = "a zero vector"
    else:
        fault = "a vector whose length is not a number above zero after the shift"
    return DataError(f"{rows.location(row)}: {fault}; drop the row, or embed it again, and write the set anew")


def moments(
    rows: Rows | np.ndarray,
    *,
    unit: bool = False,
    covariance: bool = False,
    threads: int = 1,
    block_rows: int = BLOCK_ROWS,
    advance: Callable[[int], Any] | None = None,
) -> Moments:
    """Moments of all rows in one pass; `unit` takes each row to length 1 first; `advance(k)` hears of every block
    done.

    Raises DataError for an empty set and for a row with NaN or infinity (or, with `unit`, of length zero).
    """
    source: Rows = ArrayRows(rows) if isinstance(rows, np.ndarray) else rows
    if source.count == 0:
        raise DataError(f"{source.location(0)}: the set is empty; moments need at least one row")
    none, no_shift = np.empty(0), np.empty((0, source.dim))

    def block_moments(item: tuple[int, np.ndarray]) -> Moments:
        start, block = item
        total = np.zeros(source.dim)
        if covariance:
            block = unit_block(source, item) if unit else np.asarray(block, dtype=np.float64)
            if not np.isfinite(block).all():
                index = int(np.argmin(np.isfinite(block).all(axis=1)))
                raise bad_row(source, start + index, block, index)
            return Moments.of(block, covariance=True)
        if unit:
            squares, bad = float(len(block)), kernels.unit_sum(block, none, no_shift, total)
            pivot = np.zeros(source.dim)
        else:
            pivot = np.asarray(block[0], dtype=np.float64)
            squares, bad = kernels.plain_sum(block, pivot, total)
        if bad >= 0:
            raise bad_row(source, start + bad, block, bad)
        shift = total / len(block)
        deviation = max(squares - len(block) * float(shift @ shift), 0.0)
        return Moments(len(block), pivot + shift, deviation)

    def tell(part: Moments) -> Moments:
        if advance is not None:
            advance(part.count)
        return part

    parts = ordered_map(block_moments, numbered_blocks(source, block_rows), threads)
    return reduce(Moments.merge, map(tell, parts))


def unit_block(rows: Rows, item: tuple[int, np.ndarray]) -> np.ndarray:
    """The rows of a numbered block as float64 [k, d] of length 1; raises DataError for a bad row."""
    start, block = item
    out = np.empty(block.shape)
    bad = kernels.unit_rows(block, np.empty(0), np.empty((0, block.shape[1])), out)
    if bad >= 0:
        raise bad_row(rows, start + bad, block, bad)
    return out


def save_moments(path: str | Path, found: Moments, sets: Iterable[EmbeddingSet]) -> None:
    """Write the moments of `sets` as .npz; the checksums of their shards say what they are of."""
    shards = [shard.xxh3_128 for each in sets for shard in each.shards]
    _write_moments(path, found, np.array(shards, dtype=np.str_))


def load_moments(path: str | Path, of: EmbeddingSet | None = None) -> Moments:
    """Moments that `save_moments` or `merge_moments` wrote; DataError if they are not those of the set `of`."""
    found, shards = _read_moments(path)
    if of is not None and shards.tolist() != [shard.xxh3_128 for shard in of.shards]:
        raise DataError(f"{path}: not the moments of {of.folder} as it is now; run `revision stats --save` again")
    return found


def merge_all(parts: Sequence[Moments]) -> Moments:
    """Moments of all `parts` (one or more) together, in that order; those without rows, such as the last parts of a
    small table, count for nothing.
    """
    return reduce(Moments.merge, [part for part in parts if part.count] or parts[:1])


def merge_moments(paths: Iterable[str | Path], out: str | Path) -> Moments:
    """Moments of all sets whose moments lie in `paths`, merged in that order and written to `out`."""
    parts = [_read_moments(path) for path in paths]
    merged = merge_all([found for found, _ in parts])
    _write_moments(out, merged, np.concatenate([shards for _, shards in parts]))
    return merged


def _write_moments(path: str | Path, found: Moments, shards: np.ndarray) -> None:
    scatter: dict[str, Any] = {} if found.scatter is None else {"scatter": found.scatter}
    with atomic_file(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, count=found.count, mean=found.mean, deviation=found.deviation, shards=shards, **scatter)


def _read_moments(path: str | Path) -> tuple[Moments, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as values:
            scatter = values["scatter"] if "scatter" in values.files else None
            found = Moments(int(values["count"]), values["mean"], float(values["deviation"]), scatter)
            return found, values["shards"].astype(np.str_)
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        fix = "name a file that `revision stats --save` has written"
        raise DataError(f"{path}: no moments here ({type(error).__name__}: {error}); {fix}") from error
