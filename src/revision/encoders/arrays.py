"""Precomputed embeddings described by an encoder's YAML file: two sets on disk that another program wrote."""

from pathlib import Path
from typing import ClassVar, NoReturn

import numpy as np

from revision.config import Settings
from revision.embeddings import EmbeddingSet, open_rows
from revision.embeddings.reader import MANIFEST
from revision.errors import DataError
from revision.io.files import digest


class ArraysSettings(Settings):
    """Paths of the two embedding sets, in a YAML file relative to that file.

    Attributes
    ----------
    image, text : str
        A folder of embedding shards, or a .npy file with a float array of shape (n, d).
    """

    image: str
    text: str


class PrecomputedEncoder:
    """An encoder whose embeddings exist already: they can be compared, but nothing new can be embedded.

    Parameters
    ----------
    name : str
        Name of the encoder, used in error messages and results.
    settings : ArraysSettings
        Paths of the two embedding sets.

    Raises
    ------
    DataError
        If a set cannot be read or the dimensions of the two sets differ.
    """

    Settings: ClassVar[type] = ArraysSettings

    def __init__(self, name: str, settings: ArraysSettings) -> None:
        self.name, self.settings = name, settings
        self.image, self.text = open_rows(settings.image), open_rows(settings.text)
        self.revision = f"{_checksum(settings.image)}+{_checksum(settings.text)}"
        self.dim, text_dim = _dimension(self.image), _dimension(self.text)
        if self.dim != text_dim:
            raise DataError(
                f"encoder {name}: {settings.image} has dimension {self.dim}, but {settings.text} has {text_dim}; "
                "use two sets of the same encoder, or compare them with `revision gap`"
            )

    def encode_images(self, images: list) -> NoReturn:
        """Raise DataError: there is no model to embed images."""
        self._refuse()

    def encode_texts(self, texts: list[str]) -> NoReturn:
        """Raise DataError: there is no model to embed texts."""
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise DataError(
            f"encoder {self.name} consists of precomputed embeddings and cannot embed new data; use it with "
            "`revision gap` or `revision reproduce compare_encoders`, which need no model"
        )


def _checksum(path: str) -> str:
    source = Path(path)
    return digest(source / MANIFEST if source.is_dir() else source)[:12]


def _dimension(rows: EmbeddingSet | np.ndarray) -> int:
    return rows.dim if isinstance(rows, EmbeddingSet) else rows.shape[1]
