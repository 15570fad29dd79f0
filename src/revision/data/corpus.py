"""Corpus tables on disk: Parquet with one row an example; the rest of the harness knows the world only through them.

Columns by kind: captions (id, short, long, image), instructions (id, suite, question, answer, image) and reading
(id, context, question, answer, short). `image` holds an encoded image or, in tables of other people's data sets
(revision.data.ingest), the path of one under the folder that the table's metadata name.
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
from revision.data.sources import inside
from revision.errors import ConfigError, DataError
from revision.io.files import atomic_file

BLOCK = 4096
ROOT = b"revision.root"  # metadata: the folder of the images whose paths the table holds
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
        }
    if kind == "instructions":
        questions = world.instructions(split, start, count)
        return {
            "id": ids,
            "suite": [q.suite for q in questions],
            "question": [q.question for q in questions],
            "answer": [q.answer for q in questions],
            "image": [encode_image(world.image(q.scene)) for q in questions],
        }
    if kind == "reading":
        context, question, answer = zip(*world.reading(split, start, count), strict=True)
        short = world.captions(world.scenes(split, start, count), "short")
        columns = {"context": context, "question": question, "answer": answer, "short": short}
        return {"id": ids} | {name: list(values) for name, values in columns.items()}
    raise ConfigError(f"corpus kind {kind!r} does not exist; the kinds are {', '.join(KINDS)}")


def write_corpus(world: World, kind: str, split: str, count: int, path: str | Path, domain: str = GENERAL.name) -> None:
    """Write `count` rows of `split` to the Parquet file `path`, atomically, block by block.

    Ids of another than the general domain begin with the domain. ConfigError if the kind has no such domain.
    """
    if count < 1:
        raise ConfigError(f"corpus {path}: {count} rows asked for; ask for at least 1")
    if kind != "captions" and domain != GENERAL.name:
        raise ConfigError(f"corpus {path}: only captions exist in the domain {domain!r}; leave --domain out")
    with atomic_file(path) as temporary:
        writer: Any = None
        for start in range(0, count, BLOCK):
            table = pa.table(_rows(world, kind, split, start, min(BLOCK, count - start), domain))
            writer = writer or pq.ParquetWriter(temporary, table.schema, write_page_checksum=True)
            writer.write_table(table)
        writer.close()


@contextmanager
def _named(path: str | Path) -> Iterator[None]:
    """An error of the reader, such as a page whose checksum differs, as DataError that names the table."""
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path}: altered since it was written, or cut ({error}); make it again") from error


def open_corpus(path: str | Path, columns: Sequence[str]) -> pq.ParquetFile:
    """Open a corpus table. Raises DataError if the file can't be read or lacks one of `columns`."""
    try:
        table = pq.ParquetFile(path, page_checksum_verification=True)
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError(f"{path}: not a readable Parquet file ({error}); make it again") from error
    missing = [name for name in columns if name not in table.schema_arrow.names]
    if missing:
        raise DataError(f"{path}: no column {', '.join(missing)}; it has {', '.join(table.schema_arrow.names)}")
    return table


def read_columns(path: str | Path, columns: Sequence[str], rows: int | None = None) -> dict[str, list]:
    """The named columns as lists, the first `rows` rows or all. Raises DataError on null values, naming the row."""
    with _named(path):
        table = open_corpus(path, columns).read(columns=list(columns)).slice(0, rows)
    for name in columns:
        if table[name].null_count:
            row = table[name].is_null().to_pylist().index(True)
            raise DataError(f"{path}: row {row}: column {name} is empty; fill it or remove the row")
    return {name: table[name].to_pylist() for name in columns}


def stream(
    path: str | Path, columns: Sequence[str], rows: int = 512, span: tuple[int, int] | None = None
) -> Iterator[dict[str, list]]:
    """Blocks of at most `rows` rows as lists by column name; memory does not grow with the table.

    `span` is the first row and the end of what is wanted; what lies outside is not read. Images are bytes or, where
    the table holds their paths, files for `decode_image`.
    """
    table = open_corpus(path, columns)
    root = (table.schema_arrow.metadata or {}).get(ROOT, b"").decode()
    sizes = [table.metadata.row_group(number).num_rows for number in range(table.num_row_groups)]
    ends = list(accumulate(sizes))
    start, stop = span or (0, table.metadata.num_rows)
    wanted = [n for n, (size, end) in enumerate(zip(sizes, ends, strict=True)) if end - size < stop and end > start]
    row = ends[wanted[0]] - sizes[wanted[0]] if wanted else 0
    batches = table.iter_batches(rows, row_groups=wanted, columns=list(columns))
    while True:
        with _named(path):
            batch = next(batches, None)
        if batch is None:
            return
        first, row = row, row + batch.num_rows
        begin, end = max(start, first), min(stop, row)
        if begin >= end:
            continue
        block = batch.slice(begin - first, end - begin).to_pydict()
        if "image" in block and isinstance(block["image"][0], str):
            block["image"] = [inside(root, name, str(path)) for name in block["image"]]
        yield block
