"""Read images with human captions from a folder in one of the common layouts.

Layouts: Karpathy's JSON (dataset_flickr8k.json, dataset_coco.json), COCO's JSON (captions_train2017.json), Flickr's
lines `image.jpg#0<TAB>caption`, and CSV with the columns image and caption. Captions of an image stay together.
"""

import csv
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from revision.errors import DataError

FILES = ("dataset*.json", "captions*.json", "annotations/captions*.json", "captions*.txt", "*.csv", "*.token*", "*.tsv")
"""Usual names of files with captions."""
TRAIN, HELD_OUT = "train", "held-out"
SPLITS = {"train": TRAIN, "restval": TRAIN, "val": HELD_OUT, "dev": HELD_OUT, "test": HELD_OUT}
"""Splits by their names in the layouts."""
LISTS = {TRAIN: ("*trainImages.txt",), HELD_OUT: ("*devImages.txt", "*testImages.txt")}
"""Lists of images that Flickr8k has beside its captions."""
_FLICKR = re.compile(r"(?P<image>[^\t]+)#(?P<number>\d+)\t(?P<caption>.*)")


@dataclass(frozen=True)
class CaptionedImage:
    """An image of a data set.

    Attributes
    ----------
    name : str
        Its file, as the data set gives it.
    captions : tuple of str
        Its captions, in their order.
    split : str
        "train", "held-out", or empty if the data set has no splits.
    where : str
        File and row, for error messages.
    """

    name: str
    captions: tuple[str, ...]
    split: str
    where: str


def read_captions(root: str | Path, patterns: list[str] | None = None) -> list[CaptionedImage]:
    """Read all captions of a folder.

    Parameters
    ----------
    root : path
        The folder.
    patterns : list of str, optional
        Patterns of its files with captions. Default: `FILES`.

    Returns
    -------
    list of CaptionedImage
        In the order of the sorted files.

    Raises
    ------
    DataError
        If the folder has no captions or a file cannot be read, or an image occurs twice; names file, row and fix.
    """
    root = Path(root)
    if not root.is_dir():
        raise DataError(f"{root}: no such folder; correct corpus.root")
    paths = dict.fromkeys(path for pattern in patterns or FILES for path in sorted(root.glob(pattern)))
    files = [path for path in paths if path.is_file()]
    if not files:
        raise DataError(
            f"{root}: no file matches {', '.join(patterns or FILES)}; name the files with captions in corpus.files"
        )
    lists = _lists(root)
    images: dict[str, CaptionedImage] = {}
    for path in files:
        for image in _read(path):
            if first := images.get(image.name):
                raise DataError(
                    f"{image.where}: image {image.name} is also in {first.where}; remove one, or choose one file with "
                    "corpus.files"
                )
            images[image.name] = image
    if not lists:
        return list(images.values())
    # Images that are in no list belong to no split; Flickr8k has 91 of them.
    split = [(image, lists[image.name]) for image in images.values() if image.name in lists]
    return [CaptionedImage(image.name, image.captions, name, image.where) for image, name in split]


def _lists(root: Path) -> dict[str, str]:
    """Return the split of each image that a list names."""
    paths = [(path, split) for split, patterns in LISTS.items() for pattern in patterns for path in root.glob(pattern)]
    return {name: split for path, split in paths for name in _text(path).split("\n") if name}


def _read(path: Path) -> Iterator[CaptionedImage]:
    text = _text(path)
    if path.suffix == ".json":
        try:
            values = json.loads(text)
        except json.JSONDecodeError as error:
            raise DataError(f"{path}: not JSON ({error}); correct the file or download it again") from error
        if not isinstance(values, dict) or not isinstance(values.get("images"), list):
            raise DataError(f"{path}: no list `images`; give a file in Karpathy's or COCO's layout")
        yield from (_coco if "annotations" in values else _karpathy)(path, values)
        return
    first, _, _ = text.partition("\n")
    yield from (_flickr if _FLICKR.fullmatch(first) else _csv)(path, text)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 ({error}); convert the file") from error


def _value(row: Any, key: str, kind: type | tuple[type, ...], where: str) -> Any:
    value = row.get(key) if isinstance(row, dict) else None
    if not isinstance(value, kind) or value == "":
        raise DataError(f"{where}: `{key}` is {value!r:.40}; correct the row or remove it")
    return value


def _karpathy(path: Path, values: dict[str, Any]) -> Iterator[CaptionedImage]:
    for number, row in enumerate(values["images"]):
        where = f"{path}, row {number}"
        name = _value(row, "filename", str, where)
        sentences = _value(row, "sentences", list, where)
        split = row.get("split", "")
        if split and split not in SPLITS:
            raise DataError(f"{where}: split {split!r} is unknown; there are {', '.join(SPLITS)}")
        captions = (_value(sentence, "raw", str, f"{where}, sentences") for sentence in sentences)
        folder = f"{row['filepath']}/" if row.get("filepath") else ""
        yield CaptionedImage(folder + name, tuple(captions), SPLITS.get(split, ""), where)


def _coco(path: Path, values: dict[str, Any]) -> Iterator[CaptionedImage]:
    split = next((split for name, split in SPLITS.items() if name in path.stem), "")
    captions: dict[Any, list[str]] = {}
    rows: dict[Any, int] = {}
    for number, row in enumerate(values["images"]):
        identity = _value(row, "id", (int, str), f"{path}, images, row {number}")
        if identity in rows:
            raise DataError(f"{path}, images, rows {rows[identity]} and {number}: the same id {identity}; remove one")
        rows[identity], captions[identity] = number, []
    for number, row in enumerate(values["annotations"]):
        where = f"{path}, annotations, row {number}"
        identity = _value(row, "image_id", (int, str), where)
        if identity not in captions:
            raise DataError(f"{where}: no image has the id {identity}; correct image_id or remove the row")
        captions[identity].append(_value(row, "caption", str, where))
    for number, row in enumerate(values["images"]):
        where = f"{path}, images, row {number}"
        yield CaptionedImage(_value(row, "file_name", str, where), tuple(captions[row["id"]]), split, where)


def _flickr(path: Path, text: str) -> Iterator[CaptionedImage]:
    rows: list[tuple[str, str, str]] = []
    first: dict[str, int] = {}
    for number, line in enumerate(text.splitlines()):
        if not line:
            continue
        match = _FLICKR.fullmatch(line)
        if match is None:
            raise DataError(f"{path}, row {number}: not `image.jpg#0<TAB>caption`; correct or remove the line")
        name = f"{match['image']}#{match['number']}"
        if name in first:
            raise DataError(f"{path}, rows {first[name]} and {number}: the same id {name}; remove one")
        first[name] = number
        rows.append((match["image"], match["caption"], f"{path}, row {number}"))
    yield from _grouped(rows)


def _csv(path: Path, text: str) -> Iterator[CaptionedImage]:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    names = reader.fieldnames or []
    if "image" not in names or "caption" not in names:
        raise DataError(f"{path}: the columns are {', '.join(names) or 'none'}; name them image and caption")
    rows: list[tuple[str, str, str]] = []
    try:
        for number, row in enumerate(reader):
            where = f"{path}, row {number}"
            rows.append((_value(row, "image", str, where), row["caption"] or "", where))
    except csv.Error as error:
        raise DataError(f"{path}, row {len(rows)}: {error}; put captions with commas or quotes in quotes") from error
    yield from _grouped(rows)


def _grouped(rows: list[tuple[str, str, str]]) -> Iterator[CaptionedImage]:
    """Group captions by image; the location of an image is that of its first caption."""
    captions: dict[str, list[str]] = {}
    where: dict[str, str] = {}
    for name, caption, place in rows:
        captions.setdefault(name, []).append(caption)
        where.setdefault(name, place)
    for name, of_image in captions.items():
        yield CaptionedImage(name, tuple(caption for caption in of_image if caption.strip()), "", where[name])
