"""LLM2CLIP (arXiv:2411.04997), the paper's encoder: a CLIP vision tower and a language model as text tower.

The encoder consists of two checkpoints. The vision checkpoint contains both projections and custom code, which runs
only if the YAML file sets `trust_remote_code: true` and pins the revision. The text checkpoint is a Llama with
bidirectional attention, which transformers supports, so its custom code is not run. A text embedding is the mean over
the tokens of text and `suffix`, without those of `prefix`.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Self

import torch
import transformers
from PIL import Image
from pydantic import Field, model_validator
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from revision.config.base import Count
from revision.encoders.batching import BatchEncoder, ModelSettings
from revision.encoders.huggingface import load_model, pooled
from revision.errors import ConfigError, DataError
from revision.io.hub import is_pinned, refuse_foreign_code, snapshot

LOADER = "LLM2CLIP"


class LLM2CLIPSettings(ModelSettings):
    """Settings of LLM2CLIP; `model` and `revision` refer to the vision checkpoint.

    Attributes
    ----------
    text_model : str
        The text checkpoint's id on the Hugging Face hub, or a local folder.
    text_revision : str, optional
        Commit of the text checkpoint. Default: the newest.
    image_size : int
        Side of the input images in pixels.
    text_length : int
        Longest text in tokens, prefix and suffix included.
    prefix, suffix : str
        Text to add before and after each text; the mean over tokens excludes the prefix.
    trust_remote_code : bool
        Whether the custom code of the vision checkpoint may run; needs a pinned `revision`.
    """

    text_model: Annotated[str, Field(min_length=1)]
    text_revision: str | None = None
    image_size: Count = 336
    text_length: Count = 512
    prefix: str = ""
    suffix: str = ""
    trust_remote_code: bool = False

    @model_validator(mode="after")
    def _code_is_pinned(self) -> Self:
        if self.trust_remote_code and not is_pinned(self.revision):
            raise ValueError(
                f"trust_remote_code: revision {self.revision!r} does not pin the code; give a commit of 40 hexadecimal "
                "digits (for a local folder, its checksum)"
            )
        return self


class LLM2CLIPEncoder(BatchEncoder):
    """Both checkpoints of LLM2CLIP as one encoder. Implements `Encoder`.

    Parameters
    ----------
    name : str
        Name of the encoder.
    settings : LLM2CLIPSettings
        Location of the two checkpoints and how they are run.

    Raises
    ------
    ConfigError
        If the custom code of the vision checkpoint is not trusted.
    DataError
        If a checkpoint cannot be loaded.
    """

    Settings = LLM2CLIPSettings

    def __init__(self, name: str, settings: LLM2CLIPSettings) -> None:
        if not settings.trust_remote_code:
            raise ConfigError(
                f"encoder {name}: its vision tower needs custom code; review it, then set trust_remote_code: true"
            )
        vision = snapshot(f"{LOADER} vision", name, settings.model, settings.revision, code=True)
        text = snapshot(f"{LOADER} text", name, settings.text_model, settings.text_revision)
        super().__init__(name, f"{vision.revision}+{text.revision}", settings)
        refuse_foreign_code(vision.folder, name)
        try:
            self.clip = load_model(transformers.AutoModel, vision.folder, name, self.dtype, trust_remote_code=True)
            config = transformers.AutoConfig.from_pretrained(text.folder, trust_remote_code=False)
            config.is_causal = False
            self.llm = load_model(transformers.AutoModel, text.folder, name, self.dtype, config=config)
            self.tokenizer = transformers.AutoTokenizer.from_pretrained(text.folder, trust_remote_code=False)
        except (OSError, ValueError, KeyError, RuntimeError, ImportError, AttributeError, TypeError) as error:
            if isinstance(error, DataError):
                raise
            raise DataError(
                f"encoder {name} ({LOADER}): cannot be loaded with transformers {transformers.__version__}: {error}"
            ) from error
        side = settings.image_size
        self.processor = transformers.CLIPImageProcessor(
            size={"shortest_edge": side}, crop_size={"height": side, "width": side}
        )
        for model in (self.clip, self.llm):
            model.to(self.device).eval()
        begin = self.tokenizer.bos_token_id
        self.head = ([] if begin is None else [begin]) + self._token_ids([settings.prefix])[0]

    def _token_ids(self, texts: list[str]) -> list[list[int]]:
        return self.tokenizer(texts, add_special_tokens=False)["input_ids"]

    def prepare_images(self, images: list[Image.Image]) -> Mapping[str, Any]:
        return self.processor(images=images, return_tensors="pt")

    def prepare_texts(self, texts: list[str]) -> Mapping[str, Any]:
        settings: Any = self.settings
        bodies = self._token_ids([text.strip() + settings.suffix for text in texts])
        rows = [(self.head + body)[: settings.text_length] for body in bodies]
        tokens = pad_sequence([torch.tensor(row) for row in rows], batch_first=True)
        position = torch.arange(tokens.shape[1])
        mask = (position < torch.tensor([len(row) for row in rows])[:, None]).long()
        return {"input_ids": tokens, "attention_mask": mask, "body": mask * (position >= len(self.head))}

    def image_features(self, inputs: dict[str, Tensor]) -> Tensor:
        return pooled(self.clip.get_image_features(inputs["pixel_values"]))

    def text_features(self, inputs: dict[str, Tensor]) -> Tensor:
        body = inputs.pop("body")[:, :, None].float()
        hidden = self.llm(**inputs).last_hidden_state.float()
        return pooled(self.clip.get_text_features(((hidden * body).sum(1) / body.sum(1)).to(self.dtype)))
