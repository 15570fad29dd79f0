"""The whole configuration of a run: config/default.yaml with a scale over it."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from revision.config.base import Natural, Settings, Unique, unknown_name
from revision.config.corpus import LONG, SCENE_TABLES, Corpus, RowCounts, SourcesCorpus
from revision.config.dynamics import DynamicsSettings
from revision.config.encoders import Encoder
from revision.config.evaluation import EvaluationSettings
from revision.config.language_models import LanguageModel
from revision.config.names import CaptionSet, TableName
from revision.config.training import LoopSettings
from revision.config.variants import AlignerSettings, Compare, Embedding, Launchers, Scaling, ScoreTable, Variant
from revision.config.world import WorldSettings
from revision.errors import ConfigError

STAGE1 = ("source", "caption", "texts", "aligner", "llm")
"""What of a variant decides its Stage 1."""


class Configuration(Settings):
    """Every setting of a run; config/default.yaml says what each is. Variants are whole: `base` with their changes."""

    scale: str
    seeds: Annotated[list[Natural], Field(min_length=1), Unique]
    world: WorldSettings
    data: RowCounts
    corpus: Corpus
    encoder: Encoder
    dynamics: DynamicsSettings
    llm: dict[str, LanguageModel]
    stage1: LoopSettings
    stage2: LoopSettings
    launchers: Launchers
    embed: Embedding
    aligners: dict[str, AlignerSettings]
    base: Variant
    variants: dict[str, Variant]
    run: Literal["all"] | Annotated[list[str], Field(min_length=1), Unique]
    evaluation: EvaluationSettings
    tables: dict[str, ScoreTable]
    scaling: Scaling
    compare: Compare
    figures: Annotated[list[str], Unique] | None = None
    beside: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _whole_variants(cls, values: Any) -> Any:
        base, variants = (values.get(name) for name in ("base", "variants"))
        if not isinstance(base, dict) or not isinstance(variants, dict):
            return values
        whole = {name: base | change if isinstance(change, dict) else change for name, change in variants.items()}
        return values | {"variants": whole}

    @model_validator(mode="after")
    def _names_exist(self) -> Self:
        if problems := list(self._unknown_names()):
            raise ValueError("\n".join(problems))
        return self

    def _unknown_names(self) -> Iterator[str]:
        yield from unknown_name("base.aligner", self.base.aligner, self.aligners)
        for name, variant in self.variants.items():
            yield from unknown_name(f"variants.{name}.aligner", variant.aligner, self.aligners)
            yield from unknown_name(f"variants.{name}.llm", variant.llm, self.llm)
        for table, settings in self.tables.items():
            for name in settings.rows:
                yield from unknown_name(f"tables.{table}.rows", name, self.variants)
        for name in self.trained:
            yield from unknown_name("run", name, self.variants)
        for name in (*self.scaling.variants, self.scaling.paired):
            yield from unknown_name("scaling", name, self.variants)
        if isinstance(self.corpus, SourcesCorpus):
            needed = [name for name in RowCounts.model_fields if name != "reading"]
            for name in needed:
                yield from unknown_name("corpus.tables", name, self.corpus.tables)
            for name in self.corpus.tables:
                yield from unknown_name("corpus.tables", name.removesuffix(LONG), needed)

    @property
    def trained(self) -> list[str]:
        """Names of the variants that this scale trains, in the order of `variants`."""
        if self.run == "all":
            return list(self.variants)
        return sorted(self.run, key=lambda name: list(self.variants).index(name) if name in self.variants else -1)

    @property
    def corpus_tables(self) -> list[str]:
        """Names of the corpus tables that there are, without factors."""
        return list(self.corpus.tables if isinstance(self.corpus, SourcesCorpus) else SCENE_TABLES)

    def stage1_of(self, name: str) -> str | None:
        """The variant whose Stage-1 checkpoint `name` starts from: the first of the same Stage 1; None without one."""
        chosen = self.variants[name]
        if chosen.source == "none":
            return None
        return next(
            other
            for other, variant in self.variants.items()
            if all(getattr(variant, key) == getattr(chosen, key) for key in STAGE1)
        )

    def filled_tables(self) -> dict[str, ScoreTable]:
        """The tables that this scale can fill, each with the rows that are trained: its reference and one more."""
        filled = {}
        for name, table in self.tables.items():
            rows = [row for row in table.rows if row in self.trained]
            if table.reference in rows and len(rows) > 1:
                published = {row: paper for row, paper in table.published.items() if row in rows}
                filled[name] = table.model_copy(update={"rows": rows, "published": published})
        return filled

    def chosen_figures(self, existing: Sequence[str]) -> list[str]:
        """The figures among `existing` that this scale makes. Raises ConfigError for one that does not exist."""
        if self.figures is None:
            return list(existing)
        for name in self.figures:
            for line in unknown_name("figures", name, existing):
                raise ConfigError(f"configuration, {line}")
        return [name for name in existing if name in self.figures]

    def table_of(self, captions: CaptionSet) -> TableName:
        """The corpus table with a column: long captions may have a table of their own, with its images."""
        own = captions.table + LONG
        is_apart = captions.column == "long" and isinstance(self.corpus, SourcesCorpus) and own in self.corpus.tables
        return TableName(own if is_apart else captions.table, captions.factor)

    def images_of(self, captions: CaptionSet) -> CaptionSet:
        """The images that captions describe."""
        table = self.table_of(captions)
        return CaptionSet(table.table, "image", table.factor)

    def row_count(self, table: TableName) -> int:
        """Rows of a corpus table."""
        return round(getattr(self.data, table.table.removesuffix(LONG)) * table.factor)
