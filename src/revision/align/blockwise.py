"""Blockwise covariance alignment: whitening and colouring in the subspaces U and V separately (Appendix F)."""

import numpy as np

from revision.align.base import Aligner, require_positive_trace
from revision.align.covariance import frame, power, shrink
from revision.align.engine import Engine
from revision.align.transforms import Linear, Shift, Transform
from revision.embeddings.moments import Rows


class BlockwiseCovariance(Aligner):
    """BC Align: match the target's covariance within two orthogonal subspaces (Appendix F).

    The source is shifted to the target's mean. Then, in the dominant subspace U and in its complement V, it is
    whitened and coloured with the target's covariance. A centroid step ends the alignment. Rows are normalised to
    unit length after each of these steps.

    Parameters
    ----------
    energy : float, default=0.9
        Fraction of the trace that U holds, in (0, 1]. The paper does not state a value.
    shrinkage : float, default=0.01
        Amount by which the covariance of each block is shrunk towards its mean eigenvalue, in [0, 1]. The paper does
        not state a value.
    centroid : bool, default=True
        Whether to apply the centroid step.

    Attributes
    ----------
    rank_ : int
        Dimension of U.

    Notes
    -----
    U and V are spanned by the eigenvectors of Cov(target) + Cov(shifted source). Matrix roots are symmetric (ZCA),
    since of all whitening maps this one moves the rows least.

    References
    ----------
    arXiv:2602.07026, Appendix F.
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
    """Return ReAlign's third step, `e' - mu' + mu_x`, for a source that went through any `transforms`.

    Parameters
    ----------
    source : Rows
        The source rows.
    target_mean : ndarray of shape (d,)
        Mean of the normalised target rows, mu_x.
    transforms : list of Transform
        The transforms before the centroid step.
    engine : Engine
        Runs the pass over the source that measures mu'.

    Returns
    -------
    list of Transform
        A single shift.
    """
    return [Shift(1.0, target_mean - engine.moments(source, transforms=transforms).mean)]
