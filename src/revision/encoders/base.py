"""The interface of every encoder: image and text embeddings of unit length in one space."""

from typing import Protocol, runtime_checkable

import numpy as np
from PIL import Image


@runtime_checkable
class Encoder(Protocol):
    """A dual encoder.

    Attributes
    ----------
    name : str
        Name of the encoder.
    revision : str
        Commit or checksum that identifies the weights; stored with every embedding set.
    """

    name: str
    revision: str

    @property
    def dim(self) -> int:
        """Dimension d of the shared space."""
        ...

    def encode_images(self, images: list[Image.Image]) -> np.ndarray:
        """Embed images.

        Parameters
        ----------
        images : list of PIL.Image.Image
            n images of any size.

        Returns
        -------
        ndarray of shape (n, d), float32
            Rows of unit length.
        """
        ...

    def encode_texts(self, texts: list[str]) -> np.ndarray:
        """Embed texts.

        Parameters
        ----------
        texts : list of str
            n texts.

        Returns
        -------
        ndarray of shape (n, d), float32
            Rows of unit length.
        """
        ...
