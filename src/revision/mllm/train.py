"""Language training and the two stages of ReVision (Section 5, Appendix H), each from tables to a checkpoint."""

import csv
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import reduce

from revision.config.language_models import LanguageModelSettings
from revision.config.training import LoopSettings, ProjectorSettings, Stage1Training, Stage2Training
from revision.data.corpus import read_columns
from revision.embeddings.moments import moments
from revision.errors import ConfigError
from revision.io.files import atomic_file, write_json
from revision.io.manifest import versions
from revision.mllm.checkpoint import is_sharded
from revision.mllm.inputs import (
    InMemory,
    Mixture,
    Rows,
    batch_maker,
    load_embeddings,
    rows_with_image,
    tokenise_once,
)
from revision.mllm.language_models.trained import new_llm, word_tokenizer
from revision.mllm.loop import Batch, run_loop
from revision.mllm.model import ReVisionModel, is_pretrained, load_llm
from revision.mllm.prompts import Examples, question_prompt, tokenise
from revision.training.processes import join

VALIDATION_BATCH = 256  # rows


@torch.no_grad()
def mean_loss(
    model: torch.nn.Module, examples: Examples, embeddings: Rows | None, batch_rows: int = VALIDATION_BATCH
) -> float:
    """Compute the mean next-token loss over all target tokens; the processes of a training share the rows.

    Parameters
    ----------
    model : torch.nn.Module
        The model as prepared by accelerate; it is left in evaluation mode.
    examples : Examples
        Tokenised rows.
    embeddings : Rows, optional
        Embeddings of the same rows.
    batch_rows : int, default 256
        Rows per forward pass.

    Returns
    -------
    float
        Loss in nats.
    """
    model.eval()
    team, batches = join(), batch_maker(examples, embeddings)
    order = np.argsort(examples.lengths, kind="stable")
    chunks = [order[start : start + batch_rows] for start in range(0, len(order), batch_rows)]
    mine = chunks[team.process_index :: team.num_processes]
    total, tokens = 0.0, 0
    for rows in mine:
        count = int(examples.targets[rows].sum())
        total += _summed(model, batches(rows, 0), count, team.device)
        tokens += count
    if team.num_processes == 1:
        return total / tokens
    if len(mine) < math.ceil(len(chunks) / team.num_processes):
        # A forward pass gathers sharded weights from all processes, so that all must run equally many.
        _summed(model, batches(order[:1], 0), 0, team.device)
    total, tokens = reduce(torch.tensor([total, tokens], dtype=torch.float64, device=team.device), "sum").tolist()
    return total / tokens


def _summed(model: torch.nn.Module, batch: Batch, tokens: int, device: torch.device) -> float:
    return float(model(*(None if part is None else part.to(device) for part in batch))) * tokens


@dataclass(frozen=True)
class Task:
    """Data of one training.

    Attributes
    ----------
    title : str
        Title of the progress bar.
    examples, validation : Examples
        Training and held-out rows.
    embeddings, validation_embeddings : Rows or None
        Embeddings of these rows; None for text-only training.
    noise : float
        Standard deviation of the noise of the training embeddings.
    floors : bool
        Whether to measure the final validation loss also with the embedding of another row, and with their mean.
    """

    title: str
    examples: Examples
    embeddings: Rows | None
    validation: Examples
    validation_embeddings: Rows | None
    noise: float = 0.0
    floors: bool = False


def run(
    task: Task,
    model: ReVisionModel,
    loop: LoopSettings,
    out: str | Path,
    about: dict[str, Any],
    llm_folder: str | Path | None = None,
    finish: Callable[[ReVisionModel], None] | None = None,
    tracker: str | None = None,
) -> None:
    """Train the parameters of `model` that require gradients; write checkpoint, history and manifest.

    Parameters
    ----------
    task : Task
        Training and validation data.
    model : ReVisionModel
        The model to train.
    loop : LoopSettings
        Budget and optimiser.
    out : str or Path
        Folder of the checkpoint. The state that an interrupted training resumes from is stored next to it.
    about : dict
        Description of the training for the manifest; its "seed" is also the seed of the batches.
    llm_folder : str or Path, optional
        Folder of the LLM, if the checkpoint shall only refer to it.
    finish : callable, optional
        Changes the trained model; the last validation loss is computed after it.
    tracker : str, optional
        Experiment tracker, as in `run_loop`.

    Raises
    ------
    ConfigError
        If there is a `finish` but no process has the whole model.
    """
    out = Path(out)
    if finish is not None and is_sharded(Accelerator(mixed_precision=loop.precision)):
        raise ConfigError(f"{out}: correcting the bias takes whole weights; train without FSDP and DeepSpeed")

    def loss(trained: torch.nn.Module, embeddings: Rows | None) -> float:
        return mean_loss(trained, task.validation, embeddings, loop.micro_batch_size or VALIDATION_BATCH)

    def validate(trained: torch.nn.Module) -> float:
        return loss(trained, task.validation_embeddings)

    history, weights = run_loop(
        model,
        task.examples.lengths,
        task.examples.targets,
        batch_maker(task.examples, task.embeddings, task.noise, about["seed"]),
        loop,
        seed=about["seed"],
        state=out.with_name(f"{out.name}.state"),
        validate=validate,
        title=task.title,
        tracker=tracker,
    )
    if finish is not None:
        finish(model)
        history[-1]["validation_loss"] = validate(model)
    if task.floors and task.validation_embeddings is not None and weights is None:  # sharded weights would be gathered
        own = task.validation_embeddings.take(np.arange(len(task.validation.lengths)))
        others = {
            "other_image_loss": np.roll(own, 1, axis=0),
            "mean_image_loss": np.broadcast_to(own.mean(0), own.shape),
        }
        history[-1] |= {name: loss(model, InMemory(rows.copy())) for name, rows in others.items()}
    team = join()
    if team.is_main_process:
        model.save(out, llm_folder, weights)
        with atomic_file(out / "history.csv") as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
            table = csv.DictWriter(file, list(history[-1]), lineterminator="\n")
            table.writeheader()
            table.writerows(history)
        about["loop"] = {name: value for name, value in loop.record().items() if value is not None}
        write_json(out / "manifest.json", about | {"versions": versions()})
    team.wait_for_everyone()  # no process may exit before the checkpoint is complete


def train_language_model(
    table: str | Path,
    validation_rows: int,
    vocabulary: list[str],
    size: LanguageModelSettings,
    loop: LoopSettings,
    *,
    seed: int,
    out: str | Path,
) -> None:
    """Train a small LLM from scratch on captions and reading comprehension; write it in the transformers layout.

    Half of the examples are captions, with the loss on the whole text. The other half are `context question answer`
    with the loss on the answer only, which would otherwise have little weight against the long context.

    Parameters
    ----------
    table : str or Path
        Corpus table with the columns context, question, answer and short.
    validation_rows : int
        Number of rows at the end that are held out; the validation loss is that of their answers.
    vocabulary : list of str
        Vocabulary of the word-level tokenizer.
    size : LanguageModelSettings
        Size of the LLM.
    loop : LoopSettings
        Budget and optimiser.
    seed : int
        Seed of the initial weights and of the batches.
    out : str or Path
        Folder to write.

    Raises
    ------
    ConfigError
        If no rows remain for training.
    DataError
        If the table is not readable or a target is empty.
    """
    columns = read_columns(table, ("context", "question", "answer", "short"))
    tokenizer = word_tokenizer(vocabulary)
    prompts = [
        f"{context} {question_prompt(question)}"
        for context, question in zip(columns["context"], columns["question"], strict=True)
    ]
    held = len(prompts) - validation_rows
    if held <= 0:
        raise ConfigError(
            f"{validation_rows} validation rows leave nothing of {len(prompts)} to train on; hold out fewer"
        )
    examples = tokenise(
        tokenizer, [*prompts[:held], *[""] * held], [*columns["answer"][:held], *columns["short"][:held]]
    )
    answers = tokenise(tokenizer, prompts[held:], columns["answer"][held:])
    model = ReVisionModel(new_llm(size, tokenizer, seed), tokenizer, None)
    task = Task("language model", examples, None, answers, None)
    run(task, model, loop, out, {"stage": "language", "seed": seed, "size": size.record()})


def train_stage1(
    training: Stage1Training,
    loop: LoopSettings,
    projector: ProjectorSettings | None = None,
    tracker: str | None = None,
) -> None:
    """Run Stage 1, modality substitution pretraining: the visual token of row i predicts caption i (Section 5).

    Only the projector is trained. The validation is on images, therefore zero-shot after training on text embeddings.

    Parameters
    ----------
    training : Stage1Training
        Language model, data, seed and output.
    loop : LoopSettings
        Budget and optimiser.
    projector : ProjectorSettings, optional
        Number of visual tokens; default: one.
    tracker : str, optional
        Experiment tracker, as in `run_loop`.

    Raises
    ------
    ConfigError
        If a corrected bias is asked for with sharded weights.
    DataError
        If tables, embeddings or language model are not readable, or their rows do not match.
    """
    join()  # before weights are loaded: under FSDP, only the first process reads them
    table = read_columns(training.captions, ("id", training.column), training.rows)
    visual = load_embeddings(training.embeddings, table["id"])
    language, tokenizer = load_llm(Path(training.llm) / "llm")
    model = ReVisionModel(language, tokenizer, visual.dim, projector=projector, seed=training.seed)
    model.llm.requires_grad_(False)
    held = read_columns(training.validation_captions, ("id", training.column))
    held_visual = load_embeddings(training.validation_embeddings, held["id"], visual.dim)

    def examples_of(columns: dict[str, list]) -> Examples:
        return tokenise_once(tokenizer, [""] * len(columns["id"]), columns[training.column])

    def correct(trained: ReVisionModel) -> None:
        images = load_embeddings(str(training.reference), [], visual.dim)
        correct_bias(trained, moments(visual).mean, moments(images).mean)

    task = Task("stage 1", examples_of(table), visual, examples_of(held), held_visual, training.noise, floors=True)
    about = {"stage": "stage1", "seed": training.seed, "rows": len(table["id"])}
    about |= {"noise": training.noise, "corrected": training.reference is not None}
    llm_folder = training.llm if is_pretrained(training.llm) else None
    run(task, model, loop, training.out, about, llm_folder, correct if training.reference else None, tracker)


@torch.no_grad()
def correct_bias(model: ReVisionModel, text_mean: np.ndarray, image_mean: np.ndarray) -> None:
    """Shift the bias of the projector's first layer so that it reads images as texts of the same content.

    With the first layer's weights W and the input scale s, the bias changes by `-s W (image_mean - text_mean)`: the
    model then reads an image x as it read `x - image_mean + text_mean` before.

    Parameters
    ----------
    model : ReVisionModel
        A model with a projector; changed in place.
    text_mean, image_mean : ndarray of shape (d,)
        Means of the embeddings that it was trained on, and of unpaired images.
    """
    assert model.projector is not None
    first = model.projector.layers[0]
    assert isinstance(first, torch.nn.Linear)
    difference = torch.from_numpy(image_mean - text_mean).to(first.bias)
    first.bias.sub_(model.projector.scale * first.weight @ difference)


def train_stage2(
    training: Stage2Training,
    loop: LoopSettings,
    projector: ProjectorSettings | None = None,
    tracker: str | None = None,
) -> None:
    """Run Stage 2, visual instruction tuning: train projector and LLM on the answers (Section 5).

    Questions without an image have a text embedding in its place; the validation is on images.

    Parameters
    ----------
    training : Stage2Training
        Model to start from, data, seed and output.
    loop : LoopSettings
        Budget and optimiser.
    projector : ProjectorSettings, optional
        Visual tokens of a new projector, if `training.start` has none; default: one.
    tracker : str, optional
        Experiment tracker, as in `run_loop`.

    Raises
    ------
    ConfigError
        If there are embeddings but none of the validation.
    DataError
        If tables, embeddings or checkpoint are not readable, or their rows do not match.
    """
    join()  # before weights are loaded: under FSDP, only the first process reads them
    table = read_columns(training.instructions, ("id", "question", "answer"))
    rows = max(1, round(training.share * len(table["id"])))
    table = {name: values[:rows] for name, values in table.items()}
    held = read_columns(training.validation_instructions, ("id", "question", "answer"))
    model = ReVisionModel.load(training.start)
    folders = [folder for folder in (training.embeddings, training.texts) if folder is not None]
    sets = [load_embeddings(folder, table["id"], model.embedding_dim) for folder in folders]
    visual: Rows | None = sets[0] if sets else None
    if len(sets) == 2:
        visual = Mixture(sets[0], sets[1], rows_with_image(rows, training.images))
    held_visual = None
    if sets:
        if training.validation_embeddings is None:
            raise ConfigError("stage 2: embeddings without image embeddings of the held-out instructions; give both")
        held_visual = load_embeddings(training.validation_embeddings, held["id"], sets[0].dim)
        if model.projector is None:
            model = ReVisionModel(model.llm, model.tokenizer, sets[0].dim, projector=projector, seed=training.seed)

    def examples_of(columns: dict[str, list]) -> Examples:
        return tokenise_once(model.tokenizer, [question_prompt(q) for q in columns["question"]], columns["answer"])

    task = Task("stage 2", examples_of(table), visual, examples_of(held), held_visual)
    about = {"stage": "stage2", "seed": training.seed, "rows": rows, "share": training.share, "images": training.images}
    run(task, model, loop, training.out, about, tracker=tracker)
