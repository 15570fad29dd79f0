"""Webdataset shards: tar files in which the members of a sample share their name up to the first dot (the key)."""

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
    """Iterate over the files of a shard.

    Parameters
    ----------
    archive : tarfile.TarFile
        The open shard.

    Yields
    ------
    (str, str, tarfile.TarInfo)
        Key, file extension in lower case with its dot, and tar member.
    """
    for member in archive:
        if member.isfile():
            path = PurePosixPath(member.name)
            stem, _, extension = path.name.partition(".")
            yield str(path.with_name(stem)), f".{extension.lower()}", member


def read_rows(path: Path) -> Iterator[dict[str, Any]]:
    """Stream the rows of a shard, compressed or not.

    Parameters
    ----------
    path : Path
        The tar file.

    Yields
    ------
    dict
        `__key__` and, if the sample has them, `txt`, `json` (parsed) and `image` (bytes).

    Raises
    ------
    DataError
        If the archive is damaged, or a text or JSON member cannot be parsed.
    """
    row: dict[str, Any] = {}
    try:
        with tarfile.open(path, "r|*") as archive:
            for key, extension, member in members(archive):
                if row and row["__key__"] != key:
                    yield row
                    row = {}
                row["__key__"] = key
                handle = archive.extractfile(member)
                assert handle is not None
                row |= _parse(extension, handle.read(), f"{path}, member {member.name}")
    except (tarfile.TarError, EOFError, OSError) as error:
        raise DataError(f"{path}: not a complete tar archive ({error}); download it again") from error
    if row:
        yield row


def _parse(extension: str, data: bytes, where: str) -> dict[str, Any]:
    if extension in IMAGES:
        return {"image": data}
    try:
        if extension == TEXT:
            return {"txt": data.decode("utf-8")}
        if extension == ".json":
            return {"json": json.loads(data)}
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise DataError(
            f"{where}: not readable as UTF-8 {extension[1:]} ({error}); fix the member or remove the pair"
        ) from error
    return {}


@dataclass(frozen=True)
class Location:
    """Location of a pair.

    Attributes
    ----------
    shard : int
        Index of the shard.
    image, text : (int, int)
        Offset and length in bytes.
    """

    shard: int
    image: tuple[int, int]
    text: tuple[int, int]


class ShardPairs:
    """The image-text pairs of uncompressed shards, with random access.

    Parameters
    ----------
    shards : sequence of path
        The tar files; pairs are ordered by file name and by their order in the file.

    Raises
    ------
    DataError
        If there are no shards, a shard is not a tar file, or a pair lacks its image or text.
    """

    def __init__(self, shards: Sequence[str | Path]) -> None:
        self.shards = [Path(path) for path in sorted(map(str, shards))]
        if not self.shards:
            raise DataError("shards: no file matches; give a pattern such as 'laion/*.tar'")
        self.locations = [location for shard in range(len(self.shards)) for location in self._index(shard)]

    def __len__(self) -> int:
        return len(self.locations)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the shards' names and the locations of their members; identifies the data in a checkpoint."""
        text = repr([path.name for path in self.shards]) + repr(self.locations)
        return hashlib.sha256(text.encode()).hexdigest()

    def text(self, index: int) -> str:
        """Read the text of a pair without surrounding whitespace. Raises DataError if it is not UTF-8 or empty."""
        location = self.locations[index]
        try:
            text = self._read(location.shard, location.text).decode("utf-8").strip()
        except UnicodeDecodeError as error:
            raise DataError(f"{self._name(index)}: the text is not UTF-8 ({error.reason}); fix the shard") from error
        if not text:
            raise DataError(f"{self._name(index)}: the text is empty; remove the pair from the shard")
        return text

    def image(self, index: int, size: int) -> np.ndarray:
        """Read the image of a pair, resized by its shorter side and centre-cropped.

        Parameters
        ----------
        index : int
            Index of the pair.
        size : int
            Side of the result in pixels.

        Returns
        -------
        ndarray of shape (size, size, 3), uint8
            RGB image.

        Raises
        ------
        DataError
            If the image cannot be decoded.
        """
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
        # Opened on each read: threads read at the same time, and no descriptor stays open.
        handle = os.open(self.shards[shard], os.O_RDONLY)
        try:
            return os.pread(handle, span[1], span[0])
        finally:
            os.close(handle)

    def _index(self, shard: int) -> Iterator[Location]:
        path = self.shards[shard]
        members_by_key: dict[str, dict[str, tuple[int, int]]] = {}
        try:
            with tarfile.open(path) as archive:
                for key, extension, member in members(archive):
                    members_by_key.setdefault(key, {})[extension] = (member.offset_data, member.size)
        except (tarfile.TarError, OSError) as error:
            raise DataError(f"{path}: not a readable tar file ({error}); download it again") from error
        for key, parts in members_by_key.items():
            image = next((parts[extension] for extension in IMAGES if extension in parts), None)
            if image is None or TEXT not in parts:
                raise DataError(
                    f"{path}: {key} lacks an image or a text (it has {', '.join(sorted(parts))}); complete or remove it"
                )
            yield Location(shard, image, parts[TEXT])
