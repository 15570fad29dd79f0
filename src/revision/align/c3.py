"""C3 (arXiv:2401.08567) in two readings (Section 2).

The tables of the ReAlign paper use the name C3 for a mean shift plus isotropic Gaussian noise (`C3`). The C3 paper
itself subtracts from each modality its own mean, and adds noise in training only (`C3Centred`). There the target is
moved too, by `transform_target`, but without noise.
"""

import numpy as np

from revision.align.base import Aligner
from revision.align.engine import Engine
from revision.align.transforms import Noise, Shift, Transform
from revision.embeddings.moments import Rows
from revision.errors import ConfigError


class C3(Aligner):
    """Mean shift plus Gaussian noise: `unit(unit(e - mu_y + mu_x) + noise * g)` with standard normal `g`.

    Parameters
    ----------
    noise : float, default=0.01
        Standard deviation of the noise in each coordinate, so that its length is about `noise * sqrt(d)`. The paper
        does not state a value.
    seed : int, default=0
        Seed of the noise.

    Attributes
    ----------
    source_mean_, target_mean_ : ndarray of shape (d,)
        Means of the normalised rows of each modality.

    Notes
    -----
    The shifted row is normalised before the noise is added, as after every transform. The formula of the paper does
    not do so, which makes little difference: `E|e - mu_y + mu_x|^2 = 1 + T_y - T_x` is close to 1.

    The noise of a row depends on the seed and on the index of the row only, not on block size or threads.

    References
    ----------
    arXiv:2401.08567.
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
            raise ConfigError(f"{self.name}: noise must be at least 0, got {self.noise!r}")
        return [Noise(float(self.noise), int(self.seed))] if self.noise else []


class C3Centred(C3):
    """Subtract from each modality its own mean, and add noise to the source.

    Source rows become `unit(unit(e - mu_y) + noise * g)`, target rows `unit(e - mu_x)`. Parameters and attributes are
    those of `C3`.

    Notes
    -----
    A centred row has a length of about `sqrt(T_y)`. Without the normalisation before it, the same noise would
    therefore weigh `1 / sqrt(T_y)` times as much.
    """

    name = "c3_centred"

    def _shift(self) -> np.ndarray:
        self.target_transforms_ = [Shift(1.0, -self.target_mean_)]
        return -self.source_mean_
