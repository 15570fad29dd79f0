"""Multimodal models of the sentence-transformers library, loaded from a repository or folder with modules.json."""

from collections.abc import Mapping
from typing import Any

from PIL import Image
from torch import Tensor

from revision.encoders.batching import BatchEncoder, ModelSettings
from revision.errors import DataError
from revision.io.hub import library, snapshot

LOADER = "sentence-transformers"


class SentenceEncoder(BatchEncoder):
    """A model of sentence-transformers that embeds images and texts. Implements `Encoder`.

    Parameters
    ----------
    name : str
        Name of the encoder.
    settings : ModelSettings
        Location of the weights and how the model is run.

    Raises
    ------
    ConfigError
        If sentence-transformers is not installed.
    DataError
        If the weights cannot be loaded or the model does not support both images and texts.
    """

    Settings = ModelSettings

    def __init__(self, name: str, settings: ModelSettings) -> None:
        sentence_transformers = library("sentence_transformers", "sentence-transformers", name)
        weights = snapshot(LOADER, name, settings.model, settings.revision)
        super().__init__(name, weights.revision, settings)
        if not (weights.folder / "modules.json").is_file():
            raise DataError(f"encoder {name} ({LOADER}): {weights.folder} has no modules.json; use family huggingface")
        try:
            self.model = sentence_transformers.SentenceTransformer(
                str(weights.folder), device=str(self.device), model_kwargs={"dtype": self.dtype}, local_files_only=True
            )
        except (OSError, ValueError, KeyError, RuntimeError, ImportError, AttributeError) as error:
            raise DataError(f"encoder {name} ({LOADER}): {weights.folder} cannot be loaded: {error}") from error
        for kind in ("image", "text"):
            if not self.model.supports(kind):
                raise DataError(
                    f"encoder {name} ({LOADER}): {settings.model} does not support {kind} input, so it is not a "
                    "dual encoder; use another model"
                )
        self.model.eval()

    def prepare_images(self, images: list[Image.Image]) -> Mapping[str, Any]:
        return self.model.preprocess(images)

    def prepare_texts(self, texts: list[str]) -> Mapping[str, Any]:
        return self.model.preprocess(texts, prompt=self.model.prompts.get(self.model.default_prompt_name or ""))

    def image_features(self, inputs: dict[str, Tensor]) -> Tensor:
        return self.model(inputs)["sentence_embedding"]

    def text_features(self, inputs: dict[str, Tensor]) -> Tensor:
        return self.model(inputs)["sentence_embedding"]
