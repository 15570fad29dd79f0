"""One adapter for the dual encoders of transformers: CLIP, SigLIP, SigLIP 2, ALIGN, BLIP-ITM, CLAP and similar models.

`RECIPES` holds what differs between model classes. With audio-text models (CLAP), `encode_images` takes waveforms
instead of images: float arrays of shape (samples,) at `sampling_rate`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
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
    """How the features of a model class are computed and how it expects texts.

    Attributes
    ----------
    image, text : str or (str, str)
        Name of the model's feature method, or names of a tower and of the projection of the tower's first token.
    architecture : str
        Class of transformers that loads the model.
    padding : bool or str
        True pads to the longest text of a batch; "max_length" always pads to `text_length`, for models trained
        without an attention mask.
    text_length : int, optional
        Longest text in tokens. Default: the limit of tokenizer and model.
    audio : bool
        Whether the model embeds waveforms instead of images.
    """

    image: Feature = "get_image_features"
    text: Feature = "get_text_features"
    architecture: str = "AutoModel"
    padding: bool | str = True
    text_length: int | None = None
    audio: bool = False


# By `model_type`. A class that is not listed is handled like CLIP if it has both feature methods.
RECIPES = {
    "clip": Recipe(),
    "siglip": Recipe(padding="max_length"),
    "siglip2": Recipe(padding="max_length"),
    "align": Recipe(padding="max_length", text_length=64),
    "blip": Recipe(("vision_model", "vision_proj"), ("text_encoder", "text_proj"), "BlipForImageTextRetrieval"),
    "clap": Recipe("get_audio_features", audio=True),
}


class HuggingFaceSettings(ModelSettings):
    """Settings of a dual encoder of transformers.

    Attributes
    ----------
    text_length : int, optional
        Longest text in tokens; longer texts are truncated. Default: the model's limit.
    lower_case : bool
        Whether to convert texts to lower case, for models trained on lower-case text.
    """

    text_length: int | None = None
    lower_case: bool = False


class HuggingFaceEncoder(BatchEncoder):
    """A dual encoder of transformers for images (or audio) and texts. Implements `Encoder`.

    Parameters
    ----------
    name : str
        Name of the encoder.
    settings : HuggingFaceSettings
        Location of the weights and how the model is run.

    Raises
    ------
    DataError
        If the weights cannot be loaded or the model is not a dual encoder.
    """

    Settings = HuggingFaceSettings

    def __init__(self, name: str, settings: HuggingFaceSettings) -> None:
        weights = snapshot(LOADER, name, settings.model, settings.revision)
        super().__init__(name, weights.revision, settings)
        self.text_options = {"truncation": True, "return_tensors": "pt"}
        try:
            config = transformers.AutoConfig.from_pretrained(weights.folder, trust_remote_code=False)
            self.recipe = RECIPES.get(config.model_type, Recipe())
            self.model = load_model(getattr(transformers, self.recipe.architecture), weights.folder, name, self.dtype)
            self.processor = transformers.AutoProcessor.from_pretrained(weights.folder, trust_remote_code=False)
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            if isinstance(error, DataError):
                raise
            raise DataError(f"encoder {name} ({LOADER}): {weights.folder} cannot be loaded: {error}") from error
        for feature in (self.recipe.image, self.recipe.text):
            if isinstance(feature, str) and not hasattr(self.model, feature):
                raise DataError(
                    f"encoder {name} ({LOADER}): {type(self.model).__name__} has no {feature}, so it is not a dual "
                    f"encoder; supported model types are {', '.join(RECIPES)}"
                )
        self.model.to(self.device).eval()
        limit = settings.text_length or self.recipe.text_length or self._max_length(config)
        self.text_options |= {"padding": self.recipe.padding, "max_length": limit}

    def _max_length(self, config: Any) -> int:
        return min(self.processor.tokenizer.model_max_length, config.text_config.max_position_embeddings)

    @property
    def sampling_rate(self) -> int:
        """Sampling rate in Hz that an audio-text model expects."""
        return self.processor.feature_extractor.sampling_rate

    def encode_images(self, images: list) -> np.ndarray:
        """Embed images, or waveforms with an audio-text model.

        Parameters
        ----------
        images : list of PIL.Image.Image, or list of ndarray of shape (samples,)
            n images, or n waveforms at `sampling_rate`.

        Returns
        -------
        ndarray of shape (n, d), float32
            Rows of unit length.

        Raises
        ------
        DataError
            If an audio-text model receives images, or an embedding is zero or not finite.
        """
        if not self.recipe.audio:
            return super().encode_images(images)
        if any(isinstance(item, Image.Image) for item in images):
            raise DataError(
                f"encoder {self.name} embeds audio, not images; pass waveforms, float arrays of shape (samples,) at "
                f"{self.sampling_rate} Hz, instead of images"
            )
        return self._encode(images, self._prepare_audio, self.image_features)

    def _prepare_audio(self, waveforms: list[np.ndarray]) -> Mapping[str, Any]:
        return self.processor(audio=waveforms, sampling_rate=self.sampling_rate, return_tensors="pt")

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
    """Return the features of shape (n, d) in the output of a feature method, which is a tensor or a model output."""
    return output if isinstance(output, Tensor) else output.pooler_output


def load_model(architecture: Any, folder: Path, name: str, dtype: torch.dtype, **options: Any) -> Any:
    """Load a model of transformers with all of its weights.

    Parameters
    ----------
    architecture : class of transformers
        Class with a method `from_pretrained`.
    folder : Path
        Folder of the checkpoint.
    name : str
        Name of the encoder, for error messages.
    dtype : torch.dtype
        Number format of the weights.
    **options
        Further arguments of `from_pretrained`.

    Returns
    -------
    PreTrainedModel
        The model.

    Raises
    ------
    DataError
        If the checkpoint lacks weights, which transformers would initialise at random.
    """
    level = logging.get_verbosity()
    logging.set_verbosity_error()  # missing weights are reported by the error below
    try:
        options = {"trust_remote_code": False} | options
        model, report = architecture.from_pretrained(folder, dtype=dtype, output_loading_info=True, **options)
    finally:
        logging.set_verbosity(level)
    if report["missing_keys"]:
        some = sorted(report["missing_keys"])[:3]
        raise DataError(
            f"encoder {name} ({LOADER}): {folder} lacks weights of {type(model).__name__}, {', '.join(some)} ...; "
            "use a checkpoint of this model class"
        )
    return model
