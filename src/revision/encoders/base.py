"""What every encoder offers: two maps into one space of unit rows."""

from typing import Protocol, runtime_checkable

import numpy as np
from PIL import Image


@runtime_checkable
class Encoder(Protocol):
    """A dual encoder. `revision` pins the weights, so that embeddings can say what made them."""

    name: str
    revision: str

    @property
    def dim(self) -> int:
        """Dimension d of the shared space."""
        ...

    def encode_images(self, images: list[Image.Image]) -> np.ndarray:
        """Embed images: float32 [n, d], unit rows."""
        ...

    def encode_texts(self, texts: list[str]) -> np.ndarray:
        """Embed texts: float32 [n, d], unit rows."""
        ...
