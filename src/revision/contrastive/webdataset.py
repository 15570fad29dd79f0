"""Training batches of the image-text pairs of webdataset shards."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from revision.contrastive.clip import ClipEncoder, ClipSettings
from revision.data.webdataset import ShardPairs
from revision.errors import DataError
from revision.io.prefetch import ordered_map


def split(pairs: ShardPairs, held_out: int, batch: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the pairs to train on and of `held_out` others, drawn once for all seeds."""
    if len(pairs) < held_out + batch:
        raise DataError(f"shards: {len(pairs)} pairs are too few for {held_out} held out and a batch of {batch}")
    order = np.random.default_rng(0).permutation(len(pairs))
    return np.sort(order[held_out:]), np.sort(order[:held_out])


@dataclass(frozen=True)
class ShardBatches:
    """Training batches, each a pure function of its step; `part` of `parts` processes takes every `parts`-th pair."""

    pairs: ShardPairs
    rows: np.ndarray
    settings: ClipSettings
    model: ClipEncoder
    seed: int
    threads: int = 1
    part: int = 0
    parts: int = 1

    def share(self, part: int, parts: int) -> "ShardBatches":
        """The share of one of `parts` processes."""
        return replace(self, part=part, parts=parts)

    def __call__(self, step: int) -> tuple[Tensor, Tensor]:
        """Images uint8 [batch / parts, s, s, 3] and token numbers of a step."""
        epoch, place = divmod(step, len(self.rows) // self.settings.batch)
        order = np.random.default_rng((self.seed, epoch)).permutation(self.rows)
        first = place * self.settings.batch
        chosen = order[first : first + self.settings.batch][self.part :: self.parts]
        pixels = ordered_map(lambda row: self.pairs.image(row, self.settings.image_size), chosen, self.threads)
        return torch.from_numpy(np.stack(list(pixels))), self.model.tokens([self.pairs.text(row) for row in chosen])
