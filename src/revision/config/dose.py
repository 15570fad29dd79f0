"""The study of dose and response: what is done to the inputs of Stage 1, and how models are trained and tested."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from revision.config.base import Count, Natural, NonNegative, Settings, Unique
from revision.config.training import LoopSettings, ProjectorSettings
from revision.config.variants import AlignerSettings

Doses = Annotated[list[NonNegative], Unique]


class DoseSettings(Settings):
    """Doses, budgets and the optimiser steps at which a model is tested.

    Attributes
    ----------
    seeds : list of int
        Seeds of the trainings, for every encoder.
    captions : int
        Captions of Stage 1; the texts after them and their images define the paired residual.
    questions : int
        Held-out questions that are answered.
    steps : list of int
        Optimiser steps of Stage 2 after which the model is tested; 0 is the model after Stage 1.
    stage1, stage2 : LoopSettings
        Budgets of the two stages. Stage 2 reads as many questions as it needs for the last of `steps`.
    gap, trace, rotation, residual : list of float
        Doses of `revision.dose.doses`; rotation in degrees.
    noise : list of float
        Standard deviations of C3's noise, drawn anew in every epoch.
    aligners : list of str
        Names of aligners. Paired images and a text-only model (Blind) are always trained.
    """

    seeds: Annotated[list[Natural], Field(min_length=1), Unique]
    captions: Count
    questions: Count
    steps: Annotated[list[Natural], Field(min_length=2), Unique]
    stage1: LoopSettings
    stage2: LoopSettings
    gap: Doses
    trace: Doses
    rotation: Doses
    residual: Doses
    noise: Doses
    aligners: Annotated[list[str], Unique]

    @model_validator(mode="after")
    def _steps_ascend(self) -> Self:
        if self.steps[0] != 0 or self.steps != sorted(self.steps):
            raise ValueError(f"steps: {self.steps} must ascend from 0, the model after Stage 1")
        return self

    @property
    def instructions(self) -> int:
        """Number of Stage-2 questions that the last of `steps` needs."""
        return -(-self.steps[-1] // self.stage2.epochs) * self.stage2.batch_size


class DoseInputs(Settings):
    """Files that the study reads.

    Attributes
    ----------
    llm : str
        Folder of the language model.
    captions, text, image : str
        Table of captions, and the embeddings of its texts and of its images.
    reference : str
        Embeddings of unpaired images, whose mean the texts are moved to.
    validation_captions, validation_image : str
        Table of held-out captions and the embeddings of its images.
    instructions, instruction_image : str
        Table of Stage-2 questions and the embeddings of its images.
    validation_instructions, validation_instruction_image : str
        The same of held-out questions.
    """

    llm: str
    captions: str
    text: str
    image: str
    reference: str
    validation_captions: str
    validation_image: str
    instructions: str
    instruction_image: str
    validation_instructions: str
    validation_instruction_image: str


class DoseSections(Settings):
    """Settings of `revision dose`: one replicate, which is a draw of the encoder and a seed of the trainings."""

    dose: DoseSettings
    aligners: dict[str, AlignerSettings]
    projector: ProjectorSettings = ProjectorSettings()
    inputs: DoseInputs
    encoder: Natural
    seed: Natural
