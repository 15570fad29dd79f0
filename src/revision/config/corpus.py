"""Corpus tables: of the built-in world, or of other people's data sets."""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from revision.config.base import Count, Fraction, Settings, unknown_name
from revision.config.world import WorldSettings
from revision.errors import ConfigError

LONG = "_long"
"""Ending of a table of long captions alone, where they come from another source than the short ones."""


class RowCounts(Settings):
    """Rows of each corpus table; config/default.yaml says what the tables are for."""

    text: Count
    reference: Count
    instruct: Count
    probe: Count
    scan_text: Count
    scan_reference: Count
    scan_probe: Count
    validation: Count
    validation_instruct: Count
    reading: Count


@dataclass(frozen=True)
class SceneTable:
    """What a corpus table is in the built-in world."""

    kind: str
    split: str
    domain: str = "general"


SCENE_TABLES = {
    "text": SceneTable("captions", "text"),
    "reference": SceneTable("captions", "paired"),
    "instruct": SceneTable("instructions", "instruct"),
    "probe": SceneTable("captions", "probe"),
    "scan_text": SceneTable("captions", "text", "scan"),
    "scan_reference": SceneTable("captions", "paired", "scan"),
    "scan_probe": SceneTable("captions", "probe", "scan"),
    "validation": SceneTable("captions", "validation"),
    "validation_instruct": SceneTable("instructions", "validation"),
    "reading": SceneTable("reading", "language"),
}


class Source(Settings):
    """A data set and how its rows become rows of a corpus table.

    `path` is its folder, `files` are patterns inside it, `images` is the folder inside it that image paths start
    from. `fields` maps a column (id, short, long, image, question, answer, or `conversation` for a list of turns) to
    the position of its value in a row, such as conversations.1.value. Without an `id`, rows are numbered. Rows go to
    tables by a hash of the value at `split_by` (default: the id). `skip` lists what is left out and counted instead
    of refused. For the format hub, `path` is the id on the hub; `revision` (a commit), `subset` and `split` say what
    of it. `hub`, `licence`, `gated` and `get` are for people: where the data set is and how it is fetched.
    """

    path: str
    format: Literal["json", "jsonl", "parquet", "webdataset", "meta", "hub"]
    fields: dict[str, str]
    files: list[str] = Field(default_factory=list)
    images: str = "."
    split_by: str = ""
    skip: list[Literal["no_image", "several_images", "missing_image", "empty_text"]] = Field(default_factory=list)
    revision: Annotated[str, Field(pattern="^([0-9a-f]{40})?$")] = ""
    subset: str = ""
    split: str = "train"
    hub: str = ""
    licence: str = "see the data set's page"
    gated: bool = False
    get: str = "see docs/cluster.md"

    @model_validator(mode="after")
    def _can_be_read(self) -> Self:
        if self.format == "hub" and not self.revision:
            raise ValueError("revision: missing; the format hub needs a commit, 40 hexadecimal digits")
        if self.format != "hub" and not self.files:
            raise ValueError("files: none named; give patterns such as '*.json'")
        return self


class SourceTable(Settings):
    """A corpus table: the rows of `source` whose hash lies in `share`. With `at_most`, fewer than asked for will do."""

    source: str
    share: Annotated[tuple[Fraction, Fraction], Field(strict=False)] = (0.0, 1.0)
    at_most: bool = False


class ScenesCorpus(Settings):
    """Tables of the built-in world."""

    kind: Literal["scenes"] = "scenes"

    def table(self, name: str) -> SceneTable:
        """What a table is made of. Raises ConfigError if there is no such table."""
        for line in unknown_name("corpus", name, SCENE_TABLES):
            raise ConfigError(line)
        return SCENE_TABLES[name]

    def only(self, table: str) -> Self:
        """What the table `table` depends on."""
        return self


class SourcesCorpus(Settings):
    """Tables of the data sets `sources`, whose folders lie under `root`. No two tables may share a row."""

    kind: Literal["sources"]
    root: str
    sources: dict[str, Source]
    tables: dict[str, SourceTable]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        problems = [
            line
            for name, table in self.tables.items()
            for line in unknown_name(f"tables.{name}.source", table.source, self.sources)
        ]
        for source in self.sources:
            shares = sorted((*table.share, name) for name, table in self.tables.items() if table.source == source)
            problems += [
                f"tables.{second}.share: {first} and {second} share rows of {source}; make the ranges disjoint"
                for (_, high, first), (low, _, second) in pairwise(shares)
                if low < high
            ]
        if problems:
            raise ValueError("\n".join(problems))
        return self

    def source(self, table: str) -> Source:
        """The source of a table, with its whole path. Raises ConfigError if there is no such table."""
        for line in unknown_name("corpus.tables", table, self.tables):
            raise ConfigError(line)
        source = self.sources[self.tables[table].source]
        return (
            source if source.format == "hub" else source.model_copy(update={"path": str(Path(self.root) / source.path)})
        )

    def only(self, table: str) -> Self:
        """What the table `table` depends on: it, and what is read of its source."""
        name = self.tables[table].source
        about = {key: Source.model_fields[key].default for key in ("hub", "licence", "gated", "get")}
        sources = {name: self.sources[name].model_copy(update=about)}
        return self.model_copy(update={"sources": sources, "tables": {table: self.tables[table]}})


Corpus = Annotated[ScenesCorpus | SourcesCorpus, Field(discriminator="kind")]


class CorpusSections(Settings):
    """What `revision corpus` reads."""

    corpus: Corpus = ScenesCorpus()
    world: WorldSettings = WorldSettings()
