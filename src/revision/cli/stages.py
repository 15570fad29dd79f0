"""The steps of the workflow as commands; Snakemake rules call them with explicit inputs and outputs."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer

T = TypeVar("T")

Config = Annotated[
    Path | None, typer.Option("--config", help="YAML or JSON file with settings; without it: the defaults.")
]
NeededConfig = Annotated[Path, typer.Option("--config", help="YAML or JSON file with settings.")]
Seed = Annotated[int, typer.Option(help="Seed of all random draws in this step.")]
Threads = Annotated[int, typer.Option(help="CPU threads.", min=1)]
Tracker = Annotated[
    str | None,
    typer.Option(
        envvar="REVISION_TRACKER", help="Experiment tracker of accelerate for the losses, such as tensorboard."
    ),
]
Out = Annotated[Path, typer.Option(help="File or folder to write.")]


def settings(path: Path | None, kind: type[T]) -> T:
    """Read settings of type `kind` from the file at `path`, or return their defaults."""
    from revision.config import read

    return kind() if path is None else read(path, kind)


def _needed(table: Path | None, for_what: str) -> Path:
    from revision.errors import ConfigError

    if table is None:
        raise ConfigError(f"{for_what} needs a corpus table; give --table")
    return table


def _threads(count: int) -> None:
    import torch

    torch.set_num_threads(count)


def corpus_command(
    table: Annotated[str, typer.Argument(help="Name of the table, such as text, reference, probe or instruct.")],
    count: Annotated[int, typer.Option(help="Number of rows.")],
    out: Out,
    config: Config = None,
) -> None:
    """Write a corpus table of generated scenes, or of a data set or folder of captioned images.

    Sections of the settings: corpus, world.

    Examples:

      revision corpus text --count 1000 --out text.parquet

      revision corpus text --config corpus.yaml --count 1000 --out text.parquet
    """
    import json

    from revision.config.corpus import CorpusSections, PhotosCorpus, SourcesCorpus

    sections = settings(config, CorpusSections)
    if isinstance(sections.corpus, SourcesCorpus):
        from revision.data.ingest import write_corpus_from

        source = sections.corpus.source(table)
        section = sections.corpus.tables[table]
        if source.format == "hub":
            typer.echo(f"streaming {source.path} at {source.revision} from the Hugging Face hub", err=True)
        written = write_corpus_from(source, section.share, count, out, at_most=section.at_most)
        left = json.dumps(dict(written.skipped)) if written.skipped else "nothing"
        typer.echo(f"{written.rows} rows from {written.used} of the source; left out: {left}")
        return
    if isinstance(sections.corpus, PhotosCorpus):
        from revision.data.photos import write_photos

        written = write_photos(sections.corpus, table, count, out)
        left = json.dumps(dict(written.skipped)) if written.skipped else "nothing"
        typer.echo(f"{written.rows} rows of {written.used} images; left out: {left}")
        return
    from revision.data.corpus import write_corpus
    from revision.data.scenes import World

    scenes = sections.corpus.table(table)
    write_corpus(World(sections.world), scenes.kind, scenes.split, count, out, scenes.domain)


def tasks_command(
    out: Out,
    config: Config = None,
    table: Annotated[Path | None, typer.Option(help="Corpus table `evaluation`; required for kind photos.")] = None,
) -> None:
    """Write evaluation suites, generated or published ones, or captioning, as a folder of lmms-eval tasks.

    Sections of the settings: suites, world.

    Example: revision tasks --out tasks
    """
    from revision.config.evaluation import PhotoCaptions, PublishedSuites, TaskSections

    sections = settings(config, TaskSections)
    if isinstance(sections.suites, PhotoCaptions):
        from revision.evaluation.suites import write_photographs

        write_photographs(_needed(table, "evaluation.suites: kind photos"), out)
        return
    if isinstance(sections.suites, PublishedSuites):
        from revision.evaluation.published_suites import used_suites, write_published

        chosen = sections.suites
        write_published(used_suites(chosen), out, chosen.data, chosen.answer_tokens, chosen.captions)
        return
    from revision.data.scenes import World
    from revision.evaluation.suites import write_tasks

    write_tasks(World(sections.world), out, sections.suites.questions, captions=sections.suites.captions)


def encoder_command(
    out: Out,
    config: Config = None,
    table: Annotated[
        Path | None, typer.Option(help="Corpus table `encoder` of captioned images; without: generated scenes.")
    ] = None,
    seed: Seed = 0,
    threads: Threads = 1,
) -> None:
    """Train a dual encoder with InfoNCE, from scratch or as heads on frozen pretrained towers.

    Sections of the settings: encoder, world.

    Example: revision train-encoder --config encoder.yaml --out encoder
    """
    from revision.config.encoders import EncoderSections, HeadSettings
    from revision.data.scenes import World

    sections = settings(config, EncoderSections)
    world = World(sections.world)
    if isinstance(sections.encoder, HeadSettings):
        from revision.contrastive.heads import train_heads
        from revision.contrastive.pairs import ScenePairs, TablePairs

        pairs = TablePairs(table) if table else ScenePairs(world, sections.encoder.images)
        train_heads(pairs, sections.encoder, out, seed=seed, threads=threads)
        return
    from revision.contrastive.loop import train

    train(world, sections.encoder, out, seed=seed, threads=threads)


def language_model_command(
    config: NeededConfig,
    out: Out,
    table: Annotated[Path | None, typer.Option(help="Corpus table `reading`; required for kind trained.")] = None,
    seed: Seed = 0,
    threads: Threads = 1,
) -> None:
    """Train a small LLM on text about generated scenes, or take one from an installed package or the hub.

    Sections of the settings: llm, world. Weights from the hub are linked, not copied.

    Example: revision language-model --config llm.yaml --table reading.parquet --out llm
    """
    from revision.config.language_models import HubModel, LanguageModelSections, PackagedModel

    sections = settings(config, LanguageModelSections)
    model = sections.llm
    if isinstance(model, HubModel):
        from revision.mllm.language_models.hub import link_language_model

        link_language_model(model.model, model.revision, out)
    elif isinstance(model, PackagedModel):
        from revision.mllm.language_models.packaged import write_packaged_llm

        write_packaged_llm(model.package, out)
    else:
        table = _needed(table, f"{config}, llm: kind trained")
        from revision.data.scenes import World
        from revision.mllm.train import train_language_model

        _threads(threads)
        vocabulary = World(sections.world).vocabulary()
        train_language_model(table, model.validation_rows, vocabulary, model.size, model.training, seed=seed, out=out)


def synthesise_command(
    captions: Annotated[Path, typer.Argument(help="Corpus table with captions.")],
    llm: Annotated[Path, typer.Option(help="Folder of the language model.")],
    out: Out,
    rows: Annotated[int | None, typer.Option(help="Use only this many rows, the first.")] = None,
    seed: Seed = 0,
    threads: Threads = 1,
) -> None:
    """Let a language model write captions that continue the first words of given ones (a corpus like Unicorn's).

    Example: revision synthesise text.parquet --llm llm/base --out synthetic.parquet
    """
    from revision.mllm.synthesis import synthesise

    _threads(threads)
    synthesise(captions, llm, out, seed=seed, rows=rows)


def pretrain_command(config: NeededConfig, threads: Threads = 1, tracker: Tracker = None) -> None:
    """Run Stage 1, modality substitution pretraining: train projectors with a frozen LLM (section 5).

    Sections of the settings: loop, the settings of `stage1` in config/default.yaml; projector; trainings, a list of
    {llm, embeddings, captions, validation_embeddings, validation_captions, out, column, rows, seed, noise, reference}.

    Example: revision pretrain --config stage1.yaml
    """
    from revision.config.training import PretrainSections
    from revision.mllm.train import train_stage1

    _threads(threads)
    sections = settings(config, PretrainSections)
    for training in sections.trainings:
        train_stage1(training, sections.loop, sections.projector, tracker)


def finetune_command(config: NeededConfig, threads: Threads = 1, tracker: Tracker = None) -> None:
    """Run Stage 2, visual instruction tuning: train projectors and LLMs (section 5).

    Sections of the settings: loop, the settings of `stage2` in config/default.yaml; projector; trainings, a list of
    {start, instructions, embeddings, texts, images, validation_instructions, validation_embeddings, out, share, seed}.

    Example: revision finetune --config stage2.yaml
    """
    from revision.config.training import FinetuneSections
    from revision.mllm.train import train_stage2

    _threads(threads)
    sections = settings(config, FinetuneSections)
    for training in sections.trainings:
        train_stage2(training, sections.loop, sections.projector, tracker)


def evaluate_command(
    config: NeededConfig,
    tasks: Annotated[Path, typer.Option(help="Folder of lmms-eval tasks, from `revision tasks`.")],
    answers: Annotated[
        Path | None, typer.Option(help="Parquet file of answers to write; without: no questions.")
    ] = None,
    encoder: Annotated[
        Path | None, typer.Option(help="Folder of the encoder, or its YAML; not needed for text-only models.")
    ] = None,
    captions: Annotated[
        Path | None,
        typer.Option(help="Parquet file of scored captions to write; without: no captioning."),
    ] = None,
    threads: Threads = 1,
) -> None:
    """Score checkpoints with lmms-eval, all in one process.

    Sections of the settings: checkpoints, a list of {method, encoder, seed, folder}; precision of the language models,
    no (float32) or bf16.

    Example: revision evaluate --config checkpoints.yaml --tasks tasks --encoder encoder --answers answers.parquet
    """
    from revision.config.evaluation import EvaluationSections
    from revision.evaluation.run import evaluate

    _threads(threads)
    sections = settings(config, EvaluationSections)
    evaluate(
        sections.checkpoints,
        tasks,
        encoder,
        answers,
        captions=captions,
        precision=sections.precision,
        progress=typer.echo,
    )


def register(app: typer.Typer) -> None:
    """Add the commands of the workflow's steps to `app`."""
    commands: dict[str, Callable[..., None]] = {
        "corpus": corpus_command,
        "tasks": tasks_command,
        "train-encoder": encoder_command,
        "language-model": language_model_command,
        "synthesise": synthesise_command,
        "pretrain": pretrain_command,
        "finetune": finetune_command,
        "evaluate": evaluate_command,
    }
    for name, command in commands.items():
        app.command(name, no_args_is_help=True, rich_help_panel="Stages of the workflow")(command)
