"""Rows of other people's data sets, one at a time, in the formats in which they are published.

A source is a folder (or, for the format `hub`, a data set of the Hugging Face hub that is streamed); every reader
yields its rows in the order of the files, says where each one stands, and keeps none of them.
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
    """One row: its values, where it stands, a name for rows without an id, and the folder its image's path is from.

    `folder` is inside the source's.
    """

    values: dict[str, Any]
    where: str
    name: str
    folder: str


def inside(root: str | Path, path: str, where: str) -> Path:
    """The file `path` under `root`. Raises DataError if it lies outside, by `..`, as an absolute path or by a link."""
    found = Path(root, path)
    if not path or PurePosixPath(path).is_absolute() or not found.resolve().is_relative_to(Path(root).resolve()):
        raise DataError(f"{where}: {path!r} is not inside {root}; correct the path or move the file there")
    return found


def read(source: Source) -> Iterator[Example]:
    """All rows of a source, in the order of its sorted files. Raises DataError with file, row and mend."""
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
                    raise DataError(f"{where}: not a mapping of fields but {type(values).__name__}; mend the row")
                yield Example(values, where, f"{path.stem}-{number:09d}", source.images)


def files_of(source: Source) -> list[Path]:
    """The files of a source on this machine, sorted. Raises DataError for a folder or a pattern without any."""
    folder = Path(source.path)
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; put the data set there or correct the source's path")
    found = []
    for pattern in source.files:
        matches = sorted(path for path in folder.glob(pattern) if path.is_file())
        if not matches:
            raise DataError(f"{folder}: no file matches {pattern!r}; correct `files` or complete the data set")
        found += matches
    return found


def _json(path: Path) -> Iterator[Any]:
    """Items of one JSON list, parsed as they come."""
    number = -1
    try:
        with open(path, "rb") as file:
            for item in ijson.items(file, "item", use_float=True):
                number += 1
                yield item
    except (ijson.JSONError, UnicodeDecodeError) as error:
        said = str(error).splitlines()[0]
        raise DataError(
            f"{path}, row {number + 1}: not JSON in UTF-8 ({said}); mend the file or fetch it again"
        ) from error
    if number < 0:
        raise DataError(f"{path}: no rows; a JSON list of objects is expected")


def _jsonl(path: Path) -> Iterator[Any]:
    """Lines that are JSON; the number of a row is that of its line, from 0."""
    with open(path, "rb") as file:
        for number, line in enumerate(file):
            try:
                yield json.loads(line.decode("utf-8"))
            except (UnicodeDecodeError, json.JSONDecodeError) as error:
                raise DataError(
                    f"{path}, row {number}: not JSON in UTF-8 ({error}); mend or remove the line"
                ) from error


def _parquet(path: Path) -> Iterator[Any]:
    try:
        for batch in pq.ParquetFile(path).iter_batches(256):
            yield from batch.to_pylist()
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path}: not a readable Parquet file ({error}); fetch it again") from error


def _meta(source: Source, path: Path) -> Iterator[Example]:
    """The lists of a meta file {name: {root, annotation, ...}}, as InternVL's training data have one."""
    try:
        lists = json.loads(path.read_text(encoding="utf-8"))
        entries = [(name, str(entry["annotation"]), str(entry["root"]), entry.get("repeat_time", 1))
                   for name, entry in lists.items()]  # fmt: skip
    except (UnicodeDecodeError, json.JSONDecodeError, AttributeError, KeyError, TypeError) as error:
        raise DataError(f"{path}: no meta file of {{name: {{root, annotation}}}} ({error!r}); correct it") from error
    for name, annotation, root, repeats in entries:
        where = f"{path}, {name}"
        if repeats != 1:
            raise DataError(f"{where}: repeat_time {repeats}; every row is read once here, so set it to 1")
        rows = inside(source.path, annotation, where)
        inside(source.path, root, where)
        if not rows.is_file():
            raise DataError(f"{where}: {rows} does not exist; complete the data set or take the entry out")
        for number, values in enumerate(_jsonl(rows)):
            if not isinstance(values, dict):
                raise DataError(f"{rows}, row {number}: not a mapping of fields; mend the row")
            yield Example(values, f"{rows}, row {number}", f"{name}-{number:09d}", root)


def _hub(source: Source) -> Iterator[Example]:
    """Rows streamed from the hub; nothing is kept on disk."""
    if os.environ.get("HF_HUB_OFFLINE", "1") != "0" and not Path(source.path).is_dir():
        raise DataError(
            f"{source.path}: this data set is on the hub and HF_HUB_OFFLINE is not 0; set HF_HUB_OFFLINE=0 to let it "
            "be streamed, or download it and name its folder"
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
    except Exception as error:  # the hub's client raises errors of several libraries
        said = f"{type(error).__name__}: {error}"
        raise DataError(
            f"{source.path}: could not be streamed ({said}); check id, revision, split; if gated: `hf auth login`"
        ) from error
