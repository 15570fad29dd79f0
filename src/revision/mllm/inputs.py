"""Inputs of a training: tokenised texts, and embeddings of images, of texts or of both, with noise if asked for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from transformers import PreTrainedTokenizerBase

from revision.embeddings import EmbeddingSet, open_embeddings
from revision.errors import DataError
from revision.mllm.loop import Batch
from revision.mllm.prompts import Examples, boundary_tokens, tokenise

IMAGES_SEED = 0  # of the choice of the questions that have an image, the same for all trainings


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


class InMemory:
    """Embeddings of a table's rows as an array.

    Parameters
    ----------
    embeddings : ndarray of shape (n, d)
        One embedding per row of the table.
    """

    def __init__(self, embeddings: np.ndarray) -> None:
        self.embeddings = embeddings

    def take(self, rows: np.ndarray) -> np.ndarray:
        """Return the embeddings of `rows`."""
        return self.embeddings[rows]


@dataclass(frozen=True)
class Mixture:
    """Rows of which some have their image and the others a text.

    Attributes
    ----------
    images, texts : Rows
        Embeddings of the same rows.
    has_image : ndarray of bool and shape (n,)
        Whether a row has its image (`rows_with_image`).
    """

    images: Rows
    texts: Rows
    has_image: np.ndarray

    def take(self, rows: np.ndarray) -> np.ndarray:
        """Return the embeddings of `rows`, float32 of shape (k, d)."""
        with_image = self.has_image[rows]
        embeddings = self.texts.take(rows)
        embeddings[with_image] = self.images.take(rows[with_image])
        return embeddings


def rows_with_image(count: int, fraction: float) -> np.ndarray:
    """Choose the rows that have an image; a row chosen at some fraction is chosen at every larger one.

    Parameters
    ----------
    count : int
        Number of rows n. The choice does not depend on it: more rows keep that of the first.
    fraction : float
        Expected fraction of the rows, in [0, 1].

    Returns
    -------
    ndarray of bool and shape (n,)
    """
    return np.random.default_rng(IMAGES_SEED).random(count) < fraction


def with_noise(embeddings: np.ndarray, deviation: float, seed: int, step: int, rows: np.ndarray) -> np.ndarray:
    """Add Gaussian noise that depends on seed, step and row alone, and normalise to unit length.

    A resumed training, and any split of a batch over processes or micro-batches, has therefore the same noise.

    Parameters
    ----------
    embeddings : ndarray of shape (k, d)
        Embeddings of `rows`.
    deviation : float
        Standard deviation of each coordinate.
    seed : int
        Seed of the training.
    step : int
        Index of the step.
    rows : ndarray of shape (k,)
        Indices of the rows in their table.

    Returns
    -------
    ndarray of shape (k, d)
        float32 rows of unit length.
    """
    generators = [np.random.Generator(np.random.Philox(key=[seed, row], counter=[0, 0, step, 0])) for row in rows]
    noise = np.stack([generator.standard_normal(embeddings.shape[1], np.float32) for generator in generators])
    noisy = embeddings + np.float32(deviation) * noise
    return noisy / np.linalg.norm(noisy, axis=1, keepdims=True)


def batch_maker(
    examples: Examples, embeddings: Rows | None, noise: float = 0.0, seed: int = 0
) -> Callable[[np.ndarray, int], Batch]:
    """Return a function that maps row indices and a step to the arguments of `ReVisionModel.forward`.

    Parameters
    ----------
    examples : Examples
        Tokenised rows.
    embeddings : Rows, optional
        Embeddings of the same rows; None for text-only training.
    noise : float, default 0
        Standard deviation of the noise of each coordinate (`with_noise`).
    seed : int, default 0
        Seed of the noise.

    Returns
    -------
    callable
        Maps an ndarray of row indices and the index of the step to (ids, labels, embeddings or None).
    """

    def make(rows: np.ndarray, step: int) -> Batch:
        ids, labels = examples.batch(rows)
        if embeddings is None:
            return ids, labels, None
        visual = embeddings.take(rows)
        return ids, labels, torch.from_numpy(with_noise(visual, noise, seed, step, rows) if noise else visual)

    return make


@dataclass(frozen=True)
class _Tokenizer:
    """A tokenizer that equals another with the same content."""

    content: Any
    tokenizer: PreTrainedTokenizerBase = field(compare=False)


def tokenise_once(tokenizer: PreTrainedTokenizerBase, prompts: Sequence[str], targets: Sequence[str]) -> Examples:
    """Tokenise rows, or return those of an earlier call; the trainings of a process mostly share their texts.

    Parameters
    ----------
    tokenizer, prompts, targets
        As in `tokenise`.

    Returns
    -------
    Examples
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    content = (boundary_tokens(tokenizer), tokenizer if backend is None else backend.to_str())
    return _tokenised(_Tokenizer(content, tokenizer), tuple(prompts), tuple(targets))


@lru_cache(maxsize=8)
def _tokenised(tokenizer: _Tokenizer, prompts: tuple[str, ...], targets: tuple[str, ...]) -> Examples:
    return tokenise(tokenizer.tokenizer, prompts, targets)
