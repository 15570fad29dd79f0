"""Models of the open_clip library, loaded from a repository or folder with open_clip_config.json."""

from collections.abc import Mapping
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from revision.encoders.batching import BatchEncoder, ModelSettings
from revision.errors import DataError
from revision.io.hub import library, snapshot

LOADER = "open_clip"
PRECISIONS = {"float32": "fp32", "bfloat16": "bf16", "float16": "fp16"}


class OpenClipEncoder(BatchEncoder):
    """A dual encoder of open_clip. Implements `Encoder`.

    Parameters
    ----------
    name : str
        Name of the encoder.
    settings : ModelSettings
        Location of the weights and how the model is run.

    Raises
    ------
    ConfigError
        If open_clip is not installed.
    DataError
        If the weights cannot be loaded.
    """

    Settings = ModelSettings

    def __init__(self, name: str, settings: ModelSettings) -> None:
        open_clip = library("open_clip", "open_clip_torch", name)
        weights = snapshot(LOADER, name, settings.model, settings.revision)
        super().__init__(name, weights.revision, settings)
        source = f"local-dir:{weights.folder}"
        try:
            self.model, self.transform = open_clip.create_model_from_pretrained(
                source, precision=PRECISIONS[settings.dtype], device=self.device
            )
            self.tokenizer = open_clip.get_tokenizer(source)
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise DataError(f"encoder {name} ({LOADER}): {weights.folder} cannot be loaded: {error}") from error
        self.model.eval()

    def prepare_images(self, images: list[Image.Image]) -> Mapping[str, Any]:
        return {"image": torch.stack([self.transform(image) for image in images])}

    def prepare_texts(self, texts: list[str]) -> Mapping[str, Any]:
        return {"text": self.tokenizer(texts)}

    def image_features(self, inputs: dict[str, Tensor]) -> Tensor:
        return self.model.encode_image(inputs["image"])

    def text_features(self, inputs: dict[str, Tensor]) -> Tensor:
        return self.model.encode_text(inputs["text"])
