"""Import embeddings of other programs: .npy, .npz, Parquet, safetensors, and folders of .pkl files.

The code released with the paper pickles lists of {id, embed, caption or image_path}. `revision.embeddings.unpickler`
reads them without running code from them. Compressed files can unpack to any size, so files are trusted not to exhaust
memory.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from revision.embeddings import EmbeddingSet, EmbeddingWriter
from revision.embeddings.unpickler import read_pickle
from revision.errors import DataError

VECTORS = ("embedding", "embeddings", "embed", "embeds", "vector", "features")
NAMES = ("id", "ids", "name", "names")
BLOCK_ROWS = 8192
FIX = "check the file, or export it again"
Block = tuple[Path, int, Sequence[str] | None, np.ndarray]  # file, index of its first row, ids, rows (k, d)


def _pickles(path: Path) -> Iterator[Block]:
    rows = read_pickle(path)
    if not isinstance(rows, list):
        raise DataError(f"{path}: holds {type(rows).__name__}, expected a list of {{id, embed, ...}}; {FIX}")
    for start in range(0, len(rows), BLOCK_ROWS):
        ids: list[str] = []
        vectors: list[np.ndarray] = []
        for row, entry in enumerate(rows[start : start + BLOCK_ROWS], start):
            if not isinstance(entry, dict) or "id" not in entry or "embed" not in entry:
                raise DataError(
                    f"{path}, row {row}: expected a dictionary with 'id' and 'embed'; export this file again"
                )
            if not isinstance(entry["id"], str | int | np.integer | np.str_):
                raise DataError(
                    f"{path}, row {row}: 'id' is {type(entry['id']).__name__}, expected a string or an integer"
                )
            vector = _vector(path, row, entry["embed"])
            if vectors and vector.size != vectors[0].size:
                raise _dimension_error(path, row, vector.size, vectors[0].size)
            ids.append(str(entry["id"]))
            vectors.append(vector)
        yield path, start, ids, np.stack(vectors)


def _vector(path: Path, row: int, value: Any) -> np.ndarray:
    """An embedding of shape (d,); an array of shape (1, d) or a list of one list is accepted too."""
    if isinstance(value, list | tuple):
        if len(value) == 1 and isinstance(value[0], list | tuple):
            value = value[0]
        if not all(isinstance(number, int | float | np.number) for number in value):
            raise DataError(f"{path}, row {row}: 'embed' is not a vector of numbers; export this file again")
    elif not isinstance(value, np.ndarray):
        raise DataError(f"{path}, row {row}: 'embed' is {type(value).__name__}, not a vector of numbers")
    try:
        with np.errstate(over="ignore"):
            return np.asarray(value, dtype=np.float32).reshape(-1)
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(f"{path}, row {row}: 'embed' is not a vector of numbers ({error})") from error


def _npy(path: Path) -> Iterator[Block]:
    yield from _table(path, np.lib.format.open_memmap(path, mode="r"), None)


def _npz(path: Path) -> Iterator[Block]:
    with np.load(path, allow_pickle=False) as archive:
        yield from _named(path, archive.files, archive.__getitem__)


def _safetensors(path: Path) -> Iterator[Block]:
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as archive:
        yield from _named(path, list(archive.keys()), archive.get_tensor)


def _parquet(path: Path) -> Iterator[Block]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        columns = file.schema_arrow.names
        vector = _pick(path, columns, VECTORS)
        name = next((column for column in columns if column in NAMES), None)
        start = 0
        for batch in file.iter_batches(BLOCK_ROWS, columns=[vector, *([name] if name else [])]):
            lists = batch.column(vector)
            lengths = {len(row) for row in lists}
            if len(lengths) != 1 or not hasattr(lists, "flatten"):
                raise DataError(
                    f"{path}, from row {start}: column {vector!r} holds vectors of lengths {sorted(lengths)}; {FIX}"
                )
            block = lists.flatten().to_numpy(zero_copy_only=False).reshape(len(lists), -1)
            if block.dtype.kind not in "fiu":
                raise DataError(f"{path}: column {vector!r} holds {lists.type}, expected lists of numbers; {FIX}")
            ids = [str(value) for value in batch.column(name).to_pylist()] if name else None
            yield path, start, ids, block
            start += len(block)


def _named(path: Path, keys: list[str], get: Callable[[str], np.ndarray]) -> Iterator[Block]:
    names = next((key for key in keys if key in NAMES), None)
    vectors = _pick(path, [key for key in keys if key != names], VECTORS)
    yield from _table(path, get(vectors), [str(name) for name in get(names)] if names else None)


def _pick(path: Path, keys: list[str], known: Sequence[str]) -> str:
    """The only key, or the only one that is known to be that of embeddings."""
    candidates = [key for key in keys if key in known] or (keys if len(keys) == 1 else [])
    if len(candidates) != 1:
        raise DataError(f"{path}: holds {', '.join(keys) or 'nothing'}; rename the embeddings to {known[0]!r}")
    return candidates[0]


def _table(path: Path, array: np.ndarray, ids: Sequence[str] | None) -> Iterator[Block]:
    if array.ndim == 3 and array.dtype.kind == "f":
        raise DataError(
            f"{path}: an array of shape {array.shape}, expected (n, d); write one file per modality, such as "
            "images.npy and texts.npy"
        )
    if array.ndim != 2 or array.dtype.kind != "f":
        raise DataError(
            f"{path}: {array.dtype} of shape {array.shape}, expected floating-point numbers of shape (n, d); {FIX}"
        )
    if ids is not None and len(ids) != len(array):
        raise DataError(f"{path}: {len(ids)} ids for {len(array)} rows; give one id for each row")
    for start in range(0, len(array), BLOCK_ROWS):
        stop = start + BLOCK_ROWS
        yield path, start, ids[start:stop] if ids is not None else None, array[start:stop]


READERS: dict[str, Callable[[Path], Iterator[Block]]] = {
    ".pkl": _pickles,
    ".npy": _npy,
    ".npz": _npz,
    ".parquet": _parquet,
    ".safetensors": _safetensors,
}


def _natural(path: Path) -> list[tuple[bool, int, str]]:
    """A sort key by which 10 follows 2."""
    return [(part.isdigit(), int(part) if part.isdigit() else 0, part) for part in re.split(r"(\d+)", path.name)]


def source_files(path: str | Path) -> list[Path]:
    """List the files to import.

    Parameters
    ----------
    path : str or Path
        A file, or a folder of files.

    Returns
    -------
    list of Path
        The file, or all files of a supported format in the folder; numbers in their names are in numeric order.

    Raises
    ------
    DataError
        If there is no file of a supported format.
    """
    path = Path(path)
    known = ", ".join(READERS)
    if path.is_dir():
        files = sorted((file for file in path.iterdir() if file.suffix in READERS), key=_natural)
        if not files:
            raise DataError(f"{path}: holds no file of a supported format ({known})")
        return files
    if not path.is_file():
        raise DataError(f"{path}: does not exist; name a file or a folder of files ({known})")
    if path.suffix not in READERS:
        raise DataError(f"{path}: files ending in {path.suffix!r} are not supported; convert to one of {known}")
    return [path]


def _dimension_error(path: Path, row: int, dim: int, expected: int) -> DataError:
    fix = "embed all files with one encoder, or import them separately"
    return DataError(f"{path}, row {row}: dimension {dim}, but the rows before have {expected}; {fix}")


def _check(path: Path, start: int, block: np.ndarray) -> None:
    finite = np.isfinite(block).all(axis=1)
    usable = finite & block.any(axis=1)
    if not usable.all():
        row = int(np.argmin(usable))
        fault = "a zero vector" if finite[row] else "NaN" if np.isnan(block[row]).any() else "infinity"
        raise DataError(f"{path}, row {start + row}: {fault}; drop the row or embed it again")


def _blocks(path: Path) -> Iterator[Block]:
    try:
        yield from READERS[path.suffix](path)
    except DataError:
        raise
    except Exception as error:  # each format's library has its own errors for damaged files
        reason = f"{type(error).__name__}: {error}"[:300]
        raise DataError(f"{path}: cannot be read ({reason}); {FIX}") from error


def import_embeddings(
    path: str | Path,
    folder: str | Path,
    *,
    dtype: str = "float32",
    ids: Sequence[str] | None = None,
    advance: Callable[[int], Any] | None = None,
) -> EmbeddingSet:
    """Write the embeddings of other programs to an embedding set.

    Parameters
    ----------
    path : str or Path
        A file, or a folder of files: .npy, .npz, .parquet, .safetensors or .pkl.
    folder : str or Path
        Folder of the embedding set. Rows keep the order of the files.
    dtype : {"float16", "float32"}, default="float32"
        Type of the stored values.
    ids : sequence of str, optional
        An id for each row. By default ids come from the files; if these have none, they are "<file stem>:<row>".
    advance : callable, optional
        Called with the number of rows of each finished block, for example by a progress bar.

    Returns
    -------
    EmbeddingSet
        The written set.

    Raises
    ------
    DataError
        If a file cannot be read or has another layout, dimensions differ, ids are not unique, there are no rows, or a
        row is zero or not finite; names file and row.
    """
    stream = chain.from_iterable(map(_blocks, source_files(path)))
    first = next(stream, None)
    if first is None:
        raise DataError(f"{path}: holds no rows; an embedding set needs at least one")
    dim = first[3].shape[1]
    with EmbeddingWriter(folder, dim, dtype, about={"imported_from": Path(path).name}) as writer:
        for file, start, names, block in chain([first], stream):
            if block.shape[1] != dim:
                raise _dimension_error(file, start, block.shape[1], dim)
            _check(file, start, block)
            rows = range(writer.count, writer.count + len(block))
            if ids is not None:
                if rows.stop > len(ids):
                    raise DataError(f"{file}, row {start}: only {len(ids)} ids were given; give one id for each row")
                names = ids[rows.start : rows.stop]
            writer.append(names or [f"{file.stem}:{row}" for row in range(start, start + len(block))], block)
            if advance is not None:
                advance(len(block))
        if ids is not None and writer.count != len(ids):
            raise DataError(f"{path}: {writer.count} rows for {len(ids)} ids; give one id for each row")
    assert writer.result is not None
    return writer.result
