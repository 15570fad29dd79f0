"""Contrastive training under observation (figure 1) and the study of what makes the gap stay."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from revision.config.base import Count, Fraction, Natural, NonNegative, Positive, Settings, parse
from revision.config.encoders import EncoderSettings
from revision.config.world import WorldSettings


class MonitorSettings(Settings):
    """Observe every `every` steps on `probe` held-out pairs and `gradient_batches` batches of training data.

    The frame is frozen at the first observation at or after step `freeze_at` (t0), where U holds the share `energy` of
    S; the late window begins at step `late_from`.
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
                " raise it"
            )
        return self


class ClipSettings(Settings):
    """Shape and training; the defaults are those of section 3 with TinyCLIP's 40M and 19M parameters.

    `vocabulary` is that of a byte-level BPE trained on the texts of the training pairs.
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
    """Training of `encoder` on the webdataset shards that match the pattern `files`."""

    kind: Literal["shards"]
    files: str
    encoder: ClipSettings

    @property
    def steps(self) -> int:
        """Steps of the training."""
        return self.encoder.steps


Training = Annotated[EncoderSettings | ShardTraining, Field(discriminator="kind")]


class Point(Settings):
    """One setting of a cause, called `at`: what it changes of the base encoder and of the world."""

    at: str | int | float
    encoder: dict[str, Any] = Field(default_factory=dict)
    world: dict[str, Any] = Field(default_factory=dict)


class Study(Settings):
    """One cause at several points; a point without changes is the base."""

    cause: str
    points: Annotated[list[Point], Field(min_length=1)]


class CausesSettings(Settings):
    """Encoder settings of the base, number of held-out pairs, and the studies."""

    base: dict[str, Any]
    studies: Annotated[list[Study], Field(min_length=1)]
    probe: Count = 2000

    @model_validator(mode="after")
    def _points_fit(self) -> Self:
        for study in self.studies:
            for point in study.points:
                where = f"studies.{study.cause}.{point.at}"
                parse(EncoderSettings, self.base | point.encoder, f"{where}.encoder")
                parse(WorldSettings, point.world, f"{where}.world")
        return self


class DynamicsSettings(Settings):
    """What is trained under observation, how it is observed, and the causes of the gap that are studied."""

    training: Training
    monitor: MonitorSettings = MonitorSettings()
    causes: CausesSettings


class DynamicsSections(Settings):
    """What `revision dynamics` reads."""

    training: Training = EncoderSettings()
    monitor: MonitorSettings = MonitorSettings()
    world: WorldSettings = WorldSettings()


class CausesSections(Settings):
    """What `revision gap-causes` reads."""

    causes: CausesSettings
    world: WorldSettings = WorldSettings()
