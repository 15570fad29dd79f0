"""The language model: trained here, out of an installed package, or of the Hugging Face hub."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from revision.config.base import Count, Settings
from revision.config.training import LoopSettings
from revision.config.world import WorldSettings


class LanguageModelSettings(Settings):
    """Size of an LLM that is trained here; the number of heads divides `hidden_size`."""

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
    """An LLM trained from scratch on text of the built-in world; `validation_rows` of it are held out."""

    kind: Literal["trained"]
    size: LanguageModelSettings
    training: LoopSettings
    validation_rows: Count = 500


class PackagedModel(Settings):
    """An LLM that an installed package carries as GGUF; `parameters` are for the cost estimate."""

    kind: Literal["package"]
    package: str
    parameters: Count | None = None


class HubModel(Settings):
    """An LLM of the hub, or of a folder; `parameters` are for the cost estimate, where the name does not tell them."""

    kind: Literal["hub"]
    model: str
    revision: Annotated[str, Field(pattern="^[0-9a-f]{40}$")] | None = None
    parameters: Count | None = None


LanguageModel = Annotated[TrainedModel | PackagedModel | HubModel, Field(discriminator="kind")]


class LanguageModelSections(Settings):
    """What `revision language-model` reads."""

    llm: LanguageModel
    world: WorldSettings = WorldSettings()
