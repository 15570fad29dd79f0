"""Read embedding sets: Arrow shards that are mapped into memory and described by a manifest."""

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
NPY = b"\x93NUMPY"  # how every .npy file starts
DTYPES = {"float16": pa.float16(), "float32": pa.float32()}
REBUILD = "restore it from a copy, or write the set again"


@dataclass(frozen=True)
class Shard:
    """An Arrow file of an embedding set.

    Attributes
    ----------
    file : str
        Name of the file in the folder of the set.
    rows : int
        Number of rows.
    bytes : int
        Size of the file.
    xxh3_128 : str
        Checksum of the file, hexadecimal.
    """

    file: str
    rows: int
    bytes: int
    xxh3_128: str


@dataclass(frozen=True)
class EmbeddingSet:
    """Embeddings on disk, with ids. Open them with `open_embeddings`.

    Attributes
    ----------
    folder : Path
        Folder of the set.
    count : int
        Number of rows n.
    dim : int
        Dimension d.
    dtype : {"float16", "float32"}
        Type of the stored values.
    shards : tuple of Shard
        The files of the set, in order.
    about : dict
        Further facts that the writer stored, such as the encoder.
    """

    folder: Path
    count: int
    dim: int
    dtype: str
    shards: tuple[Shard, ...]
    about: dict[str, Any] = field(default_factory=dict)

    def _batches(self, shard: Shard, advice: int = mmap.MADV_SEQUENTIAL) -> Iterator[pa.RecordBatch]:
        """The record batches of a shard, checked against the manifest."""
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
        """Yield the record batches of all shards, in order; columns are `id` and `embedding`."""
        for shard in self.shards:
            yield from self._batches(shard)

    def _vectors(self, batch: pa.RecordBatch) -> np.ndarray:
        """The embeddings of a record batch, of shape (k, d), without a copy."""
        flat = batch.column("embedding").flatten()
        return np.frombuffer(
            flat.buffers()[1], self.dtype, len(flat), flat.offset * np.dtype(self.dtype).itemsize
        ).reshape(-1, self.dim)

    def blocks(self, rows: int) -> Iterator[np.ndarray]:
        """Iterate over the embeddings without a copy.

        Parameters
        ----------
        rows : int
            Largest number of rows in a block.

        Yields
        ------
        ndarray of shape (k, d)
            Read-only blocks of the stored type, in order. A block does not extend over two record batches, so it may
            have fewer rows.

        Raises
        ------
        DataError
            If a shard is unreadable or does not match the manifest.
        """
        for batch in self.batches():
            block = self._vectors(batch)
            for start in range(0, len(block), rows):
                yield block[start : start + rows]

    def ids(self) -> pa.Array:
        """Return all ids as an Arrow string array, in the order of the rows."""
        chunks = [batch.column("id") for batch in self.batches()]
        return pa.concat_arrays(chunks) if chunks else pa.array([], pa.string())

    def array(self) -> np.ndarray:
        """Load all embeddings into memory, as a float32 array of shape (n, d)."""
        out, start = np.empty((self.count, self.dim), np.float32), 0
        for batch in self.batches():
            out[start : start + batch.num_rows] = self._vectors(batch)
            start += batch.num_rows
        return out

    @cached_property
    def _views(self) -> tuple[np.ndarray, list[np.ndarray]]:
        """First rows (b + 1,) and embeddings (k, d) of all record batches, mapped for random access."""
        views = [self._vectors(batch) for shard in self.shards for batch in self._batches(shard, mmap.MADV_RANDOM)]
        return np.cumsum([0, *map(len, views)]), views

    def take(self, rows: np.ndarray) -> np.ndarray:
        """Load some of the embeddings; the rest of the set is not read.

        Parameters
        ----------
        rows : ndarray of shape (k,)
            Indices of rows, in any order; an index may occur more than once.

        Returns
        -------
        ndarray of shape (k, d)
            The embeddings as float32.
        """
        first, views = self._views
        batches = np.searchsorted(first, rows, side="right") - 1
        out = np.empty((len(rows), self.dim), np.float32)
        for batch in np.unique(batches):
            chosen = batches == batch
            out[chosen] = views[batch][rows[chosen] - first[batch]]
        return out

    def location(self, row: int) -> str:
        """Describe where a row is, for error messages: file, row in that file, and id."""
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
        """Read every shard and compare it with its checksum.

        Raises
        ------
        DataError
            If a shard differs; names the first.
        """
        for shard in self.shards:
            check_file(self.folder / shard.file, shard.bytes, shard.xxh3_128, REBUILD)


def open_rows(path: str | Path) -> EmbeddingSet | np.ndarray:
    """Open an embedding set or a .npy file, mapped into memory.

    Parameters
    ----------
    path : str or Path
        Folder of an embedding set, or a .npy file that holds a floating-point array of shape (n, d). Pickled objects
        in such a file are not loaded.

    Returns
    -------
    EmbeddingSet or ndarray of shape (n, d)
        The embeddings.

    Raises
    ------
    DataError
        If `path` is neither.
    """
    path = Path(path)
    if path.is_dir():
        return open_embeddings(path)
    if not path.is_file():
        raise DataError(f"{path}: no such file or folder; give an embedding folder or a .npy file")
    if path.suffix != ".npy":
        raise DataError(f"{path}: not an embedding folder and not a .npy file; convert it with `revision import`")
    array = open_npy(path)
    if array.ndim != 2 or array.dtype.kind != "f":
        fix = "convert it with `array.astype(numpy.float32)`" if array.ndim == 2 else "reshape it to one row per item"
        raise DataError(f"{path}: expected floats [rows, dimensions], got {array.dtype} {array.shape}; {fix}")
    return array


def open_npy(path: Path) -> np.ndarray:
    """Open a .npy file of numbers, mapped into memory; raise DataError if it holds anything else."""
    with open(path, "rb") as file:
        if file.read(len(NPY)) != NPY:
            raise DataError(
                f"{path}: not a .npy file of numbers, in spite of its name; write the array with `numpy.save`"
            )
    try:
        return np.asarray(np.lib.format.open_memmap(path, mode="r"))
    except (ValueError, OSError, EOFError) as error:
        reason = "it holds Python objects" if "object" in str(error) else f"damaged ({error})"
        raise DataError(
            f"{path}: not a .npy file of numbers, {reason}; write a numeric array with `numpy.save`"
        ) from error


def open_embeddings(folder: str | Path) -> EmbeddingSet:
    """Open an embedding set without reading its embeddings.

    Parameters
    ----------
    folder : str or Path
        Folder of the set.

    Returns
    -------
    EmbeddingSet
        The set.

    Raises
    ------
    DataError
        If the manifest is missing, unreadable or inconsistent, or a shard is missing or has another size than when it
        was written.
    """
    folder = Path(folder)
    if not folder.is_dir():
        what = "this is a file" if folder.is_file() else "no such folder"
        fix = "name a folder written by `revision import` or `revision embed`"
        raise DataError(f"{folder}: no embedding set here, {what}; {fix}")
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if manifest["format"] != FORMAT:
            raise DataError(
                f"{folder / MANIFEST}: format {manifest['format']!r}, but this version reads {FORMAT!r}; write the set "
                "again"
            )
        shards = tuple(Shard(**shard) for shard in manifest["shards"])
        count, dim, dtype, about = (manifest[key] for key in ("count", "dim", "dtype", "about"))
    except (OSError, json.JSONDecodeError, KeyError, TypeError) as error:
        fix = "name a folder written by `revision import` or `revision embed`"
        raise DataError(f"{folder}: no embedding set here ({type(error).__name__}: {error}); {fix}") from error
    shard_rows = sum(shard.rows for shard in shards)
    if shard_rows != count:
        raise DataError(f"{folder / MANIFEST}: counts {count} rows, but its shards have {shard_rows}; {REBUILD}")
    for shard in shards:
        check_file(folder / shard.file, shard.bytes, None, REBUILD)
    return EmbeddingSet(folder, count, dim, dtype, shards, about)
