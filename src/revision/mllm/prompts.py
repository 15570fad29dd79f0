"""Token sequences of all stages: `<bos> [visual token] prompt target <eos>`, with the loss on the target only."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import torch
from transformers import PreTrainedTokenizerBase

from revision.errors import DataError

IGNORE = -100  # label without loss
BLOCK = 4096  # rows per call of the tokenizer


def question_prompt(question: str) -> str:
    """Format a question as in language training, Stage 2 and inference."""
    return f"question : {question} answer :"


@dataclass(frozen=True)
class Examples:
    """Tokenised examples. Position 0 of each is `<bos>`; the model inserts the visual token after it.

    Attributes
    ----------
    tokens : ndarray of int32
        Tokens of all rows, concatenated.
    offsets : ndarray of int64 and shape (n,)
        Index in `tokens` of each row's first token.
    target_starts : ndarray of int64 and shape (n,)
        Position of each row's first target token, within the row.
    lengths : ndarray of int64 and shape (n,)
        Number of tokens of each row.
    pad : int
        Token that pads a batch.
    """

    tokens: np.ndarray
    offsets: np.ndarray
    target_starts: np.ndarray
    lengths: np.ndarray
    pad: int

    @property
    def targets(self) -> np.ndarray:
        """Number of target tokens of each row, shape (n,)."""
        return self.lengths - self.target_starts

    def batch(self, rows: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """Build a batch, right-padded to its longest row.

        Parameters
        ----------
        rows : ndarray of shape (b,)
            Row indices.

        Returns
        -------
        ids, labels : Tensor of shape (b, t)
            Tokens, and labels that are -100 outside the target.
        """
        positions, lengths = np.arange(int(self.lengths[rows].max())), self.lengths[rows, None]
        inside = positions < lengths
        ids = np.full(inside.shape, self.pad, dtype=np.int64)
        ids[inside] = self.tokens[(self.offsets[rows, None] + positions)[inside]]
        in_target = (positions >= self.target_starts[rows, None]) & inside
        return torch.from_numpy(ids), torch.from_numpy(np.where(in_target, ids, IGNORE))


def boundary_tokens(tokenizer: PreTrainedTokenizerBase) -> tuple[int, int]:
    """Return the tokens that begin and end a sequence.

    Parameters
    ----------
    tokenizer : PreTrainedTokenizerBase
        Without a `<bos>` token, sequences begin with `<eos>`, which separates texts.

    Returns
    -------
    bos, eos : int
        Token ids. `eos` also pads: no target attends to padding.

    Raises
    ------
    DataError
        If the tokenizer has no `<eos>` token.
    """
    if tokenizer.eos_token_id is None:
        raise DataError(
            f"tokenizer {tokenizer.name_or_path}: no eos_token to end a text with; set it in tokenizer_config.json"
        )
    bos = tokenizer.eos_token_id if tokenizer.bos_token_id is None else tokenizer.bos_token_id
    return bos, tokenizer.eos_token_id


def tokenise(tokenizer: PreTrainedTokenizerBase, prompts: Sequence[str], targets: Sequence[str]) -> Examples:
    """Tokenise rows `<bos> prompt target <eos>`.

    Parameters
    ----------
    tokenizer : PreTrainedTokenizerBase
        Tokenizer of the language model.
    prompts, targets : sequence of str
        Texts without and with loss; with an empty prompt, the whole text is the target.

    Returns
    -------
    Examples

    Raises
    ------
    DataError
        If a target is empty, or the tokenizer has no `<eos>` token.
    """
    bos, eos = boundary_tokens(tokenizer)
    tokens: list[np.ndarray] = []
    lengths, target_starts = np.empty(len(targets), np.int64), np.empty(len(targets), np.int64)
    for start in range(0, len(targets), BLOCK):
        block = targets[start : start + BLOCK]
        empty = next((row for row, target in enumerate(block, start) if not target.strip()), None)
        if empty is not None:
            raise DataError(f"row {empty}: the target text is empty; remove the row or add a text")
        block_prompts = list(prompts[start : start + BLOCK])
        prompt_ids = tokenizer(block_prompts, add_special_tokens=False)["input_ids"]
        # A space separates prompt and target, as in running text; a word-level tokenizer drops it.
        spaced = [f" {target}" if prompt else target for prompt, target in zip(block_prompts, block, strict=True)]
        target_ids = tokenizer(spaced, add_special_tokens=False)["input_ids"]
        rows = [[bos, *prompt, *target, eos] for prompt, target in zip(prompt_ids, target_ids, strict=True)]
        lengths[start : start + len(rows)] = [len(row) for row in rows]
        target_starts[start : start + len(rows)] = [1 + len(prompt) for prompt in prompt_ids]
        tokens.append(np.fromiter(chain.from_iterable(rows), np.int32))
    return Examples(np.concatenate(tokens), np.cumsum(lengths) - lengths, target_starts, lengths, pad=eos)


def batch_plan(lengths: np.ndarray, batch_size: int, seed: int, window: int = 32) -> list[np.ndarray]:
    """Plan the batches of one epoch, with rows of similar length together to save padding.

    Rows are shuffled, sorted by length within windows, and the batches are shuffled again. The result only depends on
    the arguments, so that a resumed training continues with the same batches.

    Parameters
    ----------
    lengths : ndarray of shape (n,)
        Tokens of each row.
    batch_size : int
        Rows per batch.
    seed : int
        Seed of both shuffles.
    window : int, default 32
        Batches per window.

    Returns
    -------
    list of ndarray
        Row indices of each batch; the last, short batch is dropped unless it is the only one.
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
