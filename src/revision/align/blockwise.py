"""Blockwise covariance alignment (appendix F): whiten and colour in U and in V separately."""

import numpy as np

from revision.align.base import Aligner, Engine, require_positive_trace
from revision.align.covariance import frame, power, shrink
from revision.align.transforms import Linear, Shift, Transform
from revision.embeddings.moments import Rows


class BlockwiseCovariance(Aligner):
    """BC Align: anchor and unit length; in U and in V whiten to and colour with the target's covariance; unit
    length; centroid.

    The frame is that of Cov(target) + Cov(anchored source): U its top eigenvectors with `energy` of the trace, V the
    rest. Covariances are shrunk by `shrinkage` towards their mean eigenvalue, block by block. Roots are symmetric
    (ZCA), the map that moves rows least. `energy` and `shrinkage` are open in the paper.
    """

    name = "bc_align"

    def __init__(self, energy: float = 0.9, shrinkage: float = 0.01, centroid: bool = True) -> None:
        self.energy = energy
        self.shrinkage = shrinkage
        self.centroid = centroid

    def _fit(self, source: Rows, target: Rows, engine: Engine) -> list[Transform]:
        of_target = engine.moments(target, covariance=True)
        anchor = Shift(1.0, of_target.mean - engine.moments(source).mean)
        anchored = engine.moments(source, transforms=[anchor], covariance=True)
        require_positive_trace(target, of_target, self.name)
        require_positive_trace(source, anchored, self.name)
        basis, self.rank_ = frame(of_target.covariance + anchored.covariance, self.energy)
        matrix = np.zeros((source.dim, source.dim))
        for block in (basis[:, : self.rank_], basis[:, self.rank_ :]):
            if block.shape[1]:
                whiten = power(shrink(block.T @ anchored.covariance @ block, self.shrinkage), -0.5)
                colour = power(shrink(block.T @ of_target.covariance @ block, self.shrinkage), 0.5)
                matrix += block @ whiten @ colour @ block.T
        transforms: list[Transform] = [anchor, Linear(matrix, of_target.mean - anchored.mean @ matrix)]
        return transforms + centroid_step(source, of_target.mean, transforms, engine) if self.centroid else transforms


def centroid_step(
    source: Rows, target_mean: np.ndarray, transforms: list[Transform], engine: Engine
) -> list[Transform]:
    """ReAlign's third step after any transforms: e' - mu' + mu_x, then unit length."""
    return [Shift(1.0, target_mean - engine.moments(source, transforms=transforms).mean)]
