"""Ready-made embeddings as an encoder's YAML: two sets on disk that someone else's encoder wrote."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, NoReturn

import numpy as np

from revision.errors import DataError
from revision.files import sha256
from revision.store import EmbeddingSet, open_embeddings
from revision.store.sets import MANIFEST


@dataclass(frozen=True)
class ArraysSettings:
    """Each a folder of embedding shards or a .npy file [n, d] of floats; paths as seen from the working directory."""

    image: str
    text: str


class ReadyMade:
    """Embeddings of pictures and texts that exist already. It can be compared; it cannot embed anything new."""

    Settings: ClassVar[type] = ArraysSettings

    def __init__(self, name: str, settings: ArraysSettings) -> None:
        self.name, self.settings = name, settings
        self.image, self.text = read(name, settings.image), read(name, settings.text)
        digests = [
            sha256(path / MANIFEST if path.is_dir() else path) for path in map(Path, (settings.image, settings.text))
        ]
        self.revision = "+".join(digest[:12] for digest in digests)
        dims = [rows.dim if isinstance(rows, EmbeddingSet) else rows.shape[1] for rows in (self.image, self.text)]
        if dims[0] != dims[1]:
            raise DataError(f"encoder {name}: {settings.image} has dimension {dims[0]}, {settings.text} has {dims[1]}")
        self.dim = dims[0]

    def encode_images(self, images: list) -> NoReturn:
        """Refused with a DataError."""
        self._refuse()

    def encode_texts(self, texts: list[str]) -> NoReturn:
        """Refused with a DataError."""
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise DataError(
            f"encoder {self.name} is ready-made arrays and embeds nothing new; `revision gap` and "
            "`snakemake compare_encoders` take it as it is"
        )


def read(name: str, path: str | Path) -> EmbeddingSet | np.ndarray:
    """An embedding set, or a .npy file as a mapped array [n, d]; DataError says what else was found."""
    path = Path(path)
    if path.is_dir():
        return open_embeddings(path)
    if path.suffix != ".npy" or not path.is_file():
        raise DataError(f"encoder {name}: {path}: no embedding folder and no .npy file; see `revision import`")
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise DataError(f"encoder {name}: {path}: not a plain .npy array ({error}); see `revision import`") from error
    if array.ndim != 2 or array.dtype.kind != "f":
        raise DataError(f"encoder {name}: {path}: expected floats [n, d], found {array.dtype} {array.shape}")
    return array
