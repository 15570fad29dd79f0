"""Aligners, the variants that are trained with them, and the tables and figures that compare the variants."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from revision.config.base import Count, Positive, Settings, Unique, unknown_name
from revision.config.names import CaptionSet


class AlignerSettings(Settings):
    """A method of `revision.align` and its parameters."""

    method: str
    params: dict[str, Any] = Field(default_factory=dict)


class AlignerSections(Settings):
    """What `revision measure` reads, and the figures that fit aligners to samples."""

    aligners: dict[str, AlignerSettings]


class Variant(Settings):
    """One row of a table: what Stage 1 reads, aligned by what, for which language model, and how much of Stage 2."""

    source: Literal["text", "image", "none"]
    caption: Literal["short", "long", "synthetic"]
    texts: Positive
    aligner: str
    llm: str
    share: Annotated[float, Field(gt=0, le=1)]
    visual: bool

    @model_validator(mode="after")
    def _text_only_has_no_stage1(self) -> Self:
        if not self.visual and self.source != "none":
            raise ValueError("visual: false needs `source: none`; a model without a visual token has no Stage 1")
        return self

    @property
    def captions(self) -> CaptionSet:
        """The captions that Stage 1 learns to write."""
        synthetic = self.caption == "synthetic"
        return CaptionSet("synthetic" if synthetic else "text", "short" if synthetic else self.caption, self.texts)


class ScoreTable(Settings):
    """A table of the report: variants in order, the row that differences refer to, the paper's names of the rows."""

    title: str
    rows: Annotated[list[str], Field(min_length=2), Unique]
    reference: str
    published: dict[str, str]
    note: str | None = None

    @model_validator(mode="after")
    def _names_rows(self) -> Self:
        names = (("reference", self.reference), *(("published", name) for name in self.published))
        problems = [line for path, name in names for line in unknown_name(path, name, self.rows)]
        if problems:
            raise ValueError("\n".join(problems))
        return self


class Scaling(Settings):
    """Accuracy against the number of texts: the variants, and the one whose level is drawn as the paired line."""

    variants: Annotated[list[str], Field(min_length=2), Unique]
    paired: str


class Compare(Settings):
    """Encoders (names of config/encoders) and aligners of the leaderboard."""

    encoders: Annotated[list[Annotated[str, Field(pattern="^[a-z0-9_]+$")]], Unique]
    aligners: Annotated[list[str], Field(min_length=1), Unique]


class Launchers(Settings):
    """What starts the processes of a training, such as torchrun; nothing for one process."""

    stage1: str = ""
    stage2: str = ""
    dynamics: str = ""


class Embedding(Settings):
    """Jobs an embedding set."""

    shards: Count = 1
