"""DeCap (Li et al. 2023, arXiv:2303.03032): images projected onto a memory of text embeddings."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from revision.align.base import Aligner
from revision.align.capdec import drawn_rows
from revision.align.engine import Engine
from revision.align.transforms import Transform
from revision.embeddings.moments import Rows
from revision.embeddings.rows import take
from revision.errors import ConfigError


@dataclass(frozen=True)
class Memory:
    """e -> unit(softmax(e M^T / temperature) M) for a memory M of shape (m, d) with unit rows."""

    kind: ClassVar[str] = "memory"
    temperature: float
    memory: np.ndarray

    def apply(self, rows: np.ndarray, start: int) -> np.ndarray:
        scores = rows @ self.memory.T
        scores -= scores.max(axis=1, keepdims=True)
        scores /= self.temperature
        # The weights need not sum to 1, because the caller normalises the rows.
        return np.exp(scores, out=scores) @ self.memory


class DeCap(Aligner):
    """Replace each image by the mean of memorised texts, weighted by softmax(cosine / temperature).

    Parameters
    ----------
    temperature : float, default=0.01
        Temperature of the softmax; 0.01 in the authors' code.
    memory : int, default=10000
        Maximum number of texts in the memory, drawn without replacement; 10,000 in the authors' notebook.
    seed : int, default=0
        Seed of the choice of texts.

    Notes
    -----
    DeCap trains its decoder on unchanged text embeddings and projects images at inference. Therefore only the target is
    moved (`transform_target`), and no statistics of the target are used. Projected images are in the cone of the texts.

    Metrics on the texts of the memory itself are too good, because images find their own text in it; fit on other rows.
    A fitted aligner contains the memory, in float64.

    References
    ----------
    arXiv:2303.03032.
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
