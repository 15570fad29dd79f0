"""The whole configuration of a run: config/default.yaml updated by the file of a scale."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from revision.config.base import Natural, Settings, Unique, unknown_name
from revision.config.corpus import (
    LONG,
    PHOTO_TABLES,
    SCENE_TABLES,
    SECOND_DOMAIN,
    Corpus,
    PhotosCorpus,
    RowCounts,
    SourcesCorpus,
)
from revision.config.dose import DoseSettings
from revision.config.dynamics import DynamicsSettings
from revision.config.encoders import Encoder, EncoderFile, EncoderSettings, PairTraining
from revision.config.evaluation import EvaluationSettings, PhotoCaptions
from revision.config.language_models import LanguageModel
from revision.config.names import CaptionSet, TableName
from revision.config.training import LoopSettings, ProjectorSettings
from revision.config.variants import AlignerSettings, Compare, Embedding, Launchers, Scaling, ScoreTable, Variant
from revision.config.world import WorldSettings
from revision.errors import ConfigError

STAGE1 = ("source", "caption", "texts", "aligner", "llm", "noise", "redraw", "corrected")
"""Fields of a variant that determine its Stage 1; variants that agree in them share one checkpoint."""


class Configuration(Settings):
    """Every setting of a run; the comments in config/default.yaml explain the values.

    Attributes
    ----------
    scale : str
        Name of the scale, a file of config/scales.
    encoder_seeds : list of int
        Seeds of the encoder; everything that depends on embeddings is repeated for each. Geometry is that of the first.
    seeds : list of int
        Seeds of the trainings, each of which is repeated for every pair of encoder and seed.
    world : WorldSettings
        The generated scenes.
    data : RowCounts
        Rows of each corpus table.
    corpus : ScenesCorpus, SourcesCorpus or PhotosCorpus
        Origin of the corpus tables.
    encoder : EncoderSettings, HeadSettings or EncoderFile
        The dual encoder whose embeddings are aligned.
    dynamics : DynamicsSettings
        Contrastive training under observation (Section 3, Figure 1).
    llm : dict of str to LanguageModel
        Language models by the name that variants refer to.
    stage1, stage2 : LoopSettings
        Training budgets of the two stages (Section 5); `stage2` is None for none.
    projector : ProjectorSettings
        Visual tokens of an embedding.
    trainings_together : bool
        Whether one job trains all variants of a stage and replicate, and one aligns all texts of an encoder; false: one
        job per training and per embedding set.
    dose : DoseSettings, optional
        Study of dose and response; None for none.
    launchers : Launchers
        Commands that start multi-process trainings.
    embed : Embedding
        Jobs per embedding set.
    aligners : dict of str to AlignerSettings
        Aligners by the name that variants refer to.
    base : Variant
        Default values of all variants.
    variants : dict of str to Variant
        Each variant complete: `base` updated by its changes in the YAML file.
    run : "all" or list of str
        Variants to train.
    evaluation : EvaluationSettings
        Suites and precision of the evaluation.
    tables : dict of str to ScoreTable
        Score tables of the report.
    scaling : Scaling
        Variants of the scaling figure.
    compare : Compare
        Encoders and aligners of the leaderboard.
    figures : list of str, optional
        Figures to make; None for all.
    beside : str, optional
        Another scale, whose reference results (folder reference/) are shown next to this one's.
    tracker : str, optional
        Experiment tracker of accelerate that also receives the losses of the stages. Not part of the records, since it
        changes no result.
    assumptions : dict of str to float
        What `revision plan` assumes about this scale, in place of the defaults of `revision.planning.cost.Assumptions`;
        not part of the records either.
    """

    scale: str
    encoder_seeds: Annotated[list[Natural], Field(min_length=1), Unique]
    seeds: Annotated[list[Natural], Field(min_length=1), Unique]
    world: WorldSettings
    data: RowCounts
    corpus: Corpus
    encoder: Encoder
    dynamics: DynamicsSettings
    llm: dict[str, LanguageModel]
    stage1: LoopSettings
    stage2: LoopSettings | None
    projector: ProjectorSettings
    trainings_together: bool
    dose: DoseSettings | None
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
    tracker: str | None = Field(default=None, exclude=True)
    assumptions: dict[str, float] = Field(default={}, exclude=True)

    @model_validator(mode="before")
    @classmethod
    def _complete_variants(cls, values: Any) -> Any:
        base, variants = (values.get(name) for name in ("base", "variants"))
        if not isinstance(base, dict) or not isinstance(variants, dict):
            return values
        # A change that is no mapping is kept: pydantic then reports it with its path.
        complete = {name: base | change if isinstance(change, dict) else change for name, change in variants.items()}
        return values | {"variants": complete}

    @model_validator(mode="after")
    def _names_exist(self) -> Self:
        if problems := [*self._unknown_names(), *self._impossible()]:
            raise ValueError("\n".join(problems))
        return self

    def _impossible(self) -> Iterator[str]:
        if isinstance(self.encoder, EncoderFile) and len(self.encoder_seeds) > 1:
            yield "encoder_seeds: an encoder of kind file is not trained here; give one entry, such as [0]"
        if isinstance(self.corpus, SourcesCorpus):
            for name in self.trained:
                if name in self.variants and self.variants[name].images < 1:
                    yield f"variants.{name}.images: published questions have no full captions; set it to 1"
        photos = isinstance(self.corpus, PhotosCorpus)
        if photos != isinstance(self.evaluation.suites, PhotoCaptions):
            yield "evaluation.suites.kind: photos belongs to a corpus of kind photos; set both or neither"
        if not photos:
            if self.stage2 is None:
                yield "stage2: null only with a corpus of kind photos; give the settings of the training loop"
            return
        if isinstance(self.encoder, EncoderSettings):
            yield "encoder.kind: scenes reads generated scenes; set pretrained_heads or file"
        for name in ("stage2", "dose"):
            if getattr(self, name) is not None:
                yield f"{name}: needs questions, which a corpus of kind photos does not have; set it to null"
        for name in self.trained:
            if name in self.variants and self.stage1_of(name) is None:
                yield f"run: {name} has no Stage 1, the only stage of a corpus of kind photos; leave it out"

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
        if self.dose is not None:
            for name in self.dose.aligners:
                yield from unknown_name("dose.aligners", name, self.aligners)
        if isinstance(self.corpus, SourcesCorpus):
            # The table `reading` trains a language model from scratch, which real data never does.
            unused = {"reading"} if set(SECOND_DOMAIN) & set(self.corpus.tables) else {"reading", *SECOND_DOMAIN}
            needed = [name for name in RowCounts.model_fields if name not in unused]
            for name in needed:
                yield from unknown_name("corpus.tables", name, self.corpus.tables)
            for name in self.corpus.tables:
                yield from unknown_name("corpus.tables", name.removesuffix(LONG), needed)

    @property
    def trained(self) -> list[str]:
        """Names of the variants to train, in the order of `variants`."""
        if self.run == "all":
            return list(self.variants)
        # Unknown names sort first; `_unknown_names` then reports them.
        order = {name: position for position, name in enumerate(self.variants)}
        return sorted(self.run, key=lambda name: order.get(name, -1))

    @property
    def corpus_tables(self) -> list[str]:
        """Names of the corpus tables, without factors."""
        if isinstance(self.corpus, PhotosCorpus):
            return list(PHOTO_TABLES)
        return list(self.corpus.tables if isinstance(self.corpus, SourcesCorpus) else SCENE_TABLES)

    def stage1_of(self, name: str) -> str | None:
        """Return the variant whose Stage-1 checkpoint a variant starts from.

        Parameters
        ----------
        name : str
            Name of a variant.

        Returns
        -------
        str or None
            The first variant with the same Stage 1; None if `name` has no Stage 1.
        """
        chosen = self.variants[name]
        if chosen.source == "none":
            return None
        stage1 = [getattr(chosen, key) for key in STAGE1]
        return next(
            other for other, variant in self.variants.items() if [getattr(variant, key) for key in STAGE1] == stage1
        )

    def filled_tables(self) -> dict[str, ScoreTable]:
        """Return the tables whose reference and at least one other row are trained, without their untrained rows.

        There are none without Stage 2, whose questions they score.
        """
        filled: dict[str, ScoreTable] = {}
        if self.stage2 is None:
            return filled
        for name, table in self.tables.items():
            rows = [row for row in table.rows if row in self.trained]
            if table.reference in rows and len(rows) > 1:
                names = {
                    key: {row: text for row, text in getattr(table, key).items() if row in rows}
                    for key in ("published", "labels")
                }
                filled[name] = table.model_copy(update={"rows": rows} | names)
        return filled

    def chosen_figures(self, existing: Sequence[str]) -> list[str]:
        """Return the figures to make.

        Parameters
        ----------
        existing : sequence of str
            All figures there are, in the order of the report.

        Returns
        -------
        list of str
            The chosen figures in the order of `existing`.

        Raises
        ------
        ConfigError
            If a chosen figure is not in `existing`.
        """
        if self.figures is None:
            return list(existing)
        for name in self.figures:
            for line in unknown_name("figures", name, existing):
                raise ConfigError(f"configuration, {line}")
        return [name for name in existing if name in self.figures]

    def table_of(self, captions: CaptionSet) -> TableName:
        """Return the corpus table that holds a caption set; long captions may have their own table, with images."""
        long_table = captions.table + LONG
        if captions.column == "long" and long_table in self.corpus_tables:
            return TableName(long_table, captions.factor)
        return captions.rows

    def images_of(self, captions: CaptionSet) -> CaptionSet:
        """Return the image column that belongs to a caption set."""
        table = self.table_of(captions)
        return CaptionSet(table.table, "image", table.factor)

    def row_count(self, table: TableName) -> int:
        """Return the number of rows of a corpus table; a table of photographs may have fewer."""
        if table.table == "encoder" and isinstance(self.encoder, PairTraining):
            return self.encoder.images
        if table.table == "evaluation" and isinstance(self.evaluation.suites, PhotoCaptions):
            return self.evaluation.suites.captions
        return round(getattr(self.data, table.table.removesuffix(LONG)) * table.factor)
