"""Language training and the two stages of ReVision (Section 5, Appendix H), each from tables to a checkpoint."""

import csv
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from accelerate.utils import reduce

from revision.config.language_models import LanguageModelSettings
from revision.config.training import LoopSettings
from revision.data.corpus import read_columns
from revision.embeddings import EmbeddingSet, open_embeddings
from revision.errors import ConfigError, DataError
from revision.io.files import atomic_file, write_json
from revision.io.manifest import versions
from revision.mllm.language_models.packaged import is_pretrained
from revision.mllm.language_models.trained import new_llm, word_tokenizer
from revision.mllm.loop import Batch, run_loop
from revision.mllm.model import ReVisionModel, load_llm
from revision.mllm.prompts import Examples, question_prompt, tokenise
from revision.training.processes import join

VALIDATION_BATCH = 256  # rows


def load_embeddings(folder: str | Path, ids: list[str], dim: int | None = None) -> EmbeddingSet:
    """Open the embedding set of a table's first rows.

    Parameters
    ----------
    folder : str or Path
        Folder of the embedding set.
    ids : list of str
        Ids of the table's rows.
    dim : int, optional
        Dimension that the projector expects.

    Returns
    -------
    EmbeddingSet

    Raises
    ------
    DataError
        If the set was changed, has another dimension or fewer rows, or its ids differ from the table's.
    """
    stored = open_embeddings(folder)
    if dim not in (None, stored.dim):
        raise DataError(
            f"{folder}: embeddings of dimension {stored.dim}, the projector reads {dim}; embed with the encoder that "
            "it is trained for"
        )
    if stored.count < len(ids):
        raise DataError(f"{folder}: {stored.count} rows, but the table asks for {len(ids)}; embed the whole table")
    stored_ids = stored.ids().slice(0, len(ids)).to_pylist()
    for row, (stored_id, table_id) in enumerate(zip(stored_ids, ids, strict=True)):
        if stored_id != table_id:
            raise DataError(f"{folder}: row {row} is {stored_id!r}, the table has {table_id!r}; embed this table again")
    return stored


class Rows(Protocol):
    """Embeddings of a table's rows."""

    def take(self, rows: np.ndarray) -> np.ndarray:
        """Return the embeddings of `rows`, float32 of shape (k, d)."""
        ...


def batch_maker(examples: Examples, embeddings: Rows | None) -> Callable[[np.ndarray], Batch]:
    """Return a function that maps row indices to the arguments of `ReVisionModel.forward`.

    Parameters
    ----------
    examples : Examples
        Tokenised rows.
    embeddings : Rows, optional
        Embeddings of the same rows; None for text-only training.

    Returns
    -------
    callable
        Maps an ndarray of row indices to (ids, labels, embeddings or None).
    """

    def make(rows: np.ndarray) -> Batch:
        ids, labels = examples.batch(rows)
        return ids, labels, None if embeddings is None else torch.from_numpy(embeddings.take(rows))

    return make


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
    team, make = join(), batch_maker(examples, embeddings)
    order = np.argsort(examples.lengths, kind="stable")
    chunks = [order[start : start + batch_rows] for start in range(0, len(order), batch_rows)]
    mine = chunks[team.process_index :: team.num_processes]
    total, tokens = 0.0, 0
    for rows in mine:
        count = int(examples.targets[rows].sum())
        total += _summed(model, make(rows), count, team.device)
        tokens += count
    if team.num_processes == 1:
        return total / tokens
    if len(mine) < math.ceil(len(chunks) / team.num_processes):
        # A forward pass gathers sharded weights from all processes, so that all must run equally many.
        _summed(model, make(order[:1]), 0, team.device)
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
    """

    title: str
    examples: Examples
    embeddings: Rows | None
    validation: Examples
    validation_embeddings: Rows | None


def run(
    task: Task,
    model: ReVisionModel,
    loop: LoopSettings,
    out: str | Path,
    about: dict[str, Any],
    llm_folder: str | Path | None = None,
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
    """
    out = Path(out)
    history, weights = run_loop(
        model,
        task.examples.lengths,
        task.examples.targets,
        batch_maker(task.examples, task.embeddings),
        loop,
        seed=about["seed"],
        state=out.with_name(f"{out.name}.state"),
        validate=lambda trained: mean_loss(
            trained, task.validation, task.validation_embeddings, loop.micro_batch_size or VALIDATION_BATCH
        ),
        title=task.title,
    )
    team = join()
    if team.is_main_process:
        model.save(out, llm_folder, weights)
        with atomic_file(out / "history.csv") as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
            table = csv.DictWriter(file, list(history[0]), lineterminator="\n")
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
    llm: str | Path,
    embeddings: str | Path,
    captions: str | Path,
    column: str,
    validation: tuple[str | Path, str | Path],
    loop: LoopSettings,
    *,
    rows: int | None,
    seed: int,
    out: str | Path,
) -> None:
    """Run Stage 1, modality substitution pretraining: the visual token of row i predicts caption i (Section 5).

    Only the projector is trained.

    Parameters
    ----------
    llm : str or Path
        Folder of the language model.
    embeddings : str or Path
        Embedding set of the captions: aligned text embeddings, or image embeddings of the paired baseline.
    captions : str or Path
        Corpus table of the captions.
    column : {"short", "long"}
        Column of the captions.
    validation : tuple of (str or Path)
        Image embeddings and table of held-out captions; on text embeddings, this validation is zero-shot.
    loop : LoopSettings
        Budget and optimiser.
    rows : int or None
        Number of captions to use; None for all.
    seed : int
        Seed of the projector's initial weights and of the batches.
    out : str or Path
        Folder of the checkpoint.

    Raises
    ------
    DataError
        If tables, embeddings or language model are not readable, or their rows do not match.
    """
    join()  # before weights are loaded: under FSDP, only the first process reads them
    table = read_columns(captions, ("id", column), rows)
    visual = load_embeddings(embeddings, table["id"])
    language, tokenizer = load_llm(Path(llm) / "llm")
    model = ReVisionModel(language, tokenizer, visual.dim, seed=seed)
    model.llm.requires_grad_(False)
    examples = tokenise(tokenizer, [""] * len(table["id"]), table[column])
    held = read_columns(validation[1], ("id", column))
    held_visual = load_embeddings(validation[0], held["id"], visual.dim)
    held_examples = tokenise(tokenizer, [""] * len(held["id"]), held[column])
    task = Task("stage 1", examples, visual, held_examples, held_visual)
    about = {"stage": "stage1", "seed": seed, "rows": len(table["id"])}
    run(task, model, loop, out, about, llm if is_pretrained(llm) else None)


def train_stage2(
    start: str | Path,
    embeddings: str | Path | None,
    instructions: str | Path,
    validation: tuple[str | Path | None, str | Path],
    loop: LoopSettings,
    *,
    share: float,
    seed: int,
    out: str | Path,
) -> None:
    """Run Stage 2, visual instruction tuning on real images: train projector and LLM on the answers (Section 5).

    Parameters
    ----------
    start : str or Path
        Stage-1 checkpoint, or a language model, which then gets a new projector.
    embeddings : str or Path or None
        Image embeddings of the instructions; None with a language model trains the text-only row (Blind).
    instructions : str or Path
        Corpus table with the columns id, question and answer.
    validation : tuple of (str or Path or None, str or Path)
        Image embeddings and table of held-out instructions.
    loop : LoopSettings
        Budget and optimiser.
    share : float
        Fraction of the instructions to use, in (0, 1], from the first row.
    seed : int
        Seed of a new projector and of the batches.
    out : str or Path
        Folder of the checkpoint.

    Raises
    ------
    ConfigError
        If `share` is out of range, or `embeddings` are given without those of the validation.
    DataError
        If tables, embeddings or checkpoint are not readable, or their rows do not match.
    """
    join()  # before weights are loaded: under FSDP, only the first process reads them
    if not 0 < share <= 1:
        raise ConfigError(f"share of the Stage-2 data: {share} is not in (0, 1]")
    table = read_columns(instructions, ("id", "question", "answer"))
    rows = max(1, round(share * len(table["id"])))
    table = {name: values[:rows] for name, values in table.items()}
    held = read_columns(validation[1], ("id", "question", "answer"))
    model = ReVisionModel.load(start)
    visual = None if embeddings is None else load_embeddings(embeddings, table["id"], model.embedding_dim)
    held_visual = None
    if visual is not None:
        if validation[0] is None:
            raise ConfigError("stage 2: image embeddings without those of the held-out instructions; give both")
        held_visual = load_embeddings(validation[0], held["id"], visual.dim)
    if model.projector is None and visual is not None:
        model = ReVisionModel(model.llm, model.tokenizer, visual.dim, seed=seed)

    def examples_of(columns: dict[str, list]) -> Examples:
        return tokenise(model.tokenizer, [question_prompt(q) for q in columns["question"]], columns["answer"])

    task = Task("stage 2", examples_of(table), visual, examples_of(held), held_visual)
    run(task, model, loop, out, {"stage": "stage2", "seed": seed, "rows": rows, "share": share})
