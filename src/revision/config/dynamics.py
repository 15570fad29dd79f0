"""Contrastive training under observation (Section 3, Figure 1) and the study of causes of the modality gap."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from revision.config.base import ByKind, Count, Fraction, Natural, NonNegative, Positive, Settings, parse
from revision.config.encoders import EncoderSettings, HeadSettings
from revision.config.world import WorldSettings


class MonitorSettings(Settings):
    """When and on what a training is observed.

    Attributes
    ----------
    every : int
        Steps between observations.
    probe : int
        Held-out pairs of an observation.
    gradient_batches : int
        Batches of training data whose gradients an observation averages.
    freeze_at : int
        Step t0; the frame is frozen at the first observation at or after it.
    late_from : int
        First step of the late window.
    energy : float
        Fraction of the energy of S that the subspace U contains, in (0, 1).
    """

    every: Count = 40
    probe: Count = 2000
    gradient_batches: Count = 2
    freeze_at: Natural = 120
    late_from: Count = 400
    energy: Annotated[float, Field(gt=0, lt=1)] = 0.9

    @model_validator(mode="after")
    def _late_enough(self) -> Self:
        if self.freeze_at + self.every >= self.late_from:
            raise ValueError(
                f"late_from: {self.late_from} is no later than the observation after freeze_at ({self.freeze_at});"
                " increase it"
            )
        return self


class ClipSettings(Settings):
    """Architecture and training of a CLIP model on webdataset shards.

    The defaults are those of Section 3, with TinyCLIP's 40M (image) and 19M (text) parameters.

    Attributes
    ----------
    steps, batch : int
        Training steps and global batch size.
    dim : int
        Dimension of the embeddings.
    image_size, patch : int
        Side of images and of patches in pixels; `patch` divides `image_size`.
    vision_width, vision_layers, text_width, text_layers, heads : int
        Shape of the two transformers.
    context : int
        Longest text in tokens.
    vocabulary : int
        Size of a byte-level BPE vocabulary, trained on the texts of the training pairs.
    peak_lr, weight_decay, warmup_share : float
        AdamW's peak learning rate and weight decay; fraction of the steps that warm up.
    temperature : float
        Temperature of InfoNCE, or its initial value if `learn_temperature`.
    learn_temperature : bool
        Whether the temperature is trained.
    """

    steps: Count
    dim: Count = 512
    image_size: Count = 224
    patch: Count = 32
    vision_width: Count = 512
    vision_layers: Count = 12
    text_width: Count = 512
    text_layers: Count = 6
    heads: Count = 8
    context: Count = 77
    vocabulary: Count = 49408
    batch: Count = 4096
    peak_lr: Positive = 1e-4
    weight_decay: NonNegative = 1e-4
    warmup_share: Fraction = 0.1
    temperature: Positive = 0.07
    learn_temperature: bool = True

    @model_validator(mode="after")
    def _whole_patches(self) -> Self:
        if self.image_size % self.patch:
            raise ValueError(f"patch: {self.patch} does not divide image_size, {self.image_size}")
        return self


class ShardTraining(Settings):
    """Training of the CLIP model `encoder` on the webdataset shards that match the pattern `files`."""

    kind: Literal["shards"]
    files: str
    encoder: ClipSettings

    @property
    def steps(self) -> int:
        """Number of training steps."""
        return self.encoder.steps


Training = Annotated[EncoderSettings | ShardTraining, ByKind()]


class Point(Settings):
    """One value of a cause, named `at`, and its changes to the base encoder and to the world."""

    at: str | int | float
    encoder: dict[str, Any] = Field(default_factory=dict)
    world: dict[str, Any] = Field(default_factory=dict)


class Study(Settings):
    """One cause of the gap at several points; a point without changes is the base."""

    cause: str
    points: Annotated[list[Point], Field(min_length=1)]


class CausesSettings(Settings):
    """Studies of the causes of the gap.

    Attributes
    ----------
    base : dict
        Encoder settings that every point starts from; with `kind: pretrained_heads`, of trained heads.
    studies : list of Study
        Causes, one varied at a time.
    probe : int
        Held-out pairs on which the gap is measured.
    """

    base: dict[str, Any]
    studies: Annotated[list[Study], Field(min_length=1)]
    probe: Count = 2000

    @model_validator(mode="after")
    def _points_fit(self) -> Self:
        for study in self.studies:
            for point in study.points:
                where = f"studies.{study.cause}.{point.at}"
                self.encoder(point, where)
                parse(WorldSettings, point.world, f"{where}.world")
        return self

    def encoder(self, point: Point, where: str) -> EncoderSettings | HeadSettings:
        """Return the complete encoder settings of a point; errors begin with `where`."""
        values = self.base | point.encoder
        if values.get("kind") == "pretrained_heads":
            return parse(HeadSettings, values, f"{where}.encoder")
        return parse(EncoderSettings, values, f"{where}.encoder")


class DynamicsSettings(Settings):
    """The observed training, how it is observed, and the studies of causes of the gap."""

    training: Training
    monitor: MonitorSettings = MonitorSettings()
    causes: CausesSettings


class DynamicsSections(Settings):
    """Settings of `revision dynamics`."""

    training: Training = EncoderSettings()
    monitor: MonitorSettings = MonitorSettings()
    world: WorldSettings = WorldSettings()


class CausesSections(Settings):
    """Settings of `revision gap-causes`."""

    causes: CausesSettings
    world: WorldSettings = WorldSettings()
