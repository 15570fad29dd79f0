"""Corpus tables from generated scenes, from published data sets, or from a folder of captioned images."""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal, Self, get_args

from pydantic import Field, model_validator

from revision.config.base import ByKind, Count, Fraction, NonNegative, Settings, unknown_name
from revision.config.world import WorldSettings
from revision.errors import ConfigError

LONG = "_long"
"""Suffix of a table that holds only long captions, from another source than the short ones."""
SECOND_DOMAIN = ("scan_text", "scan_reference", "scan_probe")
"""Tables of the second domain, which published data need not have."""


class RowCounts(Settings):
    """Number of rows of each corpus table.

    Attributes
    ----------
    text : int
        Unpaired captions; only paired training reads their images.
    reference : int
        Unpaired images, the statistics of the image side.
    instruct : int
        Stage-2 questions with images.
    probe : int
        Held-out pairs of all geometry figures.
    scan_text, scan_reference, scan_probe : int
        The same tables of the second domain.
    validation : int
        Held-out captions and images.
    validation_instruct : int
        Held-out questions.
    reading : int
        Texts that a language model is trained on from scratch.
    """

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
    """Definition of a corpus table of generated scenes: kind of rows, split and domain."""

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

    Attributes
    ----------
    path : str
        Folder of the data set, or its id on the hub for the format hub.
    format : {"json", "jsonl", "parquet", "webdataset", "meta", "hub"}
        File format.
    fields : dict of str to str
        Where the value of each column (id, short, long, image, question, answer, or `conversation` for a list of
        turns) is in a row, such as conversations.1.value. Without an `id`, rows are numbered.
    files : list of str
        Patterns of the files inside `path`; required for every format but hub.
    images : str
        Folder inside `path` that image paths are relative to.
    split_by : str
        Field whose hash assigns a row to a table; default: the id.
    skip : list of str
        Problems whose rows are left out and counted, instead of raising an error.
    revision : str
        Commit on the hub; required for the format hub.
    subset, split : str
        Configuration and split on the hub.
    folders : list of str
        Folders inside `path` without which `revision preflight` reports the data set as incomplete.
    hub, licence, gated, get, gigabytes
        For messages and documentation: address, licence, whether access must be requested, how to download
        (`{revision}` stands for the commit), and size of the download.
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
    folders: list[str] = Field(default_factory=list)
    hub: str = ""
    licence: str = "see the data set's page"
    gated: bool = False
    get: str = "see docs/cluster.md"
    gigabytes: NonNegative = 0

    @model_validator(mode="after")
    def _readable(self) -> Self:
        if self.format == "hub" and not self.revision:
            raise ValueError("revision: missing; the format hub needs a commit, 40 hexadecimal digits")
        if self.format != "hub" and not self.files:
            raise ValueError("files: none given; give patterns such as '*.json'")
        return self


class SourceTable(Settings):
    """A corpus table drawn from a source.

    Attributes
    ----------
    source : str
        Name of a source.
    share : tuple of float
        Range [low, high) within [0, 1]; the table holds the rows whose hash is inside.
    at_most : bool
        Whether fewer rows than `RowCounts` asks for are accepted.
    """

    source: str
    share: Annotated[tuple[Fraction, Fraction], Field(strict=False)] = (0.0, 1.0)
    at_most: bool = False


class ScenesCorpus(Settings):
    """Tables of generated scenes."""

    kind: Literal["scenes"] = "scenes"

    def table(self, name: str) -> SceneTable:
        """Return the definition of a table. Raises ConfigError if it does not exist."""
        for line in unknown_name("corpus", name, SCENE_TABLES):
            raise ConfigError(line)
        return SCENE_TABLES[name]

    def only(self, table: str) -> Self:
        """Return the settings that a table depends on: all of them."""
        return self


class SourcesCorpus(Settings):
    """Tables drawn from data sets; no two tables may share a row.

    Attributes
    ----------
    root : str
        Folder that the paths of the sources are relative to.
    sources : dict of str to Source
        Data sets by name.
    tables : dict of str to SourceTable
        Corpus tables by name.
    """

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
            # Sorted by lower end, ranges are disjoint if no range overlaps the next.
            ranges = sorted((*table.share, name) for name, table in self.tables.items() if table.source == source)
            problems += [
                f"tables.{second}.share: {first} and {second} share rows of {source}; make the ranges disjoint"
                for (_, high, first), (low, _, second) in pairwise(ranges)
                if low < high
            ]
        if problems:
            raise ValueError("\n".join(problems))
        return self

    def source(self, table: str) -> Source:
        """Return the source of a table, its path including `root`. Raises ConfigError if the table does not exist."""
        for line in unknown_name("corpus.tables", table, self.tables):
            raise ConfigError(line)
        source = self.sources[self.tables[table].source]
        if source.format == "hub":
            return source
        return source.model_copy(update={"path": str(Path(self.root) / source.path)})

    def only(self, table: str) -> Self:
        """Return the settings that a table depends on: itself and its source, without descriptive fields."""
        name = self.tables[table].source
        described = ("folders", "hub", "licence", "gated", "get", "gigabytes")
        about = {key: Source.model_fields[key].get_default(call_default_factory=True) for key in described}
        sources = {name: self.sources[name].model_copy(update=about)}
        return self.model_copy(update={"sources": sources, "tables": {table: self.tables[table]}})


PhotoTable = Literal["encoder", "text", "reference", "probe", "validation", "evaluation"]
PHOTO_TABLES: tuple[PhotoTable, ...] = get_args(PhotoTable)
"""Pairs that train the encoder, unpaired captions, unpaired images, held-out pairs, and images to caption."""


class PhotosCorpus(Settings):
    """Tables of captioned images in a folder, in a layout of `revision.data.captions`; no two tables share an image.

    Attributes
    ----------
    root : str
        The folder.
    files : list of str
        Patterns of the files with captions inside the folder; empty: the usual names of every layout.
    shares : dict of str to float
        Fraction of the images of each table, at most 1 in all. Where the captions name splits, the fractions apply
        within the training images and within the others.
    skip : list of str
        Problems whose images are left out and counted, instead of raising an error.
    """

    kind: Literal["photos"]
    root: str
    files: list[str] = Field(default_factory=list)
    shares: dict[PhotoTable, Annotated[Fraction, Field(gt=0)]]
    skip: list[Literal["missing_image", "no_caption"]] = Field(default_factory=list)

    @model_validator(mode="after")
    def _complete(self) -> Self:
        missing = [name for name in PHOTO_TABLES if name not in self.shares]
        if missing:
            raise ValueError(f"shares: no share of {', '.join(missing)}; each table needs one")
        if sum(self.shares.values()) > 1 + 1e-9:
            raise ValueError(f"shares: they sum to {sum(self.shares.values()):g}; lower them to 1 in all")
        return self


Corpus = Annotated[ScenesCorpus | SourcesCorpus | PhotosCorpus, ByKind()]


class CorpusSections(Settings):
    """Settings of `revision corpus`."""

    corpus: Corpus = ScenesCorpus()
    world: WorldSettings = WorldSettings()
