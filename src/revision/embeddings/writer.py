"""Writing embedding sets: whole or not at all, ids unique, every number finite."""

import io
import re
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import xxhash

from revision.embeddings.reader import DTYPES, FORMAT, MANIFEST, EmbeddingSet, Shard, open_embeddings
from revision.errors import DataError
from revision.io.files import atomic_folder, write_json

SHARD_BYTES = 16 << 20


class _Hashed(io.RawIOBase):
    """A file for writing that counts and hashes what passes."""

    def __init__(self, path: Path) -> None:
        self.handle = open(path, "wb", buffering=0)  # noqa: SIM115
        self.digest, self.size = xxhash.xxh3_128(), 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        self.digest.update(view)
        written = 0
        while written < len(view):
            written += self.handle.write(view[written:])
        self.size += len(view)
        return len(view)

    def close(self) -> None:
        self.handle.close()
        super().close()


def _only_shards(folder: Path) -> bool:
    """Whether nothing but shards is there: an embedding set whose manifest was removed, or an empty folder."""
    return folder.is_dir() and all(re.fullmatch(r"shard-\d{5,}\.arrow", path.name) for path in folder.iterdir())


class EmbeddingWriter:
    """Write a stream of (ids, block) to an embedding set; a context manager, `result` holds the set after it.

    `shard_rows` defaults to shards of about 32 MiB. The set replaces an older embedding set of the same name, never
    any other folder. Raises DataError for duplicate ids, a wrong dimension and non-finite numbers (`checked=False`
    skips this for rows that a kernel has already checked).
    """

    def __init__(
        self,
        folder: str | Path,
        dim: int,
        dtype: str = "float32",
        *,
        shard_rows: int | None = None,
        about: dict[str, Any] | None = None,
        checked: bool = True,
    ) -> None:
        if dtype not in DTYPES:
            raise DataError(f"{folder}: dtype {dtype!r} is not one of {', '.join(DTYPES)}")
        if dim < 1 or (shard_rows is not None and shard_rows < 1):
            raise DataError(f"{folder}: dimension and shard_rows must be at least 1, got {dim} and {shard_rows}")
        self.folder, self.dim, self.dtype, self.about = Path(folder), dim, dtype, about or {}
        self.shard_rows = shard_rows or max(1, SHARD_BYTES // (dim * np.dtype(dtype).itemsize))
        self.schema = pa.schema([("id", pa.string()), ("embedding", pa.list_(DTYPES[dtype], dim))])
        self.checked = checked
        self.shards: list[Shard] = []
        self.hashes: list[np.ndarray] = []
        self.result: EmbeddingSet | None = None
        self._stack = ExitStack()
        self._file: _Hashed | None = None
        self._writer: Any = None
        self._rows = 0

    @property
    def count(self) -> int:
        """Rows appended so far."""
        return sum(shard.rows for shard in self.shards) + self._rows

    def __enter__(self) -> "EmbeddingWriter":
        if self.folder.exists() and not (self.folder / MANIFEST).is_file() and not _only_shards(self.folder):
            raise DataError(
                f"{self.folder}: exists and is no embedding set; name another folder, or remove it yourself"
            )
        self._part = self._stack.enter_context(atomic_folder(self.folder))
        return self

    def append(self, ids: Sequence[str] | pa.Array, block: np.ndarray) -> None:
        """Add `block` [k, d] under `ids` (k strings)."""
        block = np.asarray(block)
        if block.ndim != 2 or block.shape[1] != self.dim:
            raise DataError(
                f"{self.folder}, row {self.count}: block of shape {block.shape}, the set has dimension {self.dim}; "
                "embed with one encoder, or write two sets"
            )
        names = ids if isinstance(ids, pa.StringArray) else pa.array([str(name) for name in ids], pa.string())
        if len(names) != len(block):
            raise DataError(
                f"{self.folder}, row {self.count}: {len(names)} ids for {len(block)} rows; give one id a row"
            )
        if self.checked:
            self._check_finite(block)
            self.hashes.append(np.fromiter(map(hash, names.to_pylist()), np.int64, len(names)))
        with np.errstate(over="ignore"):
            cast = np.ascontiguousarray(block, dtype=self.dtype)
        if self.checked and cast.dtype != block.dtype and not np.isfinite(cast).all():
            raise DataError(
                f"{self.folder}: a number from row {self.count} on is too large for {self.dtype}; use float32"
            )
        start = 0
        while start < len(cast):
            stop = min(len(cast), start + self.shard_rows - self._rows)
            self._write(names[start:stop], cast[start:stop])
            start = stop

    def _check_finite(self, block: np.ndarray) -> None:
        if not np.isfinite(block).all():
            row = int(np.argmin(np.isfinite(block).all(axis=1)))
            fault = "NaN" if np.isnan(block[row]).any() else "infinity"
            raise DataError(f"{self.folder}, row {self.count + row}: {fault}; drop the row or embed it again")

    def _write(self, names: pa.Array, block: np.ndarray) -> None:
        if self._writer is None:
            self._file = _Hashed(self._part / self._name())
            self._writer = pa.ipc.new_file(pa.PythonFile(self._file, mode="w"), self.schema)
        numbers = pa.Array.from_buffers(DTYPES[self.dtype], block.size, [None, pa.py_buffer(block)])
        embedding = pa.FixedSizeListArray.from_arrays(numbers, self.dim)
        self._writer.write_batch(pa.record_batch([names, embedding], schema=self.schema))
        self._rows += len(block)
        if self._rows == self.shard_rows:
            self._finish_shard()

    def _name(self) -> str:
        return f"shard-{len(self.shards):05d}.arrow"

    def _finish_shard(self) -> None:
        if self._writer is None or self._file is None:
            return
        self._writer.close()
        self._file.close()
        self.shards.append(Shard(self._name(), self._rows, self._file.size, self._file.digest.hexdigest()))
        self._writer, self._file, self._rows = None, None, 0

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        try:
            if kind is None:
                self._finish()
        except BaseException as failure:
            self._abandon(type(failure), failure, failure.__traceback__)
            raise
        if kind is not None:
            self._abandon(kind, error, trace)
            return
        self._stack.close()
        self.result = open_embeddings(self.folder)

    def _finish(self) -> None:
        self._finish_shard()
        self._refuse_duplicates()
        about = {
            "format": FORMAT,
            "count": self.count,
            "dim": self.dim,
            "dtype": self.dtype,
            "shards": [vars(shard) for shard in self.shards],
            "about": self.about,
        }
        write_json(self._part / MANIFEST, about)

    def _abandon(self, kind: Any, error: Any, trace: Any) -> None:
        if self._file is not None:
            self._file.handle.close()
        self._stack.__exit__(kind, error, trace)

    def _refuse_duplicates(self) -> None:
        hashes = np.sort(np.concatenate(self.hashes)) if self.hashes else np.empty(0, np.int64)
        if not (hashes[1:] == hashes[:-1]).any():
            return
        written = EmbeddingSet(self._part, self.count, self.dim, self.dtype, tuple(self.shards))
        names = written.ids().to_pylist()
        name, times = Counter(names).most_common(1)[0]
        if times > 1:
            rows = [row for row, other in enumerate(names) if other == name][:2]
            raise DataError(
                f"{self.folder}: id {name!r} is in rows {rows[0]} and {rows[1]}; ids must be unique: drop or rename one"
            )


def write_embeddings(
    folder: str | Path,
    ids: Sequence[str],
    embeddings: np.ndarray,
    *,
    dtype: str = "float32",
    shard_rows: int | None = None,
    about: dict[str, Any] | None = None,
) -> EmbeddingSet:
    """Write an [n, d] array under `ids` as an embedding set; see `EmbeddingWriter` for what is refused."""
    embeddings = np.asarray(embeddings)
    if embeddings.ndim != 2:
        raise DataError(f"{folder}: embeddings must be a table [n, d], got shape {embeddings.shape}")
    with EmbeddingWriter(folder, embeddings.shape[1], dtype, shard_rows=shard_rows, about=about) as writer:
        writer.append(ids, embeddings)
    return open_embeddings(folder)
