"""Evaluation suites, of the built-in world or published ones, and the checkpoints that are scored."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from revision.config.base import Count, Settings
from revision.config.world import WorldSettings

Precision = Literal["no", "bf16"]


class SceneSuites(Settings):
    """The suites of the built-in world, with so many questions each."""

    kind: Literal["scenes"] = "scenes"
    questions: Count = 300


class PublishedSuites(Settings):
    """lmms-eval's own tasks, listed in the YAML `file`; questions lie in the hub's cache or in the folder `data`."""

    kind: Literal["published"]
    file: str
    data: str | None = None


Suites = Annotated[SceneSuites | PublishedSuites, Field(discriminator="kind")]


class EvaluationSettings(Settings):
    """What is asked, and the number format of the language models' weights: float32 (no) or bfloat16 (bf16)."""

    suites: Suites
    precision: Precision = "no"


class TaskSections(Settings):
    """What `revision tasks` reads."""

    suites: Suites = SceneSuites()
    world: WorldSettings = WorldSettings()


@dataclass(frozen=True)
class Checkpoint:
    """One model to score: the folder of a ReVisionModel, and what it is called in the tables."""

    __pydantic_config__ = ConfigDict(extra="forbid")
    method: str
    seed: int
    folder: Path


class EvaluationSections(Settings):
    """What `revision evaluate` reads."""

    checkpoints: list[Checkpoint]
    precision: Precision = "no"
