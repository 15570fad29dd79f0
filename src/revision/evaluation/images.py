"""Pictures of the evaluation: strict decoding, and one embedding a picture however many checkpoints ask for it."""

import hashlib
import io
import warnings
from collections.abc import Hashable, Iterable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from PIL import Image, ImageFile

from revision.errors import DataError


class ImageEncoder(Protocol):
    """The part of the encoder that evaluation needs: embeddings of n pictures as float32 [n, d] with unit rows."""

    def encode_images(self, images: list[Image.Image]) -> np.ndarray: ...


def decode_image(content: bytes | None, where: str) -> Image.Image:
    """Decode the bytes of one picture to RGB.

    Raises DataError naming `where` for bytes that are missing, broken, cut short, or larger than Pillow's pixel limit.
    """
    if not content:
        raise DataError(f"{where}: there is no picture; write the tasks again")
    # lmms-eval makes Pillow accept pictures that are cut short; a score must not rest on one.
    lenient, ImageFile.LOAD_TRUNCATED_IMAGES = ImageFile.LOAD_TRUNCATED_IMAGES, False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            Image.open(io.BytesIO(content)).verify()
            return Image.open(io.BytesIO(content)).convert("RGB")
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        limit = Image.MAX_IMAGE_PIXELS
        raise DataError(f"{where}: the picture has more than {limit} pixels, refused; scale it down") from error
    except (OSError, SyntaxError, ValueError) as error:
        raise DataError(f"{where}: not a readable picture ({error}); write the tasks again") from error
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = lenient


class ImageEmbeddings:
    """Embeddings by picture content, kept in memory and shared by all checkpoints of a run.

    `encoder` is an encoder or the folder of one, which is loaded when the first picture comes.
    """

    def __init__(self, encoder: ImageEncoder | str | Path, batch_size: int = 256) -> None:
        self._encoder = encoder
        self._batch_size = batch_size
        self._row_of_content: dict[bytes, int] = {}
        self._row_of_place: dict[Hashable, int] = {}
        self._rows: list[np.ndarray] = []

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, place: Hashable) -> bool:
        return place in self._row_of_place

    def add(self, pictures: Iterable[tuple[Hashable, Image.Image]]) -> None:
        """Embed the pictures whose content is new, and remember at which place each content stands."""
        waiting: list[tuple[bytes, Image.Image]] = []
        for place, picture in pictures:
            shape = f"{picture.mode} {picture.size}".encode()
            content = hashlib.blake2b(picture.tobytes(), key=shape, digest_size=16).digest()
            if content not in self._row_of_content:
                self._row_of_content[content] = len(self._rows) + len(waiting)
                waiting.append((content, picture))
            self._row_of_place[place] = self._row_of_content[content]
            if len(waiting) == self._batch_size:
                self._encode(waiting)
        self._encode(waiting)

    def take(self, places: Sequence[Hashable]) -> torch.Tensor:
        """Embeddings [n, d] float32 of the pictures at n places that were added before."""
        return torch.from_numpy(np.stack([self._rows[self._row_of_place[place]] for place in places]))

    def _encode(self, waiting: list[tuple[bytes, Image.Image]]) -> None:
        if waiting:
            self._rows.extend(np.asarray(self._loaded().encode_images([p for _, p in waiting]), dtype=np.float32))
            waiting.clear()

    def _loaded(self) -> ImageEncoder:
        if isinstance(self._encoder, str | Path):
            from revision.encoders import load_encoder

            self._encoder = load_encoder(self._encoder)
        return self._encoder
