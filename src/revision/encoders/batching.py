"""Batched embedding: threads prepare the next batches while the model processes the current one."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from revision.config.base import Count, Settings
from revision.errors import ConfigError, DataError
from revision.io.prefetch import ordered_map

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


class ModelSettings(Settings):
    """Location of the weights and how the model is run.

    Attributes
    ----------
    model : str
        The model's id on the Hugging Face hub, or a local folder.
    revision : str, optional
        Commit of the model or, for a local folder, the checksum of its files. Default: the newest commit.
    batch_size : int
        Number of images or texts per forward pass.
    device : str
        "auto" (an accelerator if there is one) or a torch device such as "cuda:1".
    dtype : {"float32", "bfloat16", "float16"}
        Number format of weights and activations.
    workers : int
        Number of threads that prepare images.
    """

    model: str
    revision: str | None = None
    batch_size: Count = 64
    device: str = "auto"
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    workers: Count = 1

    def torch_device(self) -> torch.device:
        """Return the device. Raises ConfigError if torch does not know it."""
        if self.device == "auto":
            return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
        try:
            return torch.device(self.device)
        except RuntimeError as error:
            raise ConfigError(
                f"encoder setting device: {self.device!r} is no torch device; use auto, cpu, cuda or cuda:1"
            ) from error


class BatchEncoder(ABC):
    """Base class of encoders with a pretrained model.

    A subclass implements how a batch is prepared (`prepare_images`, `prepare_texts`) and how it is embedded
    (`image_features`, `text_features`). Preparation runs in a thread and leaves its result on the CPU; the feature
    methods receive it on the device. Features need not be normalised.

    Parameters
    ----------
    name : str
        Name of the encoder.
    revision : str
        Commit or checksum of the weights.
    settings : ModelSettings
        Batch size, device and number format.
    """

    def __init__(self, name: str, revision: str, settings: ModelSettings) -> None:
        self.name, self.revision, self.settings = name, revision, settings
        self.device, self.dtype = settings.torch_device(), DTYPES[settings.dtype]
        # By default, convolutions of float32 on a GPU round to 10 bits, unlike matrix products.
        torch.backends.cudnn.allow_tf32 = False

    @abstractmethod
    def prepare_images(self, images: list[Image.Image]) -> Mapping[str, Tensor]:
        """Convert a batch of RGB images to model inputs."""

    @abstractmethod
    def prepare_texts(self, texts: list[str]) -> Mapping[str, Tensor]:
        """Convert a batch of texts to model inputs."""

    @abstractmethod
    def image_features(self, inputs: dict[str, Tensor]) -> Tensor:
        """Compute features of shape (n, d) from prepared images."""

    @abstractmethod
    def text_features(self, inputs: dict[str, Tensor]) -> Tensor:
        """Compute features of shape (n, d) from prepared texts."""

    @cached_property
    def dim(self) -> int:
        """Dimension d of the shared space."""
        return self._encode(["a"], self.prepare_texts, self.text_features).shape[1]

    def encode_images(self, images: list[Image.Image]) -> np.ndarray:
        """Embed images.

        Parameters
        ----------
        images : list of PIL.Image.Image
            n images; other colour modes are converted to RGB.

        Returns
        -------
        ndarray of shape (n, d), float32
            Rows of unit length.

        Raises
        ------
        DataError
            If an embedding is zero or not finite.
        """
        workers = self.settings.workers
        return self._encode(images, lambda batch: self.prepare_images(as_rgb(batch)), self.image_features, workers)

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

        Raises
        ------
        DataError
            If an embedding is zero or not finite.
        """
        return self._encode(texts, self.prepare_texts, self.text_features)

    def to_device(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Move tensors to the device; floating-point tensors are converted to the model's dtype."""
        moved = dict(inputs)
        for name, value in inputs.items():
            if isinstance(value, Tensor):
                moved[name] = value.to(self.device, self.dtype if value.is_floating_point() else value.dtype)
        return moved

    @torch.inference_mode()
    def _encode(
        self,
        items: Sequence[Any],
        prepare: Callable[[list], Mapping],
        features: Callable[[dict], Tensor],
        workers: int = 1,  # tokenizers are not thread-safe
    ) -> np.ndarray:
        size, batch_rows = self.settings.batch_size, []
        batches = (list(items[start : start + size]) for start in range(0, len(items), size))
        for inputs in ordered_map(prepare, batches, workers, ahead=True):
            batch_rows.append(functional.normalize(features(self.to_device(inputs)).float(), dim=-1).cpu())
        if not batch_rows:
            return np.empty((0, self.dim), np.float32)
        rows = torch.cat(batch_rows).numpy()
        usable = np.isfinite(rows).all(1) & rows.any(1)
        if not usable.all():
            row = int(np.argmin(usable))
            raise DataError(f"encoder {self.name}, item {row}: the embedding is zero or not finite; try dtype: float32")
        return rows


def as_rgb(images: list[Image.Image]) -> list[Image.Image]:
    """Convert images to RGB, which every image processor accepts."""
    return [image.convert("RGB") for image in images]
