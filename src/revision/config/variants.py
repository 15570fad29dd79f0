"""Aligners, the variants trained with them, and the tables and figures that compare the variants."""

import operator
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from revision.config.base import Count, Fraction, NonNegative, Positive, Settings, Unique, unknown_name
from revision.config.names import CaptionSet


class AlignerSettings(Settings):
    """An aligner: the name of a method of `revision.align` and its parameters."""

    method: str
    params: dict[str, Any] = Field(default_factory=dict)


class AlignerSections(Settings):
    """Settings of `revision measure` and of the figures that fit aligners to samples."""

    aligners: dict[str, AlignerSettings]


REDRAW = 1000
"""What `redraw` adds to the seed of a training."""


class Variant(Settings):
    """One row of a table: a way to train the multimodal LLM.

    Attributes
    ----------
    source : {"text", "image", "none"}
        Input of Stage 1: aligned text embeddings, paired image embeddings, or no Stage 1.
    caption : {"short", "long", "synthetic"}
        Captions that Stage 1 learns to write.
    texts : float
        Number of captions, as a multiple of `data.text`.
    aligner, llm : str
        Names of an aligner and of a language model of the configuration.
    share : float
        Fraction of the Stage-2 questions, in (0, 1].
    visual : bool
        Whether there is a visual token; false is the text-only row (Blind).
    images : float
        Fraction of the Stage-2 questions that have their image; the others have the aligned embedding of the scene's
        full caption.
    noise : float
        Standard deviation of the Gaussian noise of Stage-1 inputs, drawn anew at every step.
    redraw : bool
        Whether to draw another initial projector and data order: the same method again, for the noise floor.
    corrected : bool
        Whether to shift the bias of the projector's first layer after Stage 1, so that images are read as texts with
        the same mean would be.
    """

    source: Literal["text", "image", "none"]
    caption: Literal["short", "long", "synthetic"]
    texts: Positive
    aligner: str
    llm: str
    share: Annotated[float, Field(gt=0, le=1)]
    visual: bool
    images: Fraction
    noise: NonNegative
    redraw: bool
    corrected: bool

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not self.visual and self.source != "none":
            raise ValueError("visual: false needs `source: none`; a text-only model has no Stage 1")
        if self.images < 1 and (self.source == "image" or not self.visual):
            raise ValueError(f"images: {self.images} needs a visual token and `source: text` or `none`; set it to 1")
        for key in ("noise", "corrected"):
            if getattr(self, key) and self.source == "none":
                raise ValueError(f"{key}: needs a Stage 1; set `source` to text or image")
        return self

    def training_seed(self, seed: int) -> int:
        """Return the seed of a training of this variant in the replicate with `seed`."""
        return seed + REDRAW * self.redraw

    @property
    def captions(self) -> CaptionSet:
        """Captions that Stage 1 learns to write."""
        synthetic = self.caption == "synthetic"
        return CaptionSet("synthetic" if synthetic else "text", "short" if synthetic else self.caption, self.texts)


class ScoreTable(Settings):
    """A score table of the report.

    Attributes
    ----------
    title : str
        Title of the table.
    rows : list of str
        Names of variants, in the paper's order.
    reference : str
        Row that differences refer to.
    published : dict of str to str
        The paper's names of rows.
    labels : dict of str to str
        Names to show for rows; other rows have the name of analysis/style.py, or that of the variant.
    note : str, optional
        Text below the table.
    """

    title: str
    rows: Annotated[list[str], Field(min_length=2), Unique]
    reference: str
    published: dict[str, str]
    labels: dict[str, str] = Field(default_factory=dict, exclude_if=operator.not_)  # so that old files stay the same
    note: str | None = None

    @model_validator(mode="after")
    def _rows_exist(self) -> Self:
        problems = list(unknown_name("reference", self.reference, self.rows))
        for key in ("published", "labels"):
            for name in getattr(self, key):
                problems += unknown_name(key, name, self.rows)
        if problems:
            raise ValueError("\n".join(problems))
        return self


class Scaling(Settings):
    """Figure of accuracy against the number of texts: its variants, and the one drawn as the paired line."""

    variants: Annotated[list[str], Field(min_length=2), Unique]
    paired: str


class Compare(Settings):
    """Encoders (names of config/encoders) and aligners of the leaderboard."""

    encoders: Annotated[list[Annotated[str, Field(pattern="^[a-z0-9_]+$")]], Unique]
    aligners: Annotated[list[str], Field(min_length=1), Unique]


class Launchers(Settings):
    """Commands that start the processes of a training, such as torchrun; an empty string for one process."""

    stage1: str = ""
    stage2: str = ""
    dynamics: str = ""


class Embedding(Settings):
    """Number of jobs per embedding set."""

    shards: Count = 1
