"""Stream the rows of published data sets in their original formats.

A source is a folder or, with the format `hub`, a data set that is streamed from the Hugging Face hub. Every reader
yields the rows in the order of the files, with their locations, and keeps none in memory.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import ijson
import pyarrow as pa
import pyarrow.parquet as pq

from revision.config.corpus import Source
from revision.data import webdataset
from revision.errors import DataError


@dataclass(frozen=True)
class Example:
    """A row of a source.

    Attributes
    ----------
    values : dict
        Values by field.
    where : str
        Location of the row, for error messages.
    name : str
        Id of the row if the source has no ids.
    folder : str
        Folder of its images, relative to the source's folder.
    """

    values: dict[str, Any]
    where: str
    name: str
    folder: str


def path_inside(root: str | Path, path: str, where: str) -> Path:
    """Join a folder and a relative path that must not leave it.

    Parameters
    ----------
    root : path
        The folder.
    path : str
        Path relative to it.
    where : str
        Location that errors name.

    Returns
    -------
    Path
        The joined path.

    Raises
    ------
    DataError
        If the path is empty or absolute, or leaves the folder by `..` or a symbolic link.
    """
    joined = Path(root, path)
    if not path or PurePosixPath(path).is_absolute() or not joined.resolve().is_relative_to(Path(root).resolve()):
        raise DataError(f"{where}: {path!r} is not inside {root}; correct the path or move the file there")
    return joined


def read(source: Source) -> Iterator[Example]:
    """Stream the rows of a source, in the order of its sorted files.

    Parameters
    ----------
    source : Source
        The data set and its format.

    Yields
    ------
    Example
        A row.

    Raises
    ------
    DataError
        If a file or row cannot be read; names file, row and fix.
    """
    if source.format == "hub":
        yield from _hub(source)
        return
    readers = {"json": _json, "jsonl": _jsonl, "parquet": _parquet, "webdataset": webdataset.read_rows}
    for path in files_of(source):
        if source.format == "meta":
            yield from _meta(source, path)
        else:
            for number, values in enumerate(readers[source.format](path)):
                where = f"{path}, row {number}"
                if not isinstance(values, dict):
                    raise DataError(f"{where}: expected a JSON object, got {type(values).__name__}; fix the row")
                yield Example(values, where, f"{path.stem}-{number:09d}", source.images)


def files_of(source: Source) -> list[Path]:
    """List the local files of a source.

    Parameters
    ----------
    source : Source
        A source of any format but `hub`.

    Returns
    -------
    list of Path
        The files, sorted within each pattern.

    Raises
    ------
    DataError
        If the folder does not exist or a pattern matches no file.
    """
    folder = Path(source.path)
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; download the data set to it or correct the source's path")
    files: list[Path] = []
    for pattern in source.files:
        matches = sorted(path for path in folder.glob(pattern) if path.is_file())
        if not matches:
            raise DataError(f"{folder}: no file matches {pattern!r}; correct `files` or complete the data set")
        files += matches
    return files


def _json(path: Path) -> Iterator[Any]:
    """Stream the items of a JSON list."""
    number = -1
    try:
        with open(path, "rb") as file:
            for item in ijson.items(file, "item", use_float=True):
                number += 1
                yield item
    except (ijson.JSONError, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(
            f"{path}, row {number + 1}: not JSON in UTF-8 ({reason}); fix the file or download it again"
        ) from error
    if number < 0:
        raise DataError(f"{path}: no rows; the file must be a JSON list of objects")


def _jsonl(path: Path) -> Iterator[Any]:
    """Stream JSON lines; rows are numbered by line, from 0."""
    with open(path, "rb") as file:
        for number, line in enumerate(file):
            try:
                yield json.loads(line.decode("utf-8"))
            except (UnicodeDecodeError, json.JSONDecodeError) as error:
                raise DataError(f"{path}, row {number}: not JSON in UTF-8 ({error}); fix or remove the line") from error


def _parquet(path: Path) -> Iterator[Any]:
    try:
        for batch in pq.ParquetFile(path).iter_batches(256):
            yield from batch.to_pylist()
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path}: not a readable Parquet file ({error}); download it again") from error


def _meta(source: Source, path: Path) -> Iterator[Example]:
    """Stream the rows of all files in a meta file {name: {root, annotation, ...}}, as in InternVL's training data."""
    try:
        lists = json.loads(path.read_text(encoding="utf-8"))
        entries = [
            (name, str(entry["annotation"]), str(entry["root"]), entry.get("repeat_time", 1))
            for name, entry in lists.items()
        ]
    except (UnicodeDecodeError, json.JSONDecodeError, AttributeError, KeyError, TypeError) as error:
        raise DataError(f"{path}: not a meta file of {{name: {{root, annotation}}}} ({error!r}); correct it") from error
    for name, annotation, root, repeats in entries:
        where = f"{path}, {name}"
        if repeats != 1:
            raise DataError(f"{where}: repeat_time is {repeats}; rows cannot be repeated, so set it to 1")
        file = path_inside(source.path, annotation, where)
        path_inside(source.path, root, where)
        if not file.is_file():
            raise DataError(f"{where}: {file} does not exist; complete the data set or remove the entry")
        for number, values in enumerate(_jsonl(file)):
            if not isinstance(values, dict):
                raise DataError(f"{file}, row {number}: expected a JSON object; fix the row")
            yield Example(values, f"{file}, row {number}", f"{name}-{number:09d}", root)


def _hub(source: Source) -> Iterator[Example]:
    """Stream rows from the hub, without a copy on disk."""
    if os.environ.get("HF_HUB_OFFLINE", "1") != "0" and not Path(source.path).is_dir():
        raise DataError(
            f"{source.path}: this data set is on the hub, but HF_HUB_OFFLINE is not 0; set HF_HUB_OFFLINE=0 to "
            "stream it, or download it and give its folder as path"
        )
    import datasets

    try:
        rows = datasets.load_dataset(
            source.path,
            source.subset or None,
            split=source.split,
            revision=source.revision,
            streaming=True,
            data_files=source.files or None,
        )
        for name, feature in (rows.features or {}).items():
            if isinstance(feature, datasets.Image):
                rows = rows.cast_column(name, datasets.Image(decode=False))
        for number, values in enumerate(rows):
            where = f"{source.path}@{source.revision[:8]}, row {number}"
            yield Example(values, where, f"{number:09d}", ".")
    except Exception as error:  # the hub's client raises errors of several libraries without a common base
        reason = f"{type(error).__name__}: {error}"
        raise DataError(
            f"{source.path}: could not be streamed ({reason}); check id, revision, split; if gated: `hf auth login`"
        ) from error
