"""Write embedding sets: completely or not at all, with unique ids and finite values."""

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

SHARD_BYTES = 16 << 20  # default size of a shard


class _Hashed(io.RawIOBase):
    """A file for writing that counts and hashes the bytes written."""

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
    """Whether a folder is empty or holds only shards, as an embedding set does after its manifest is removed."""
    return folder.is_dir() and all(re.fullmatch(r"shard-\d{5,}\.arrow", path.name) for path in folder.iterdir())


class EmbeddingWriter:
    """Write an embedding set block by block, as a context manager.

    The set appears under its name when the context ends without an error. It replaces an older embedding set of that
    name, but no other folder.

    Parameters
    ----------
    folder : str or Path
        Folder of the set.
    dim : int
        Dimension d.
    dtype : {"float16", "float32"}, default="float32"
        Type of the stored values.
    shard_rows : int, optional
        Rows of each shard; by default as many as make 16 MiB.
    about : dict, optional
        Further facts for the manifest, as JSON values.
    checked : bool, default=True
        Whether to check that values are finite and ids unique. False is for rows that come from a checked set.

    Attributes
    ----------
    count : int
        Rows appended so far.
    result : EmbeddingSet or None
        The written set, after the context has ended.

    Raises
    ------
    DataError
        If a parameter is invalid, or `folder` holds anything but an embedding set. When the context ends, if two rows
        have the same id.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from revision.embeddings import EmbeddingWriter
    >>> folder = tempfile.TemporaryDirectory()
    >>> with EmbeddingWriter(f"{folder.name}/texts", dim=4) as writer:
    ...     writer.append(["a", "b"], np.ones((2, 4)))
    ...     writer.append(["c"], np.ones((1, 4)))
    >>> writer.result.count, writer.result.ids().to_pylist()
    (3, ['a', 'b', 'c'])
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
        """Append a block of rows.

        Parameters
        ----------
        ids : sequence of str or pyarrow.StringArray
            One id for each row.
        block : array-like of shape (k, d)
            The rows; values are rounded to the type of the set.

        Raises
        ------
        DataError
            If shapes do not fit, or a value is not finite or too large for the type of the set.
        """
        block = np.asarray(block)
        if block.ndim != 2 or block.shape[1] != self.dim:
            raise DataError(
                f"{self.folder}, row {self.count}: block of shape {block.shape}, but the set has dimension {self.dim}; "
                "embed with one encoder, or write two sets"
            )
        names = ids if isinstance(ids, pa.StringArray) else pa.array([str(name) for name in ids], pa.string())
        if len(names) != len(block):
            raise DataError(
                f"{self.folder}, row {self.count}: {len(names)} ids for {len(block)} rows; give one id for each row"
            )
        if self.checked:
            self._check_finite(block)
            # Hashes take less memory than ids; the ids are compared only where two hashes agree.
            self.hashes.append(np.fromiter(map(hash, names.to_pylist()), np.int64, len(names)))
        with np.errstate(over="ignore"):
            cast = np.ascontiguousarray(block, dtype=self.dtype)
        if self.checked and cast.dtype != block.dtype and not np.isfinite(cast).all():
            raise DataError(
                f"{self.folder}: a value in or after row {self.count} is too large for {self.dtype}; use float32"
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
        values = pa.Array.from_buffers(DTYPES[self.dtype], block.size, [None, pa.py_buffer(block)])
        embedding = pa.FixedSizeListArray.from_arrays(values, self.dim)
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
        manifest = {
            "format": FORMAT,
            "count": self.count,
            "dim": self.dim,
            "dtype": self.dtype,
            "shards": [vars(shard) for shard in self.shards],
            "about": self.about,
        }
        write_json(self._part / MANIFEST, manifest)

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
    """Write an array as an embedding set.

    Parameters
    ----------
    folder : str or Path
        Folder of the set. It replaces an older embedding set of that name, but no other folder.
    ids : sequence of str
        A unique id for each row.
    embeddings : array-like of shape (n, d)
        The rows.
    dtype : {"float16", "float32"}, default="float32"
        Type of the stored values.
    shard_rows : int, optional
        Rows of each shard; by default as many as make 16 MiB.
    about : dict, optional
        Further facts for the manifest, as JSON values.

    Returns
    -------
    EmbeddingSet
        The written set.

    Raises
    ------
    DataError
        If shapes do not fit, ids are not unique, a value is not finite or too large for `dtype`, or `folder` holds
        anything but an embedding set.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from revision.embeddings import write_embeddings
    >>> folder = tempfile.TemporaryDirectory()
    >>> texts = write_embeddings(f"{folder.name}/texts", ["a", "b"], np.eye(2, 4))
    >>> texts.array()
    array([[1., 0., 0., 0.],
           [0., 1., 0., 0.]], dtype=float32)
    """
    embeddings = np.asarray(embeddings)
    if embeddings.ndim != 2:
        raise DataError(f"{folder}: embeddings must have shape (n, d), got {embeddings.shape}")
    with EmbeddingWriter(folder, embeddings.shape[1], dtype, shard_rows=shard_rows, about=about) as writer:
        writer.append(ids, embeddings)
    return open_embeddings(folder)
