"""Dual encoders of transformers through one adapter: CLIP, SigLIP, SigLIP 2, ALIGN, BLIP-ITM, CLAP and their like.

What differs between model classes is data, RECIPES. For audio-text models (CLAP) the sounds take the images' place:
`encode_images` then takes waveforms, float arrays [samples] at `sampling_rate`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import transformers
from PIL import Image
from torch import Tensor
from transformers.utils import logging

from revision.encoders.batching import BatchEncoder, ModelSettings
from revision.errors import DataError
from revision.io.hub import snapshot

LOADER = "transformers"
Feature = str | tuple[str, str]


@dataclass(frozen=True)
class Recipe:
    """How a model class gives features and wants texts.

    A feature is a method of the model, or a tower and the projection of the tower's first token. `padding` is True
    (to the longest of a batch) or "max_length" (always to `text_length`: models trained without an attention mask).
    """

    image: Feature = "get_image_features"
    text: Feature = "get_text_features"
    architecture: str = "AutoModel"
    padding: bool | str = True
    text_length: int | None = None  # None: what tokenizer and model allow
    hears: bool = False


# By `model_type`; any other class with both methods is taken as CLIP is.
RECIPES = {
    "clip": Recipe(),
    "siglip": Recipe(padding="max_length"),
    "siglip2": Recipe(padding="max_length"),
    "align": Recipe(padding="max_length", text_length=64),
    "blip": Recipe(("vision_model", "vision_proj"), ("text_encoder", "text_proj"), "BlipForImageTextRetrieval"),
    "clap": Recipe("get_audio_features", hears=True),
}


class HuggingFaceSettings(ModelSettings):
    """`text_length` is the longest text in tokens, None for the model's own; `lower_case` is for models trained so."""

    text_length: int | None = None
    lower_case: bool = False


class HuggingFaceEncoder(BatchEncoder):
    """A dual encoder of transformers, images (or sounds) and texts. Satisfies `Encoder`."""

    Settings = HuggingFaceSettings

    def __init__(self, name: str, settings: HuggingFaceSettings) -> None:
        found = snapshot(LOADER, name, settings.model, settings.revision)
        super().__init__(name, found.revision, settings)
        self.text_options = {"truncation": True, "return_tensors": "pt"}
        try:
            config = transformers.AutoConfig.from_pretrained(found.folder, trust_remote_code=False)
            self.recipe = RECIPES.get(config.model_type, Recipe())
            self.model = load_whole(getattr(transformers, self.recipe.architecture), found.folder, name, self.dtype)
            self.processor = transformers.AutoProcessor.from_pretrained(found.folder, trust_remote_code=False)
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            if isinstance(error, DataError):
                raise
            raise DataError(f"encoder {name} ({LOADER}): {found.folder} does not load: {error}") from error
        for feature in (self.recipe.image, self.recipe.text):
            if isinstance(feature, str) and not hasattr(self.model, feature):
                raise DataError(
                    f"encoder {name} ({LOADER}): {type(self.model).__name__} has no {feature}: it is no dual encoder; "
                    f"known classes are {', '.join(RECIPES)}"
                )
        self.model.to(self.device).eval()
        limit = settings.text_length or self.recipe.text_length or self._longest(config)
        self.text_options |= {"padding": self.recipe.padding, "max_length": limit}

    def _longest(self, config: Any) -> int:
        return min(self.processor.tokenizer.model_max_length, config.text_config.max_position_embeddings)

    @property
    def sampling_rate(self) -> int:
        """Samples a second that an audio-text model hears."""
        return self.processor.feature_extractor.sampling_rate

    def encode_images(self, images: list) -> np.ndarray:
        """Embed images, or waveforms [samples] where the model hears: float32 [n, d], unit rows."""
        if not self.recipe.hears:
            return super().encode_images(images)
        if any(isinstance(one, Image.Image) for one in images):
            raise DataError(
                f"encoder {self.name} hears and does not see: give waveforms, float arrays [samples] at "
                f"{self.sampling_rate} Hz, where others take images"
            )
        return self._encode(images, self._prepare_sounds, self.image_features)

    def _prepare_sounds(self, sounds: list[np.ndarray]) -> Mapping[str, Any]:
        return self.processor(audio=sounds, sampling_rate=self.sampling_rate, return_tensors="pt")

    def prepare_images(self, images: list[Image.Image]) -> Mapping[str, Any]:
        return self.processor(images=images, return_tensors="pt")

    def prepare_texts(self, texts: list[str]) -> Mapping[str, Any]:
        if self.settings.lower_case:  # type: ignore[attr-defined]
            texts = [text.lower() for text in texts]
        return self.processor(text=texts, **self.text_options)

    def image_features(self, inputs: dict[str, Tensor]) -> Tensor:
        return self._features(self.recipe.image, inputs)

    def text_features(self, inputs: dict[str, Tensor]) -> Tensor:
        return self._features(self.recipe.text, inputs)

    def _features(self, feature: Feature, inputs: dict[str, Tensor]) -> Tensor:
        if isinstance(feature, str):
            return pooled(getattr(self.model, feature)(**inputs))
        tower, projection = (getattr(self.model, part) for part in feature)
        return projection(tower(**inputs).last_hidden_state[:, 0])


def pooled(output: Any) -> Tensor:
    """Features [n, d] from what a model's feature method returns, a tensor or an output that holds one."""
    return output if isinstance(output, Tensor) else output.pooler_output


def load_whole(architecture: Any, folder: Any, name: str, dtype: Any, **options: Any) -> Any:
    """A model with all of its weights; DataError where some would be left as random numbers."""
    level = logging.get_verbosity()
    logging.set_verbosity_error()  # its own report of missing weights is the error below
    try:
        options = {"trust_remote_code": False} | options
        model, report = architecture.from_pretrained(folder, dtype=dtype, output_loading_info=True, **options)
    finally:
        logging.set_verbosity(level)
    if report["missing_keys"]:
        some = sorted(report["missing_keys"])[:3]
        raise DataError(
            f"encoder {name} ({LOADER}): {folder} lacks weights of {type(model).__name__}, {', '.join(some)} ...; "
            "it holds another kind of model"
        )
    return model
