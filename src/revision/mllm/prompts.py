"""Token sequences of every stage: `<bos> [visual token] text <eos>`, with the loss on the target only."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from transformers import PreTrainedTokenizerBase

from revision.errors import DataError

IGNORE = -100


def question_prompt(question: str) -> str:
    """Wrap a question into the one prompt format of language training, Stage 2 and inference."""
    return f"question : {question} answer :"


@dataclass(frozen=True)
class Examples:
    """Tokenised examples: `ids` int64 [n, T] right-padded, `starts` first target position, `lengths` tokens a row.

    Position 0 is `<bos>`; a visual token, where there is one, is put after it by the model.
    """

    ids: np.ndarray
    starts: np.ndarray
    lengths: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)

    def batch(self, rows: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """Return ids [b, t] and labels [b, t] of `rows`, cut to the longest; labels outside the target are -100."""
        width = int(self.lengths[rows].max())
        ids = self.ids[rows, :width]
        positions = np.arange(width)
        in_target = (positions >= self.starts[rows, None]) & (positions < self.lengths[rows, None])
        return torch.from_numpy(ids), torch.from_numpy(np.where(in_target, ids, IGNORE))


def tokenise(tokenizer: PreTrainedTokenizerBase, prompts: Sequence[str], targets: Sequence[str]) -> Examples:
    """Tokenise `<bos> prompt target <eos>` rows; an empty prompt means that the whole text is the target.

    Raises DataError if a target is empty.
    """
    empty = next((row for row, target in enumerate(targets) if not target.strip()), None)
    if empty is not None:
        raise DataError(f"row {empty}: the target text is empty; remove the row or give it a text")
    encoded_prompts = tokenizer(list(prompts), add_special_tokens=False)["input_ids"]
    # A space parts prompt and target, as in running text; a word-level tokenizer drops it.
    parted = [f" {target}" if prompt else target for prompt, target in zip(prompts, targets, strict=True)]
    encoded_targets = tokenizer(parted, add_special_tokens=False)["input_ids"]
    bos, eos = tokenizer.bos_token_id, tokenizer.eos_token_id
    rows = [[bos, *p, *t, eos] for p, t in zip(encoded_prompts, encoded_targets, strict=True)]
    lengths = np.array([len(row) for row in rows], dtype=np.int64)
    ids = np.full((len(rows), int(lengths.max())), eos, dtype=np.int64)
    for row, tokens in enumerate(rows):
        ids[row, : len(tokens)] = tokens
    starts = np.array([1 + len(p) for p in encoded_prompts], dtype=np.int64)
    return Examples(ids=ids, starts=starts, lengths=lengths)


def batch_plan(lengths: np.ndarray, batch_size: int, seed: int, window: int = 32) -> list[np.ndarray]:
    """One epoch of batches as row indices, padded by length: shuffled, sorted inside windows, batches shuffled.

    A pure function of its arguments, so that a resumed run sees the batches that the first one would have seen.
    The last, short batch is dropped unless it is the only one.
    """
    generator = np.random.default_rng(seed)
    order = generator.permutation(len(lengths))
    span = batch_size * window
    blocks = [order[i : i + span] for i in range(0, len(order), span)]
    order = np.concatenate([block[np.argsort(lengths[block], kind="stable")] for block in blocks])
    batches = [order[i : i + batch_size] for i in range(0, len(order), batch_size)]
    if len(batches) > 1 and len(batches[-1]) < batch_size:
        batches.pop()
    return [batches[i] for i in generator.permutation(len(batches))]
