"""Images of the evaluation: one embedding an image however many checkpoints ask for it."""

import hashlib
from collections.abc import Hashable, Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from revision.encoders.base import Encoder


class ImageEmbeddings:
    """Embeddings by image content, kept in memory and shared by all checkpoints of a run.

    `encoder` is an encoder or the folder of one, which is loaded when the first image comes.
    """

    def __init__(self, encoder: Encoder | str | Path, batch_size: int = 256) -> None:
        self._encoder = encoder
        self._batch_size = batch_size
        self._row_of_content: dict[bytes, int] = {}
        self._row_of_place: dict[Hashable, int] = {}
        self._rows: list[np.ndarray] = []

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, place: Hashable) -> bool:
        return place in self._row_of_place

    def add(self, images: Iterable[tuple[Hashable, Image.Image]]) -> None:
        """Embed the images whose content is new, and remember at which place each content stands."""
        waiting: list[tuple[bytes, Image.Image]] = []
        for place, image in images:
            shape = f"{image.mode} {image.size}".encode()
            content = hashlib.blake2b(image.tobytes(), key=shape, digest_size=16).digest()
            if content not in self._row_of_content:
                self._row_of_content[content] = len(self._rows) + len(waiting)
                waiting.append((content, image))
            self._row_of_place[place] = self._row_of_content[content]
            if len(waiting) == self._batch_size:
                self._encode(waiting)
        self._encode(waiting)

    def take(self, places: Sequence[Hashable]) -> torch.Tensor:
        """Embeddings [n, d] float32 of the images at n places that were added before."""
        return torch.from_numpy(np.stack([self._rows[self._row_of_place[place]] for place in places]))

    def _encode(self, waiting: list[tuple[bytes, Image.Image]]) -> None:
        if waiting:
            self._rows.extend(np.asarray(self._loaded().encode_images([p for _, p in waiting]), dtype=np.float32))
            waiting.clear()

    def _loaded(self) -> Encoder:
        if isinstance(self._encoder, str | Path):
            from revision.encoders import load_encoder

            self._encoder = load_encoder(self._encoder)
        return self._encoder
