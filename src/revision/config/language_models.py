"""The language model: trained here, from an installed package, or from the Hugging Face hub."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from revision.config.base import ByKind, Count, Settings
from revision.config.training import LoopSettings
from revision.config.world import WorldSettings


class LanguageModelSettings(Settings):
    """Size of an LLM that is trained from scratch; `heads` divides `hidden_size`."""

    hidden_size: Count
    layers: Count
    heads: Count
    max_positions: Count = 256

    @model_validator(mode="after")
    def _divisible(self) -> Self:
        if self.hidden_size % self.heads:
            raise ValueError(f"heads: {self.heads} does not divide hidden_size, {self.hidden_size}")
        return self


class TrainedModel(Settings):
    """An LLM trained from scratch on text about generated scenes, of which `validation_rows` rows are held out."""

    kind: Literal["trained"]
    size: LanguageModelSettings
    training: LoopSettings
    validation_rows: Count = 500


class PackagedModel(Settings):
    """An LLM that an installed package contains as GGUF; only the cost estimate reads its number of `parameters`."""

    kind: Literal["package"]
    package: str
    parameters: Count | None = None


class HubModel(Settings):
    """An LLM of the Hugging Face hub or of a local folder.

    Attributes
    ----------
    model : str
        Id on the hub, or a folder.
    revision : str, optional
        Commit on the hub.
    parameters : int, optional
        Number of parameters; only the cost estimate reads it.
    """

    kind: Literal["hub"]
    model: str
    revision: Annotated[str, Field(pattern="^[0-9a-f]{40}$")] | None = None
    parameters: Count | None = None


LanguageModel = Annotated[TrainedModel | PackagedModel | HubModel, ByKind()]


class LanguageModelSections(Settings):
    """Settings of `revision language-model`."""

    llm: LanguageModel
    world: WorldSettings = WorldSettings()
