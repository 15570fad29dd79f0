"""Training batches of image-text pairs from webdataset shards."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from revision.contrastive.clip import ClipEncoder, ClipSettings
from revision.data.webdataset import ShardPairs
from revision.errors import DataError
from revision.io.prefetch import ordered_map


def split(pairs: ShardPairs, held_out: int, batch: int) -> tuple[np.ndarray, np.ndarray]:
    """Split pairs at random into a training set and a held-out set, the same for all seeds.

    Parameters
    ----------
    pairs : ShardPairs
        All pairs.
    held_out : int
        Number of pairs to hold out.
    batch : int
        Batch size; the training set has at least one batch.

    Returns
    -------
    training, held_out : ndarray of int
        Sorted indices of the pairs.

    Raises
    ------
    DataError
        If there are fewer than `held_out` + `batch` pairs.
    """
    if len(pairs) < held_out + batch:
        raise DataError(
            f"shards: {len(pairs)} pairs are too few for {held_out} held out and a batch of {batch}; "
            "add shards or reduce either"
        )
    order = np.random.default_rng(0).permutation(len(pairs))
    return np.sort(order[held_out:]), np.sort(order[:held_out])


@dataclass(frozen=True)
class ShardBatches:
    """Training batches of shards, each a pure function of its step.

    Attributes
    ----------
    pairs : ShardPairs
        All pairs.
    rows : ndarray of int
        Indices of the training pairs.
    settings : ClipSettings
        Batch size and side of the images.
    model : ClipEncoder
        Tokenizer of the texts.
    seed : int
        Seed of the order of the pairs.
    threads : int
        Number of threads that decode images.
    rank, processes : int
        Index of this process and number of processes; each process takes every `processes`-th pair of a batch.
    """

    pairs: ShardPairs
    rows: np.ndarray
    settings: ClipSettings
    model: ClipEncoder
    seed: int
    threads: int = 1
    rank: int = 0
    processes: int = 1

    def local(self, rank: int, processes: int) -> "ShardBatches":
        """Return the batches of process `rank` of `processes`."""
        return replace(self, rank=rank, processes=processes)

    def __call__(self, step: int) -> tuple[Tensor, Tensor]:
        """Return this process's part of the batch of a training step.

        Parameters
        ----------
        step : int
            Training step, from 0.

        Returns
        -------
        pixels : Tensor of shape (batch / processes, s, s, 3), uint8
            Images.
        tokens : Tensor of shape (batch / processes, length)
            Token ids.

        Raises
        ------
        DataError
            If an image or text of the shards cannot be read.
        """
        epoch, position = divmod(step, len(self.rows) // self.settings.batch)
        order = np.random.default_rng((self.seed, epoch)).permutation(self.rows)
        first = position * self.settings.batch
        rows = order[first : first + self.settings.batch][self.rank :: self.processes]
        pixels = ordered_map(lambda row: self.pairs.image(row, self.settings.image_size), rows, self.threads)
        return torch.from_numpy(np.stack(list(pixels))), self.model.tokens([self.pairs.text(row) for row in rows])
