"""Items through a model in batches: threads prepare the next batches while the model works on this one."""

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
    """Where the weights are and how they run.

    `model` is the model's id on the hub or a local folder; `revision` its commit (without one: the newest) or, for a
    local folder, the checksum of its files. `device` is auto or a torch device, `dtype` a key of DTYPES. `workers` is
    the number of threads that prepare images.
    """

    model: str
    revision: str | None = None
    batch_size: Count = 64
    device: str = "auto"
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    workers: Count = 1

    def place(self) -> torch.device:
        """The device; ConfigError if torch does not know it."""
        if self.device == "auto":
            return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
        try:
            return torch.device(self.device)
        except RuntimeError as error:
            raise ConfigError(f"encoder setting device: {self.device!r}: give auto, cpu, cuda or cuda:1") from error


class BatchEncoder(ABC):
    """Base of the encoders with a pretrained model: an adapter says how a batch is prepared and how it is embedded.

    The methods `prepare_*` run in a thread and leave their result on the CPU; `*_features` get it on the device and
    return [n, d], of any length.
    """

    def __init__(self, name: str, revision: str, settings: ModelSettings) -> None:
        self.name, self.revision, self.settings = name, revision, settings
        self.device, self.dtype = settings.place(), DTYPES[settings.dtype]

    @abstractmethod
    def prepare_images(self, images: list[Image.Image]) -> Mapping[str, Tensor]:
        """A batch of images (RGB) as the model's inputs."""

    @abstractmethod
    def prepare_texts(self, texts: list[str]) -> Mapping[str, Tensor]:
        """A batch of texts as the model's inputs."""

    @abstractmethod
    def image_features(self, inputs: dict[str, Tensor]) -> Tensor:
        """Features [n, d] of prepared images."""

    @abstractmethod
    def text_features(self, inputs: dict[str, Tensor]) -> Tensor:
        """Features [n, d] of prepared texts."""

    @cached_property
    def dim(self) -> int:
        """Dimension d of the shared space."""
        return self._encode(["a"], self.prepare_texts, self.text_features).shape[1]

    def encode_images(self, images: list[Image.Image]) -> np.ndarray:
        """Embed images: float32 [n, d], unit rows."""
        workers = self.settings.workers
        return self._encode(images, lambda batch: self.prepare_images(as_rgb(batch)), self.image_features, workers)

    def encode_texts(self, texts: list[str]) -> np.ndarray:
        """Embed texts: float32 [n, d], unit rows."""
        return self._encode(texts, self.prepare_texts, self.text_features)

    def to_device(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Tensors on the device, those of floating-point numbers in the model's dtype."""
        return {
            name: value.to(self.device, self.dtype if value.is_floating_point() else value.dtype)
            if isinstance(value, Tensor)
            else value
            for name, value in inputs.items()
        }

    @torch.inference_mode()
    def _encode(
        self,
        items: Sequence[Any],
        prepare: Callable[[list], Mapping],
        features: Callable[[dict], Tensor],
        workers: int = 1,  # tokenizers are for one thread at a time
    ) -> np.ndarray:
        size, rows = self.settings.batch_size, []
        batches = (list(items[start : start + size]) for start in range(0, len(items), size))
        for inputs in ordered_map(prepare, batches, workers, ahead=True):
            rows.append(functional.normalize(features(self.to_device(inputs)).float(), dim=-1).cpu())
        if not rows:
            return np.empty((0, self.dim), np.float32)
        found = torch.cat(rows).numpy()
        usable = np.isfinite(found).all(1) & found.any(1)
        if not usable.all():
            row = int(np.argmin(usable))
            raise DataError(f"encoder {self.name}, item {row}: no direction (zero or not finite); try dtype: float32")
        return found


def as_rgb(images: list[Image.Image]) -> list[Image.Image]:
    """Images in the colour mode that every processor takes."""
    return [image.convert("RGB") for image in images]
