"""From a corpus table to embedding shards: images or texts of one column, a block at a time.

A thread decodes the next block while the encoder works on this one.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.progress import Progress

from revision.data.corpus import open_corpus, stream
from revision.data.images import decode_image
from revision.embeddings import EmbeddingSet, EmbeddingWriter
from revision.embeddings.merge import ROWS
from revision.encoders.base import Encoder
from revision.errors import ConfigError, DataError
from revision.io.files import digest
from revision.io.prefetch import ordered_map

BLOCK = 1024
IMAGE_COLUMN = "image"


def embed_corpus(
    encoder: Encoder,
    table: str | Path,
    column: str,
    folder: str | Path,
    *,
    dtype: str = "float32",
    part: tuple[int, int] | None = None,
    show_progress: bool = True,
) -> EmbeddingSet:
    """Embed `column` of the corpus table (column "image": encoded images; any other: texts) into a set at `folder`.

    With `part`, (i, n), the rows of the i-th of n parts alone, for `revision.embeddings.merge_sets`: parts begin where
    blocks begin, so that together they are what one job writes. Raises DataError for a missing column or a image
    that can't be read, naming file and row.
    """
    count = open_corpus(table, ("id", column)).metadata.num_rows
    about: dict[str, Any] = {
        "column": column,
        "table": digest(table),
        "encoder": {"name": encoder.name, "revision": encoder.revision},
    }
    start, stop = 0, count
    if part is not None:
        start, stop = span(count, *part)
        about[ROWS] = [start, stop, count]
    is_image = column == IMAGE_COLUMN
    encode = encoder.encode_images if is_image else encoder.encode_texts

    def decode(block: tuple[int, list[str], list[Any]]) -> tuple[list[str], list[Any]]:
        row, ids, items = block
        if None in items:
            empty = f"{table}: row {row + items.index(None)}: column {column} is empty"
            raise DataError(f"{empty}; fill it or remove the row")
        if is_image:
            items = [decode_image(data, f"{table}: row {row + k}") for k, data in enumerate(items)]
        return ids, items

    with (
        Progress(disable=not show_progress, transient=True) as progress,
        EmbeddingWriter(folder, encoder.dim, dtype, about=about) as writer,
    ):
        bar = progress.add_task(f"embedding {column} of {Path(table).stem}", total=stop - start)
        for ids, items in ordered_map(decode, _blocks(table, column, (start, stop)), ahead=True):
            try:
                rows = encode(items)
            except DataError as error:
                first = start + writer.count
                raise DataError(
                    f"{table}: rows {first} to {first + len(ids) - 1}: {error}; mend the row or remove it"
                ) from error
            writer.append(ids, rows)
            progress.advance(bar, len(ids))
    assert writer.result is not None
    return writer.result


def span(count: int, part: int, parts: int) -> tuple[int, int]:
    """First row and end of one of `parts` parts of `count` rows, in whole blocks; the last parts may be empty.

    Raises ConfigError for a part that is not in [0, parts).
    """
    if not 0 <= part < parts:
        raise ConfigError(f"part {part} of {parts}: parts are numbered from 0 to {parts - 1}")
    rows = BLOCK * math.ceil(count / (BLOCK * parts))
    return min(part * rows, count), min((part + 1) * rows, count)


def _blocks(table: str | Path, column: str, span: tuple[int, int]) -> Iterator[tuple[int, list[str], list[Any]]]:
    """First row, ids and values of BLOCK rows at a time."""
    row = span[0]
    for block in stream(table, ("id", column), BLOCK, span):
        yield row, block["id"], block[column]
        row += len(block["id"])
