"""Merge parts of a table that several jobs embedded into one set; shards are linked, not written again."""

import os
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from revision.embeddings.reader import FORMAT, MANIFEST, EmbeddingSet, Shard, open_embeddings
from revision.errors import DataError
from revision.io.files import atomic_folder, write_json

ROWS = "rows"  # key in `about`: first row of a part, row after its last, number of rows of the table


def merge_sets(parts: Sequence[str | Path], folder: str | Path) -> EmbeddingSet:
    """Merge embedding sets into one.

    Shards keep their content and checksums. They are hard links if the file system supports these, otherwise copies.

    Parameters
    ----------
    parts : sequence of str or Path
        Folders of the sets, in the order of their rows. If they state which rows of a table they hold (`rows` in their
        `about`), they must make up the whole table.
    folder : str or Path
        Folder of the merged set. It replaces an older embedding set of that name, but no other folder.

    Returns
    -------
    EmbeddingSet
        The merged set.

    Raises
    ------
    DataError
        If parts differ in dimension, dtype or description, if one is missing, if two rows have the same id, or if
        `folder` holds anything but an embedding set.
    """
    folder = Path(folder)
    opened = [open_embeddings(part) for part in parts]
    if not opened:
        raise DataError(f"{folder}: no parts to merge; name at least one embedding set")
    if folder.exists() and not (folder / MANIFEST).is_file() and any(folder.iterdir()):
        raise DataError(f"{folder}: exists and is no embedding set; name another folder, or remove it yourself")
    _refuse_unlike(opened)
    _refuse_gaps(opened)
    _refuse_duplicates(opened)
    sources = [(part.folder / shard.file, shard) for part in opened for shard in part.shards]
    with atomic_folder(folder) as temporary:
        shards = []
        for number, (path, shard) in enumerate(sources):
            name = f"shard-{number:05d}.arrow"
            _link(path, temporary / name)
            shards.append(Shard(name, shard.rows, shard.bytes, shard.xxh3_128))
        first = opened[0]
        description = {
            "format": FORMAT,
            "count": sum(part.count for part in opened),
            "dim": first.dim,
            "dtype": first.dtype,
            "shards": [vars(shard) for shard in shards],
            "about": _about(first),
        }
        write_json(temporary / MANIFEST, description)
    return open_embeddings(folder)


def _about(part: EmbeddingSet) -> dict:
    return {name: value for name, value in part.about.items() if name != ROWS}


def _refuse_unlike(parts: list[EmbeddingSet]) -> None:
    first = parts[0]
    for part in parts[1:]:
        if (part.dim, part.dtype, _about(part)) != (first.dim, first.dtype, _about(first)):
            raise DataError(
                f"{part.folder}: not of the same table, column, encoder and dtype as {first.folder}; embed both "
                "parts again"
            )


def _refuse_gaps(parts: list[EmbeddingSet]) -> None:
    known = [(part, *part.about[ROWS]) for part in parts if ROWS in part.about]
    if not known:
        return
    end = 0
    for part, start, stop, _ in known:
        if start != end:
            raise DataError(
                f"{part.folder}: begins with row {start} of its table, but the previous part ends at {end}; name the "
                "parts in order"
            )
        end = stop
    total = known[-1][3]
    if end != total or len(known) != len(parts):
        raise DataError(f"{parts[-1].folder}: the parts end at row {end} of {total}; embed and name the missing ones")


def _refuse_duplicates(parts: list[EmbeddingSet]) -> None:
    names = [name for part in parts for name in part.ids().to_pylist()]
    hashes = np.fromiter(map(hash, names), np.int64, len(names))
    if len(np.unique(hashes)) < len(hashes):
        name, times = Counter(names).most_common(1)[0]
        if times > 1:
            raise DataError(f"{parts[0].folder}: id {name!r} is in {times} rows of the parts; ids must be unique")


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without hard links
        shutil.copyfile(source, target)
