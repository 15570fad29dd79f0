"""Language training and the two stages of ReVision (section 5, appendix H): each one call, tables to checkpoint."""

import csv
import json
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

VALIDATION_BATCH = 256


def load_embeddings(folder: str | Path, ids: list[str], dim: int | None = None) -> EmbeddingSet:
    """The embedding set of a table's first n rows.

    Raises DataError for an altered set, one whose dimension is not `dim`, and where a row's id is not the table's.
    """
    stored = open_embeddings(folder)
    if dim not in (None, stored.dim):
        raise DataError(
            f"{folder}: embeddings of dimension {stored.dim}, the projector reads {dim}; embed with the encoder that "
            "it is trained for"
        )
    if stored.count < len(ids):
        raise DataError(f"{folder}: {stored.count} rows, but the table asks for {len(ids)}; embed the whole table")
    names = stored.ids().slice(0, len(ids)).to_pylist()
    wrong = next((row for row, (a, b) in enumerate(zip(names, ids, strict=True)) if a != b), None)
    if wrong is not None:
        raise DataError(
            f"{folder}: row {wrong} is {names[wrong]!r}, the table has {ids[wrong]!r}; embed this table again"
        )
    return stored


class Rows(Protocol):
    """Embeddings of a table's rows."""

    def take(self, rows: np.ndarray) -> np.ndarray:
        """Those of `rows`, float32 [k, d]."""
        ...


def batch_maker(examples: Examples, embeddings: Rows | None) -> Callable[[np.ndarray], Batch]:
    """A function from row indices to the model's arguments (ids, labels, embeddings or None)."""

    def make(rows: np.ndarray) -> Batch:
        ids, labels = examples.batch(rows)
        return ids, labels, None if embeddings is None else torch.from_numpy(embeddings.take(rows))

    return make


@torch.no_grad()
def mean_loss(
    model: torch.nn.Module, examples: Examples, embeddings: Rows | None, batch_rows: int = VALIDATION_BATCH
) -> float:
    """Mean next-token loss in nats over all target tokens of `examples`; the processes of a training share the rows."""
    model.eval()
    team, make = join(), batch_maker(examples, embeddings)
    order = np.argsort(examples.lengths, kind="stable")
    chunks = [order[start : start + batch_rows] for start in range(0, len(order), batch_rows)]
    mine = chunks[team.process_index :: team.num_processes]
    total, tokens = 0.0, 0
    for rows in mine:
        total += _summed(model, make(rows), int(examples.targets[rows].sum()), team.device)
        tokens += int(examples.targets[rows].sum())
    if team.num_processes == 1:
        return total / tokens
    if len(mine) < math.ceil(len(chunks) / team.num_processes):
        _summed(model, make(order[:1]), 0, team.device)  # sharded weights are gathered by all processes together
    total, tokens = reduce(torch.tensor([total, tokens], dtype=torch.float64, device=team.device), "sum").tolist()
    return total / tokens


def _summed(model: torch.nn.Module, batch: Batch, tokens: int, device: torch.device) -> float:
    return float(model(*(None if part is None else part.to(device) for part in batch))) * tokens


@dataclass(frozen=True)
class Task:
    """What a model is trained on, and the held-out examples whose loss is watched; without embeddings: text alone."""

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
    """Train what of `model` wants gradients on `task` and write the checkpoint, its history and its manifest.

    Parameters
    ----------
    task, model, loop
        What is learned, by what, and with which budget.
    out
        Folder of the checkpoint. The state of a training that was killed lies beside it, and is resumed from.
    about
        What the manifest says of the training; its "seed" is that of the batches.
    llm_folder
        Where the LLM lies if it is not written again.
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
        write_json(out / "manifest.json", json.loads(json.dumps(about)) | {"versions": versions()})
    team.wait_for_everyone()  # so that the launcher ends when all is there


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
    """Train a small LLM from scratch on captions and on reading comprehension; write it in the transformers layout.

    Half of the examples are captions, learned whole; the other half are `context question answer`, learned for the
    answer alone, which so keeps its weight beside the long contexts. The last `validation_rows` rows are held out.
    """
    columns = read_columns(table, ("context", "question", "answer", "short"))
    tokenizer = word_tokenizer(vocabulary)
    prompts = [
        f"{context} {question_prompt(question)}"
        for context, question in zip(columns["context"], columns["question"], strict=True)
    ]
    held = len(prompts) - validation_rows
    if held <= 0:
        raise ConfigError(f"{validation_rows} validation rows leave nothing of {len(prompts)} to train on")
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
    """Modality substitution pretraining: the visual token of row i predicts caption i; only the projector is trained.

    `validation` is (image embeddings, captions table); the caption loss there, on real images, is the zero-shot one.
    """
    join()  # before weights are loaded: FSDP lets the first process alone read them
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
    """Visual instruction tuning on real images: projector and LLM are trained, loss on the answers.

    `start` is a Stage-1 checkpoint, or a language model: then the projector is new, or there is none at all without
    `embeddings` (the text-only row, Blind). `share` of the instructions is used, the first rows.
    """
    join()  # before weights are loaded: FSDP lets the first process alone read them
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
