"""DeCap (Li et al. 2023, arXiv:2303.03032): images projected onto a memory of text embeddings."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from revision.align.base import Aligner, Engine
from revision.align.capdec import drawn_rows
from revision.align.transforms import Transform
from revision.embeddings.moments import Rows
from revision.embeddings.rows import take
from revision.errors import ConfigError


@dataclass(frozen=True)
class Memory:
    """e -> unit(softmax(e M^T / temperature) M); `memory` M is [m, d], unit rows."""

    kind: ClassVar[str] = "memory"
    temperature: float
    memory: np.ndarray

    def apply(self, rows: np.ndarray, start: int) -> np.ndarray:
        scores = rows @ self.memory.T
        scores -= scores.max(axis=1, keepdims=True)
        scores /= self.temperature
        # The sum that makes weights of these does not matter: the caller takes rows to unit length.
        return np.exp(scores, out=scores) @ self.memory


class DeCap(Aligner):
    """Texts stay; an image becomes the mean of memorised texts, weighted by softmax(cosine / temperature). Unpaired.

    DeCap trains its decoder on text embeddings as they are and projects images at inference, so here the
    target moves (`transform_target`) and no target statistics enter. Images lie within the cone of the texts, and what
    no text says is lost. Measured on the texts of the memory itself, images find their own text in it, so numbers of
    alignment and retrieval are too good: fit on other rows. A fitted aligner holds the memory: `memory` x dimension
    float64 numbers.

    Parameters
    ----------
    temperature
        Temperature of the softmax; 0.01 in the authors' code.
    memory
        Number of texts in the memory, drawn from the source without replacement; 10,000 in the authors' notebook.
    seed
        Seed of that draw.
    """

    name = "decap"
    least_rows = 1

    def __init__(self, temperature: float = 0.01, memory: int = 10_000, seed: int = 0) -> None:
        self.temperature = temperature
        self.memory = memory
        self.seed = seed

    def _fit(self, source: Rows, target: Rows, engine: Engine) -> list[Transform]:
        if not self.temperature > 0 or self.memory < 1:
            raise ConfigError(
                f"{self.name}: needs temperature > 0 and memory >= 1, got {self.temperature!r} and {self.memory!r}"
            )
        drawn = take(source, drawn_rows(source.count, self.memory, self.seed), "source")
        self.target_transforms_ = [Memory(float(self.temperature), drawn.astype(np.float64))]
        return []
