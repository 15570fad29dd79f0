"""Evaluation suites, generated or published, captioning, and the checkpoints to score."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from revision.config.base import ByKind, Count, Settings
from revision.config.world import WorldSettings

Precision = Literal["no", "bf16"]


class SceneSuites(Settings):
    """Suites about generated scenes, with `questions` questions each, and captioning of `captions` images."""

    kind: Literal["scenes"] = "scenes"
    questions: Count = 300
    captions: Annotated[int, Field(ge=2)] = 300


class PhotographCaptions(Settings):
    """Photographs to caption: the first `count` rows of a captioning task's data.

    Attributes
    ----------
    file : str
        YAML file of lmms-eval's task, in lmms_eval/tasks; only its data set is used.
    files : list of str
        Data files of the data set.
    revision : str
        Commit of the data set on the hub.
    count : int
        Number of photographs.
    """

    file: str
    files: list[str]
    revision: str = ""
    count: Annotated[int, Field(ge=2)]


class PublishedSuites(Settings):
    """Tasks of lmms-eval.

    Attributes
    ----------
    file : str
        YAML file that lists the suites, such as config/suites.yaml.
    names : list of str, optional
        Suites of the file to use; None for all.
    data : str, optional
        Folder with the questions, one subfolder per suite; None for the hub's cache.
    answer_tokens : int, optional
        Longest answer in tokens, where the task allows a longer one; None for the tasks' own lengths.
    captions : PhotographCaptions, optional
        Photographs to caption; None for no captioning.
    """

    kind: Literal["published"]
    file: str
    names: list[str] | None = None
    data: str | None = None
    answer_tokens: Count | None = None
    captions: PhotographCaptions | None = None


class PhotoCaptions(Settings):
    """No questions: captioning of at most `captions` images of the corpus table `evaluation`."""

    kind: Literal["photos"]
    captions: Annotated[int, Field(ge=2)]


Suites = Annotated[SceneSuites | PublishedSuites | PhotoCaptions, ByKind()]


class EvaluationSettings(Settings):
    """The suites, and the number format of the language models' weights: float32 ("no") or bfloat16 ("bf16")."""

    suites: Suites
    precision: Precision = "no"


class TaskSections(Settings):
    """Settings of `revision tasks`."""

    suites: Suites = SceneSuites()
    world: WorldSettings = WorldSettings()


@dataclass(frozen=True)
class Checkpoint:
    """One model to score.

    Attributes
    ----------
    method : str
        Name of the method in the tables.
    encoder, seed : int
        Seeds of the encoder and of the training.
    folder : Path
        Folder of a `ReVisionModel`.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")
    method: str
    encoder: int
    seed: int
    folder: Path


class EvaluationSections(Settings):
    """Settings of `revision evaluate`."""

    checkpoints: list[Checkpoint]
    precision: Precision = "no"
