"""Corpus tables: Parquet files with one example per row, the interface between data sets and the rest of the harness.

Columns by kind: captions (id, short, long, image, content), instructions (id, suite, question, answer, full, image) and
reading (id, context, question, answer, short). `image` holds an encoded image or, in tables of published data sets
(`revision.data.ingest`), an image path relative to the folder in the table's metadata. `content` is what a generated
scene shows; rows with the same content are not independent.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from revision.data.images import encode_image
from revision.data.scenes import World
from revision.data.scenes.lexicon import GENERAL
from revision.data.sources import path_inside
from revision.errors import ConfigError, DataError
from revision.io.files import atomic_file

BLOCK = 4096
ROOT = b"revision.root"  # metadata key: folder of the images, if the table holds their paths
KINDS = ("captions", "instructions", "reading")


def _rows(world: World, kind: str, split: str, start: int, count: int, domain: str) -> dict[str, list]:
    prefix = split if domain == GENERAL.name else f"{domain}-{split}"
    ids = [f"{prefix}-{index:09d}" for index in range(start, start + count)]
    if kind == "captions":
        scenes = world.scenes(split, start, count, domain)
        return {
            "id": ids,
            "short": world.captions(scenes, "short"),
            "long": world.captions(scenes, "long"),
            "image": [encode_image(world.image(scene)) for scene in scenes],
            "content": [scene.content().hex() for scene in scenes],
        }
    if kind == "instructions":
        questions = world.instructions(split, start, count)
        return {
            "id": ids,
            "suite": [q.suite for q in questions],
            "question": [q.question for q in questions],
            "answer": [q.answer for q in questions],
            "full": world.captions([q.scene for q in questions], "full"),
            "image": [encode_image(world.image(q.scene)) for q in questions],
        }
    if kind == "reading":
        context, question, answer = zip(*world.reading(split, start, count), strict=True)
        short = world.captions(world.scenes(split, start, count), "short")
        columns = {"context": context, "question": question, "answer": answer, "short": short}
        return {"id": ids} | {name: list(values) for name, values in columns.items()}
    raise ConfigError(f"corpus kind {kind!r} does not exist; the kinds are {', '.join(KINDS)}")


def write_corpus(world: World, kind: str, split: str, count: int, path: str | Path, domain: str = GENERAL.name) -> None:
    """Write a corpus table of the built-in world, atomically and block by block.

    Parameters
    ----------
    world : World
        Source of the examples.
    kind : {"captions", "instructions", "reading"}
        Kind of the table, which determines its columns.
    split : str
        Split of the world; splits share no scenes.
    count : int
        Number of rows.
    path : path
        Parquet file to write.
    domain : str
        Domain of the scenes. Ids of other domains than the general one start with the domain.

    Raises
    ------
    ConfigError
        If kind, split or domain is unknown, the kind does not exist in the domain, or `count` is below 1.
    """
    if count < 1:
        raise ConfigError(f"corpus {path}: count is {count}; request at least 1 row")
    if kind != "captions" and domain != GENERAL.name:
        raise ConfigError(f"corpus {path}: only captions exist in the domain {domain!r}; omit --domain")
    with atomic_file(path) as temporary:
        writer: Any = None
        for start in range(0, count, BLOCK):
            table = pa.table(_rows(world, kind, split, start, min(BLOCK, count - start), domain))
            writer = writer or pq.ParquetWriter(temporary, table.schema, write_page_checksum=True)
            writer.write_table(table)
        writer.close()


@contextmanager
def _read_errors(path: str | Path) -> Iterator[None]:
    """Convert errors of the Parquet reader, such as a wrong page checksum, to a DataError that names the table."""
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path}: damaged or changed since it was written ({error}); make it again") from error


def open_corpus(path: str | Path, columns: Sequence[str]) -> pq.ParquetFile:
    """Open a corpus table.

    Parameters
    ----------
    path : path
        Parquet file.
    columns : sequence of str
        Columns that the table must have.

    Returns
    -------
    pyarrow.parquet.ParquetFile
        The open table; checksums are verified on reading.

    Raises
    ------
    DataError
        If the file cannot be read or lacks one of `columns`.
    """
    try:
        table = pq.ParquetFile(path, page_checksum_verification=True)
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError(f"{path}: not a readable Parquet file ({error}); make it again") from error
    missing = [name for name in columns if name not in table.schema_arrow.names]
    if missing:
        raise DataError(f"{path}: no column {', '.join(missing)}; it has {', '.join(table.schema_arrow.names)}")
    return table


def read_columns(path: str | Path, columns: Sequence[str], rows: int | None = None) -> dict[str, list]:
    """Read columns of a corpus table into memory.

    Parameters
    ----------
    path : path
        Corpus table.
    columns : sequence of str
        Columns to read.
    rows : int, optional
        Number of rows from the start. Default: all.

    Returns
    -------
    dict of str to list
        Values by column.

    Raises
    ------
    DataError
        If the table cannot be read, lacks a column or has an empty value; names the row.
    """
    with _read_errors(path):
        table = open_corpus(path, columns).read(columns=list(columns)).slice(0, rows)
    for name in columns:
        if table[name].null_count:
            row = table[name].is_null().to_pylist().index(True)
            raise DataError(f"{path}: row {row}: column {name} is empty; fill it or remove the row")
    return {name: table[name].to_pylist() for name in columns}


def stream(
    path: str | Path, columns: Sequence[str], rows: int = 512, row_range: tuple[int, int] | None = None
) -> Iterator[dict[str, list]]:
    """Read a corpus table block by block, in memory that does not grow with the table.

    Parameters
    ----------
    path : path
        Corpus table.
    columns : sequence of str
        Columns to read.
    rows : int
        Largest number of rows in a block.
    row_range : (int, int), optional
        First row and end; row groups outside are not read. Default: all rows.

    Yields
    ------
    dict of str to list
        Values by column. Images are bytes or, if the table holds paths, files for `decode_image`.

    Raises
    ------
    DataError
        If the table cannot be read or lacks a column, or an image path leaves the image folder.
    """
    table = open_corpus(path, columns)
    root = (table.schema_arrow.metadata or {}).get(ROOT, b"").decode()
    sizes = [table.metadata.row_group(number).num_rows for number in range(table.num_row_groups)]
    ends = list(accumulate(sizes))
    start, stop = row_range or (0, table.metadata.num_rows)
    groups = [n for n, (size, end) in enumerate(zip(sizes, ends, strict=True)) if end - size < stop and end > start]
    row = ends[groups[0]] - sizes[groups[0]] if groups else 0
    batches = table.iter_batches(rows, row_groups=groups, columns=list(columns))
    while True:
        with _read_errors(path):
            batch = next(batches, None)
        if batch is None:
            return
        first, row = row, row + batch.num_rows
        begin, end = max(start, first), min(stop, row)
        if begin >= end:  # row groups may begin before the range and end after it
            continue
        block = batch.slice(begin - first, end - begin).to_pydict()
        if "image" in block and isinstance(block["image"][0], str):
            block["image"] = [path_inside(root, name, str(path)) for name in block["image"]]
        yield block
