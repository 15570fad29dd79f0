"""Ready-made embeddings as an encoder's YAML: two sets on disk that someone else's encoder wrote."""

from pathlib import Path
from typing import ClassVar, NoReturn

from revision.config import Settings
from revision.embeddings import EmbeddingSet, open_rows
from revision.embeddings.reader import MANIFEST
from revision.errors import DataError
from revision.io.files import digest


class ArraysSettings(Settings):
    """Each a folder of embedding shards or a .npy file [n, d] of floats; paths as seen from the working directory."""

    image: str
    text: str


class ReadyMade:
    """Embeddings of images and texts that exist already. It can be compared; it cannot embed anything new."""

    Settings: ClassVar[type] = ArraysSettings

    def __init__(self, name: str, settings: ArraysSettings) -> None:
        self.name, self.settings = name, settings
        self.image, self.text = open_rows(settings.image), open_rows(settings.text)
        digests = [
            digest(path / MANIFEST if path.is_dir() else path) for path in map(Path, (settings.image, settings.text))
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
            "`snakemake --cores 2 compare_encoders` take it as it is"
        )
