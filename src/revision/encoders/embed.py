"""Embed the images or texts of one column of a corpus table to embedding shards, block by block.

A thread decodes the next block while the encoder processes the current one.
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
    """Embed one column of a corpus table.

    Parameters
    ----------
    encoder : Encoder
        The encoder.
    table : path
        Corpus table (Parquet) with the columns `id` and `column`.
    column : str
        Column to embed: "image" holds encoded images, any other column texts.
    folder : path
        Folder of the embedding set to write.
    dtype : str
        Number format of the stored embeddings.
    part : (int, int), optional
        (i, n) embeds only the i-th of n parts, for `revision.embeddings.merge_sets`. Parts start at block
        boundaries, so the merged set is equal to the set that a single job writes. Default: all rows.
    show_progress : bool
        Whether to show a progress bar.

    Returns
    -------
    EmbeddingSet
        The written set.

    Raises
    ------
    DataError
        If the column is missing or an image or text cannot be embedded; names file and row.
    ConfigError
        If `part` is not one of n parts.
    """
    count = open_corpus(table, ("id", column)).metadata.num_rows
    about: dict[str, Any] = {
        "column": column,
        "table": digest(table),
        "encoder": {"name": encoder.name, "revision": encoder.revision},
    }
    device = getattr(encoder, "device", None)
    if device is not None and device.type != "cpu":
        about["device"] = device.type  # rows differ from those of a CPU by rounding
    start, stop = 0, count
    if part is not None:
        start, stop = part_range(count, *part)
        about[ROWS] = [start, stop, count]
    is_image = column == IMAGE_COLUMN
    encode = encoder.encode_images if is_image else encoder.encode_texts

    def decode(block: tuple[int, list[str], list[Any]]) -> tuple[list[str], list[Any]]:
        row, ids, items = block
        if None in items:
            empty = row + items.index(None)
            raise DataError(f"{table}: row {empty}: column {column} is empty; fill it or remove the row")
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
                    f"{table}: rows {first} to {first + len(ids) - 1}: {error}; fix or remove the row"
                ) from error
            writer.append(ids, rows)
            progress.advance(bar, len(ids))
    assert writer.result is not None
    return writer.result


def part_range(count: int, part: int, parts: int) -> tuple[int, int]:
    """Compute the rows of one part of a table, in whole blocks.

    Parameters
    ----------
    count : int
        Number of rows of the table.
    part, parts : int
        Index of the part and number of parts.

    Returns
    -------
    (int, int)
        First row and end. The last parts may be empty.

    Raises
    ------
    ConfigError
        If `part` is not in [0, parts).
    """
    if not 0 <= part < parts:
        raise ConfigError(f"part {part} of {parts}: parts are numbered from 0 to {parts - 1}")
    rows = BLOCK * math.ceil(count / (BLOCK * parts))
    return min(part * rows, count), min((part + 1) * rows, count)


def _blocks(table: str | Path, column: str, rows: tuple[int, int]) -> Iterator[tuple[int, list[str], list[Any]]]:
    """Yield the index of the first row, ids and values of BLOCK rows at a time."""
    row = rows[0]
    for block in stream(table, ("id", column), BLOCK, rows):
        yield row, block["id"], block[column]
        row += len(block["id"])
