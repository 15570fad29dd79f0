"""C3 (arXiv:2401.08567) in both readings (section 2 of the specification).

The ReAlign paper's table calls "C3" a mean shift plus isotropic Gaussian noise. C3 itself subtracts each modality's
own mean and adds noise in training only: there the target moves too (`transform_target`), without noise.
"""

import numpy as np

from revision.align.base import Aligner, Engine
from revision.align.transforms import Noise, Shift, Transform
from revision.embeddings.moments import Rows
from revision.errors import ConfigError


class C3(Aligner):
    """Reading 'shift plus noise': unit(unit(e - mu_y + mu_x) + noise * g), g standard normal in each coordinate.

    The shifted row has unit length before the noise comes, as after every transform. The paper's formula lacks that,
    which changes little: E|e - mu_y + mu_x|^2 = 1 + T_y - T_x, near 1. `noise` is the standard deviation of a
    coordinate, so the noise has a length of about noise * sqrt(d); the paper leaves it open. Row i of a set gets the
    same noise whatever the blocks and threads.
    """

    name = "c3"
    least_rows = 1

    def __init__(self, noise: float = 0.01, seed: int = 0) -> None:
        self.noise = noise
        self.seed = seed

    def _fit(self, source: Rows, target: Rows, engine: Engine) -> list[Transform]:
        self.source_mean_ = engine.moments(source).mean
        self.target_mean_ = engine.moments(target).mean
        return [Shift(1.0, self._shift()), *self._noise()]

    def _shift(self) -> np.ndarray:
        return self.target_mean_ - self.source_mean_

    def _noise(self) -> list[Transform]:
        if not self.noise >= 0:
            raise ConfigError(f"{self.name}: noise must be a number of at least 0, got {self.noise!r}")
        return [Noise(float(self.noise), int(self.seed))] if self.noise else []


class C3Centred(C3):
    """Reading 'each modality minus its own mean': unit(unit(e - mu_y) + noise * g) for the source, unit(e - mu_x) for
    the target.

    A centred row has a length of about sqrt(T_y): added to it as it is, the same noise would weigh 1 / sqrt(T_y) as
    much.
    """

    name = "c3_centred"

    def _shift(self) -> np.ndarray:
        self.target_transforms_ = [Shift(1.0, -self.target_mean_)]
        return -self.source_mean_
