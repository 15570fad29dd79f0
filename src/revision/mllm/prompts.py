"""Token sequences of every stage: `<bos> [visual token] text <eos>`, with the loss on the target only."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import torch
from transformers import PreTrainedTokenizerBase

from revision.errors import DataError

IGNORE = -100
BLOCK = 4096


def question_prompt(question: str) -> str:
    """Wrap a question into the one prompt format of language training, Stage 2 and inference."""
    return f"question : {question} answer :"


@dataclass(frozen=True)
class Examples:
    """Tokenised examples: `tokens` int32 of all rows one after the other, `first` where a row begins, `starts` its
    first target position, `lengths` its tokens (int64 [n] each), and the token `pad` that fills a batch.

    Position 0 is `<bos>`; a visual token, where there is one, is put after it by the model.
    """

    tokens: np.ndarray
    first: np.ndarray
    starts: np.ndarray
    lengths: np.ndarray
    pad: int

    @property
    def targets(self) -> np.ndarray:
        """Target tokens of every row [n]."""
        return self.lengths - self.starts

    def batch(self, rows: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """Return ids [b, t] and labels [b, t] of `rows`, cut to the longest; labels outside the target are -100."""
        positions, lengths = np.arange(int(self.lengths[rows].max())), self.lengths[rows, None]
        inside = positions < lengths
        ids = np.full(inside.shape, self.pad, dtype=np.int64)
        ids[inside] = self.tokens[(self.first[rows, None] + positions)[inside]]
        in_target = (positions >= self.starts[rows, None]) & inside
        return torch.from_numpy(ids), torch.from_numpy(np.where(in_target, ids, IGNORE))


def ends(tokenizer: PreTrainedTokenizerBase) -> tuple[int, int]:
    """Tokens that begin and end a sequence. A tokenizer without `<bos>` begins with `<eos>`, which separates texts.

    Padding needs no token of its own: it is never attended to from a target. Raises DataError without an `<eos>`.
    """
    if tokenizer.eos_token_id is None:
        raise DataError(
            f"tokenizer {tokenizer.name_or_path}: no eos_token, so no text has an end; set it in tokenizer_config.json"
        )
    first = tokenizer.eos_token_id if tokenizer.bos_token_id is None else tokenizer.bos_token_id
    return first, tokenizer.eos_token_id


def tokenise(tokenizer: PreTrainedTokenizerBase, prompts: Sequence[str], targets: Sequence[str]) -> Examples:
    """Tokenise `<bos> prompt target <eos>` rows; an empty prompt means that the whole text is the target.

    Raises DataError if a target is empty.
    """
    bos, eos = ends(tokenizer)
    tokens: list[np.ndarray] = []
    lengths, starts = np.empty(len(targets), np.int64), np.empty(len(targets), np.int64)
    for start in range(0, len(targets), BLOCK):
        block = targets[start : start + BLOCK]
        empty = next((row for row, target in enumerate(block, start) if not target.strip()), None)
        if empty is not None:
            raise DataError(f"row {empty}: the target text is empty; remove the row or give it a text")
        heads = tokenizer(list(prompts[start : start + BLOCK]), add_special_tokens=False)["input_ids"]
        # A space parts prompt and target, as in running text; a word-level tokenizer drops it.
        pairs = zip(prompts[start : start + BLOCK], block, strict=True)
        parted = [f" {target}" if prompt else target for prompt, target in pairs]
        bodies = tokenizer(parted, add_special_tokens=False)["input_ids"]
        rows = [[bos, *head, *body, eos] for head, body in zip(heads, bodies, strict=True)]
        lengths[start : start + len(rows)] = [len(row) for row in rows]
        starts[start : start + len(rows)] = [1 + len(head) for head in heads]
        tokens.append(np.fromiter(chain.from_iterable(rows), np.int32))
    return Examples(np.concatenate(tokens), np.cumsum(lengths) - lengths, starts, lengths, pad=eos)


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
