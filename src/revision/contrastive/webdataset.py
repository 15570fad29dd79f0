"""Pairs of pictures and texts from webdataset shards: tar files of <key>.jpg (or .png, .webp) and <key>.txt."""

import hashlib
import io
import os
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from revision.contrastive.clip import ClipEncoder, ClipSettings
from revision.data.sources import PICTURES
from revision.embeddings.moments import ordered_map
from revision.errors import DataError

TEXT = ".txt"


@dataclass(frozen=True)
class Place:
    """Where a pair lies: number of the shard, then offset and length of picture and text."""

    shard: int
    picture: tuple[int, int]
    text: tuple[int, int]


class ShardPairs:
    """The pairs of some shards, in the order of the files; members are found once, read when asked for."""

    def __init__(self, shards: Sequence[str | Path]) -> None:
        self.shards = [Path(path) for path in sorted(map(str, shards))]
        if not self.shards:
            raise DataError("shards: no file matches; give a pattern such as 'laion/*.tar'")
        self.places = [place for number in range(len(self.shards)) for place in self._members(number)]

    def __len__(self) -> int:
        return len(self.places)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the shards' names and of where their members lie; stands for the data in a checkpoint."""
        text = repr([path.name for path in self.shards]) + repr(self.places)
        return hashlib.sha256(text.encode()).hexdigest()

    def text(self, index: int) -> str:
        """Text of a pair, white space stripped. Raises DataError if it is not UTF-8 or empty."""
        place = self.places[index]
        try:
            text = self._read(place.shard, place.text).decode("utf-8").strip()
        except UnicodeDecodeError as error:
            raise DataError(f"{self._name(index)}: the text is not UTF-8 ({error.reason}); mend the shard") from error
        if not text:
            raise DataError(f"{self._name(index)}: the text is empty; leave the pair out of the shard")
        return text

    def picture(self, index: int, size: int) -> np.ndarray:
        """Picture of a pair, uint8 [size, size, 3]: the shorter side scaled to `size`, then the middle cut out."""
        place = self.places[index]
        try:
            image = Image.open(io.BytesIO(self._read(place.shard, place.picture))).convert("RGB")
        except OSError as error:
            raise DataError(f"{self._name(index)}: the picture cannot be read ({error}); mend the shard") from error
        scale = size / min(image.size)
        width, height = (max(size, round(side * scale)) for side in image.size)
        left, top = (width - size) // 2, (height - size) // 2
        image = image.resize((width, height), Image.Resampling.BICUBIC).crop((left, top, left + size, top + size))
        return np.asarray(image)

    def _name(self, index: int) -> str:
        place = self.places[index]
        return f"{self.shards[place.shard]}: pair at byte {place.picture[0]}"

    def _read(self, shard: int, span: tuple[int, int]) -> bytes:
        handle = os.open(self.shards[shard], os.O_RDONLY)
        try:
            return os.pread(handle, span[1], span[0])
        finally:
            os.close(handle)

    def _members(self, number: int) -> Iterator[Place]:
        """Pairs of a shard; the key of a member is its name up to the first dot after the last slash."""
        path = self.shards[number]
        found: dict[tuple[str, str], dict[str, tuple[int, int]]] = {}
        try:
            with tarfile.open(path) as archive:
                for member in archive:
                    folder, _, name = member.name.rpartition("/")
                    key, _, ending = name.partition(".")
                    if member.isfile():
                        found.setdefault((folder, key), {})[f".{ending.lower()}"] = (member.offset_data, member.size)
        except (tarfile.TarError, OSError) as error:
            raise DataError(f"{path}: not a tar file that can be read ({error})") from error
        for (folder, key), parts in found.items():
            picture = next((parts[ending] for ending in PICTURES if ending in parts), None)
            if picture is None or TEXT not in parts:
                raise DataError(f"{path}: {folder}/{key} lacks a picture or a text; it has {', '.join(sorted(parts))}")
            yield Place(number, picture, parts[TEXT])


def split(pairs: ShardPairs, held_out: int, batch: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the pairs to train on and of `held_out` others, drawn once for all seeds."""
    if len(pairs) < held_out + batch:
        raise DataError(f"shards: {len(pairs)} pairs are too few for {held_out} held out and a batch of {batch}")
    order = np.random.default_rng(0).permutation(len(pairs))
    return np.sort(order[held_out:]), np.sort(order[:held_out])


@dataclass(frozen=True)
class ShardBatches:
    """Training batches, each a pure function of its step; `part` of `parts` processes takes every `parts`-th pair."""

    pairs: ShardPairs
    rows: np.ndarray
    settings: ClipSettings
    model: ClipEncoder
    seed: int
    threads: int = 1
    part: int = 0
    parts: int = 1

    def share(self, part: int, parts: int) -> "ShardBatches":
        """The share of one of `parts` processes."""
        return replace(self, part=part, parts=parts)

    def __call__(self, step: int) -> tuple[Tensor, Tensor]:
        """Pictures uint8 [batch / parts, s, s, 3] and token numbers of a step."""
        epoch, place = divmod(step, len(self.rows) // self.settings.batch)
        order = np.random.default_rng((self.seed, epoch)).permutation(self.rows)
        first = place * self.settings.batch
        chosen = order[first : first + self.settings.batch][self.part :: self.parts]
        pixels = ordered_map(lambda row: self.pairs.picture(row, self.settings.image_size), chosen, self.threads)
        return torch.from_numpy(np.stack(list(pixels))), self.model.tokens([self.pairs.text(row) for row in chosen])
