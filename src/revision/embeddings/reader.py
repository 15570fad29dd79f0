"""Reading embedding sets: Arrow shards mapped into memory, described by a manifest."""

import json
import mmap
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from revision.errors import DataError
from revision.io.files import check_file

FORMAT = "revision-embeddings-1"
MANIFEST = "manifest.json"
DTYPES = {"float16": pa.float16(), "float32": pa.float32()}
REBUILD = "restore it from a copy, or write the set anew"


@dataclass(frozen=True)
class Shard:
    """One Arrow file of the set."""

    file: str
    rows: int
    bytes: int
    xxh3_128: str


@dataclass(frozen=True)
class EmbeddingSet:
    """Embeddings on disk: `count` rows of `dim` numbers of `dtype`, with ids; `about` is the writer's own
    description.
    """

    folder: Path
    count: int
    dim: int
    dtype: str
    shards: tuple[Shard, ...]
    about: dict[str, Any] = field(default_factory=dict)

    def _batches(self, shard: Shard, advice: int = mmap.MADV_SEQUENTIAL) -> Iterator[pa.RecordBatch]:
        path = self.folder / shard.file
        try:
            with open(path, "rb") as handle:
                mapped = mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ)
            mapped.madvise(advice)
            reader = pa.ipc.open_file(pa.py_buffer(mapped))
            rows = 0
            for index in range(reader.num_record_batches):
                batch = reader.get_batch(index)
                kind = batch.schema.field("embedding").type
                if kind != pa.list_(DTYPES[self.dtype], self.dim):
                    raise DataError(f"{path}: holds {kind}, the manifest says {self.dim} x {self.dtype}; {REBUILD}")
                rows += batch.num_rows
                if rows > shard.rows:
                    break
                yield batch
        except (OSError, ValueError, KeyError) as error:
            if isinstance(error, DataError):
                raise
            raise DataError(f"{path}: not a readable shard ({error}); {REBUILD}") from error
        if rows != shard.rows:
            raise DataError(f"{path}: {rows} rows where the manifest says {shard.rows}; {REBUILD}")

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The record batches of all shards, in order."""
        for shard in self.shards:
            yield from self._batches(shard)

    def numbers(self, batch: pa.RecordBatch) -> np.ndarray:
        """The embeddings of a batch, [k, d], without a copy."""
        flat = batch.column("embedding").flatten()
        return np.frombuffer(
            flat.buffers()[1], self.dtype, len(flat), flat.offset * np.dtype(self.dtype).itemsize
        ).reshape(-1, self.dim)

    def blocks(self, rows: int) -> Iterator[np.ndarray]:
        """Read-only [k, d] blocks in order, k <= rows, without a copy; no block crosses a record batch."""
        for batch in self.batches():
            block = self.numbers(batch)
            for start in range(0, len(block), rows):
                yield block[start : start + rows]

    def ids(self) -> pa.Array:
        """All ids, in the order of the rows."""
        chunks = [batch.column("id") for batch in self.batches()]
        return pa.concat_arrays(chunks) if chunks else pa.array([], pa.string())

    def array(self) -> np.ndarray:
        """All embeddings as float32 [n, d], in memory."""
        out, start = np.empty((self.count, self.dim), np.float32), 0
        for batch in self.batches():
            out[start : start + batch.num_rows] = self.numbers(batch)
            start += batch.num_rows
        return out

    @cached_property
    def _views(self) -> tuple[np.ndarray, list[np.ndarray]]:
        """First row [b + 1] and numbers [k, d] of every record batch, mapped for reading in any order."""
        views = [self.numbers(batch) for shard in self.shards for batch in self._batches(shard, mmap.MADV_RANDOM)]
        return np.cumsum([0, *map(len, views)]), views

    def take(self, rows: np.ndarray) -> np.ndarray:
        """The embeddings of `rows` as float32 [k, d]; the rest of the set stays on disk."""
        first, views = self._views
        found, out = np.searchsorted(first, rows, side="right") - 1, np.empty((len(rows), self.dim), np.float32)
        for number in np.unique(found):
            chosen = found == number
            out[chosen] = views[number][rows[chosen] - first[number]]
        return out

    def location(self, row: int) -> str:
        """Where row `row` of the set is, for error messages: file, row in that file, id."""
        start = row
        for shard in self.shards:
            if start < shard.rows:
                offset = start
                for batch in self._batches(shard):
                    if offset < batch.num_rows:
                        return f"{self.folder / shard.file}, row {start} (id {batch.column('id')[offset].as_py()!r})"
                    offset -= batch.num_rows
            start -= shard.rows
        return f"{self.folder}, row {row}"

    def verify(self) -> None:
        """Read every shard and compare it with its checksum; DataError names the first one that differs."""
        for shard in self.shards:
            check_file(self.folder / shard.file, shard.bytes, shard.xxh3_128, REBUILD)


def open_rows(path: str | Path) -> EmbeddingSet | np.ndarray:
    """The embedding set in a folder, or a .npy file [n, d] of floats, mapped into memory and never unpickled.

    DataError says what else was found.
    """
    path = Path(path)
    if path.is_dir():
        return open_embeddings(path)
    if not path.is_file():
        raise DataError(f"{path}: no such file or folder; give an embedding folder or a .npy file")
    if path.suffix != ".npy":
        raise DataError(f"{path}: not an embedding folder and not a .npy file; convert it with `revision import`")
    try:
        array = np.lib.format.open_memmap(path, mode="r")
    except (ValueError, OSError, EOFError) as error:
        raise DataError(f"{path}: not a .npy file of numbers ({error}); write the array with `numpy.save`") from error
    if array.ndim != 2 or array.dtype.kind != "f":
        raise DataError(f"{path}: expected floats [rows, dimensions], got {array.dtype} {array.shape}")
    return np.asarray(array)


def open_embeddings(folder: str | Path) -> EmbeddingSet:
    """Open an embedding set without reading its numbers.

    Raises DataError where the manifest is missing, unreadable or counts other rows than its shards have, or a shard is
    missing or has another size than it was written with.
    """
    folder = Path(folder)
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if manifest["format"] != FORMAT:
            raise DataError(f"{folder / MANIFEST}: format {manifest['format']!r}, this version reads {FORMAT!r}")
        shards = tuple(Shard(**shard) for shard in manifest["shards"])
        found = EmbeddingSet(folder, manifest["count"], manifest["dim"], manifest["dtype"], shards, manifest["about"])
    except (OSError, json.JSONDecodeError, KeyError, TypeError) as error:
        fix = "name a folder that `revision import` or `revision embed` has written"
        raise DataError(f"{folder}: no embedding set here ({type(error).__name__}: {error}); {fix}") from error
    if sum(shard.rows for shard in shards) != found.count:
        raise DataError(f"{folder / MANIFEST}: counts {found.count} rows, its shards have others; {REBUILD}")
    for shard in shards:
        check_file(folder / shard.file, shard.bytes, None, REBUILD)
    return found
