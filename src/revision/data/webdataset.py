"""Webdataset shards: tar files whose members share a key up to the first dot of their name."""

import hashlib
import json
import os
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from PIL import Image

from revision.data.images import decode_image
from revision.errors import DataError

IMAGES = (".jpg", ".jpeg", ".png", ".webp")
TEXT = ".txt"


def members(archive: tarfile.TarFile) -> Iterator[tuple[str, str, tarfile.TarInfo]]:
    """Key, ending in lower case and entry of every file of a shard, in its order."""
    for member in archive:
        if member.isfile():
            path = PurePosixPath(member.name)
            stem, _, ending = path.name.partition(".")
            yield str(path.with_name(stem)), f".{ending.lower()}", member


def read_rows(path: Path) -> Iterator[dict[str, Any]]:
    """Stream the rows of a shard, compressed or not: __key__, txt, json (parsed) and image (bytes), as they are there.

    Raises DataError for a broken archive, text or JSON.
    """
    row: dict[str, Any] = {}
    try:
        with tarfile.open(path, "r|*") as archive:
            for key, ending, member in members(archive):
                if row and row["__key__"] != key:
                    yield row
                    row = {}
                row["__key__"] = key
                handle = archive.extractfile(member)
                assert handle is not None
                row |= _parsed(ending, handle.read(), f"{path}, member {member.name}")
    except (tarfile.TarError, EOFError, OSError) as error:
        raise DataError(f"{path}: not a whole tar archive ({error}); fetch it again") from error
    if row:
        yield row


def _parsed(ending: str, data: bytes, where: str) -> dict[str, Any]:
    if ending in IMAGES:
        return {"image": data}
    try:
        if ending == TEXT:
            return {"txt": data.decode("utf-8")}
        if ending == ".json":
            return {"json": json.loads(data)}
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise DataError(f"{where}: not readable as UTF-8 {ending[1:]} ({error}); leave the pair out") from error
    return {}


@dataclass(frozen=True)
class Location:
    """Where a pair lies: number of the shard, then offset and length of image and text."""

    shard: int
    image: tuple[int, int]
    text: tuple[int, int]


class ShardPairs:
    """The image-text pairs of some uncompressed shards, in the order of the files, for reading in any order."""

    def __init__(self, shards: Sequence[str | Path]) -> None:
        self.shards = [Path(path) for path in sorted(map(str, shards))]
        if not self.shards:
            raise DataError("shards: no file matches; give a pattern such as 'laion/*.tar'")
        self.locations = [each for number in range(len(self.shards)) for each in self._index(number)]

    def __len__(self) -> int:
        return len(self.locations)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the shards' names and of where their members lie; stands for the data in a checkpoint."""
        text = repr([path.name for path in self.shards]) + repr(self.locations)
        return hashlib.sha256(text.encode()).hexdigest()

    def text(self, index: int) -> str:
        """Text of a pair, white space stripped. Raises DataError if it is not UTF-8 or empty."""
        location = self.locations[index]
        try:
            text = self._read(location.shard, location.text).decode("utf-8").strip()
        except UnicodeDecodeError as error:
            raise DataError(f"{self._name(index)}: the text is not UTF-8 ({error.reason}); fix the shard") from error
        if not text:
            raise DataError(f"{self._name(index)}: the text is empty; leave the pair out of the shard")
        return text

    def image(self, index: int, size: int) -> np.ndarray:
        """Image of a pair, uint8 [size, size, 3]: the shorter side scaled to `size`, then the middle cut out."""
        location = self.locations[index]
        image = decode_image(self._read(location.shard, location.image), self._name(index))
        scale = size / min(image.size)
        width, height = (max(size, round(side * scale)) for side in image.size)
        left, top = (width - size) // 2, (height - size) // 2
        image = image.resize((width, height), Image.Resampling.BICUBIC).crop((left, top, left + size, top + size))
        return np.asarray(image)

    def _name(self, index: int) -> str:
        location = self.locations[index]
        return f"{self.shards[location.shard]}: pair at byte {location.image[0]}"

    def _read(self, shard: int, span: tuple[int, int]) -> bytes:
        handle = os.open(self.shards[shard], os.O_RDONLY)
        try:
            return os.pread(handle, span[1], span[0])
        finally:
            os.close(handle)

    def _index(self, number: int) -> Iterator[Location]:
        path = self.shards[number]
        found: dict[str, dict[str, tuple[int, int]]] = {}
        try:
            with tarfile.open(path) as archive:
                for key, ending, member in members(archive):
                    found.setdefault(key, {})[ending] = (member.offset_data, member.size)
        except (tarfile.TarError, OSError) as error:
            raise DataError(f"{path}: not a tar file that can be read ({error})") from error
        for key, parts in found.items():
            image = next((parts[ending] for ending in IMAGES if ending in parts), None)
            if image is None or TEXT not in parts:
                raise DataError(f"{path}: {key} lacks an image or a text; it has {', '.join(sorted(parts))}")
            yield Location(number, image, parts[TEXT])
