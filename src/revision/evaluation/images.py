"""Embeddings of the evaluation's images, computed once for all checkpoints."""

import hashlib
from collections.abc import Hashable, Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from revision.encoders.base import Encoder


class ImageEmbeddings:
    """Embeddings by image content, kept in memory and shared by all checkpoints of a run.

    Parameters
    ----------
    encoder : Encoder or str or Path
        An encoder or its folder, which is loaded with the first image.
    batch_size : int, default 256
        Images per call of the encoder.
    """

    def __init__(self, encoder: Encoder | str | Path, batch_size: int = 256) -> None:
        self._encoder = encoder
        self._batch_size = batch_size
        self._row_of_content: dict[bytes, int] = {}
        self._row_of_key: dict[Hashable, int] = {}
        self._rows: list[np.ndarray] = []

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, key: Hashable) -> bool:
        return key in self._row_of_key

    def add(self, images: Iterable[tuple[Hashable, Image.Image]]) -> None:
        """Embed the images whose content is new.

        Parameters
        ----------
        images : iterable of (hashable, Image)
            Keys, of which `row` returns the row of the embedding, and images. Two keys may have the same content.
        """
        waiting: list[tuple[bytes, Image.Image]] = []
        for key, image in images:
            shape = f"{image.mode} {image.size}".encode()
            content = hashlib.blake2b(image.tobytes(), key=shape, digest_size=16).digest()
            if content not in self._row_of_content:
                self._row_of_content[content] = len(self._rows) + len(waiting)
                waiting.append((content, image))
            self._row_of_key[key] = self._row_of_content[content]
            if len(waiting) == self._batch_size:
                self._encode(waiting)
        self._encode(waiting)

    def row(self, key: Hashable) -> int:
        """Return the row of a key's embedding, equal for equal images. Raises KeyError for a key that was not added."""
        return self._row_of_key[key]

    def take(self, rows: Sequence[int]) -> torch.Tensor:
        """Return the embeddings of n rows, float32 of shape (n, d)."""
        return torch.from_numpy(np.stack([self._rows[row] for row in rows]))

    def _encode(self, waiting: list[tuple[bytes, Image.Image]]) -> None:
        if waiting:
            images = [image for _, image in waiting]
            self._rows.extend(np.asarray(self._loaded().encode_images(images), dtype=np.float32))
            waiting.clear()

    def _loaded(self) -> Encoder:
        if isinstance(self._encoder, str | Path):
            from revision.encoders import load_encoder

            self._encoder = load_encoder(self._encoder)
        return self._encoder
