"""Corpus tables of captioned images in a folder. The images stay there; a table has their paths.

An image belongs to one table, decided by the hash of its name, so that no two tables share an image on any machine.
Columns: id, short (a caption), long (all captions of the image, joined) and image. The tables `text` and `validation`
have one row per caption. The others have one row per image, whose short caption is the first, and a further column
`captions` with all of them.
"""

from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from revision.config.corpus import PHOTO_TABLES, PhotosCorpus, PhotoTable
from revision.data.captions import HELD_OUT, TRAIN, CaptionedImage, read_captions
from revision.data.corpus import ROOT
from revision.data.images import check_image
from revision.data.ingest import IngestSummary, hash_fraction
from revision.data.sources import path_inside
from revision.errors import ConfigError, DataError
from revision.io.files import atomic_file

ONE_PER_CAPTION = ("text", "validation")
GROUPS = {TRAIN: PHOTO_TABLES[:3], HELD_OUT: PHOTO_TABLES[3:]}
SUFFIXES = (".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp", ".tif", ".tiff")


def write_photos(corpus: PhotosCorpus, table: str, count: int, path: str | Path) -> IngestSummary:
    """Write a corpus table, atomically.

    Parameters
    ----------
    corpus : PhotosCorpus
        The folder and the fraction of each table.
    table : str
        Name of the table, one of `PHOTO_TABLES`.
    count : int
        Largest number of rows; there are fewer if the table's images have fewer.
    path : path
        Parquet file to write.

    Returns
    -------
    IngestSummary
        Numbers of rows and of images, and images that were left out.

    Raises
    ------
    DataError
        If captions or images cannot be read (names file, row and fix), or the table would be empty.
    ConfigError
        If the table does not exist or `count` is below 1.
    """
    if table not in PHOTO_TABLES:
        raise ConfigError(f"corpus table {table!r} does not exist; the tables are {', '.join(PHOTO_TABLES)}")
    if count < 1:
        raise ConfigError(f"corpus {path}: count is {count}; request at least 1 row")
    root = Path(corpus.root)
    images, files = members(read_captions(root, corpus.files), corpus, table), _Files(root)
    summary, rows = IngestSummary(skipped=Counter()), list[dict[str, Any]]()
    for image in images:
        if len(rows) >= count:
            break
        try:
            rows += _rows(image, files, table)
        except _Missing as reason:
            if reason.kind not in corpus.skip:
                raise DataError(f"{reason}; or skip such images: corpus.skip: [{reason.kind}]") from None
            summary.skipped[reason.kind] += 1
            continue
        summary.used += 1
    if not rows:
        left = dict(summary.skipped) or "none"
        raise DataError(f"{root}: no image for the table {table}; add images or raise its share (left out: {left})")
    columns = pa.Table.from_pylist(rows[:count])
    with atomic_file(path) as temporary:
        written = columns.replace_schema_metadata({ROOT: corpus.root.encode()})
        pq.write_table(written, temporary, write_page_checksum=True)
    summary.rows = columns.num_rows
    return summary


def members(images: list[CaptionedImage], corpus: PhotosCorpus, table: PhotoTable | str) -> list[CaptionedImage]:
    """Select the images of a table, in the order of the hashes of their names.

    Parameters
    ----------
    images : list of CaptionedImage
        All images.
    corpus : PhotosCorpus
        The fraction of each table. With splits, `encoder`, `text` and `reference` divide the training images and the
        other tables the held-out ones, each in proportion to its fraction.
    table : str
        Name of a table.

    Returns
    -------
    list of CaptionedImage
        The images.
    """
    names: tuple[PhotoTable, ...] = PHOTO_TABLES
    total = 1.0
    if any(image.split for image in images):
        split = next(split for split, tables in GROUPS.items() if table in tables)
        images = [image for image in images if image.split == split]
        names = GROUPS[split]
        total = sum(corpus.shares[name] for name in names)
    position = [str(name) for name in names].index(table)
    low = sum(corpus.shares[name] for name in names[:position]) / total
    high = low + corpus.shares[names[position]] / total
    hashed = sorted((hash_fraction(image.name), number) for number, image in enumerate(images))
    return [images[number] for fraction, number in hashed if low <= fraction < high]


class _Missing(Exception):
    """An image that is left out if `skip` lists `kind`, and an error with this message otherwise."""

    def __init__(self, kind: str, error: str) -> None:
        super().__init__(error)
        self.kind = kind


class _Files:
    """The image files of a folder and its subfolders, which many data sets name without their folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.by_name: dict[str, list[Path]] = {}
        for file in sorted(root.rglob("*")):
            if file.suffix.lower() in SUFFIXES:
                self.by_name.setdefault(file.name, []).append(file)

    def locate(self, image: CaptionedImage) -> Path:
        file = path_inside(self.root, image.name, image.where)
        if file.is_file():
            return file
        named = self.by_name.get(Path(image.name).name, [])
        if len(named) > 1:
            found = ", ".join(str(one.relative_to(self.root)) for one in named)
            raise DataError(f"{image.where}: {image.name} could be {found}; add its folder to the name")
        if not named:
            raise _Missing(
                "missing_image", f"{image.where}: {image.name} is not in {self.root}; add the image or remove the row"
            )
        return path_inside(self.root, str(named[0].relative_to(self.root)), image.where)


def _rows(image: CaptionedImage, files: _Files, table: str) -> list[dict[str, Any]]:
    captions = [" ".join(caption.split()) for caption in image.captions]
    if not all(captions) or not captions:
        raise _Missing("no_caption", f"{image.where}: {image.name} has no caption; add one or remove the image")
    file = files.locate(image)
    check_image(file, f"{image.where}: {file}")
    row = {"long": joined(captions), "image": file.relative_to(files.root).as_posix()}
    if table in ONE_PER_CAPTION:
        return [{"id": f"{image.name}#{k}", "short": caption} | row for k, caption in enumerate(captions)]
    return [{"id": image.name, "short": captions[0]} | row | {"captions": captions}]


def joined(captions: list[str]) -> str:
    """Join captions to one text, each of them a sentence."""
    return " ".join(caption if caption[-1] in ".!?" else f"{caption}." for caption in captions)
