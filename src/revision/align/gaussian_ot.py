"""Optimal transport between Gaussians fitted to the two modalities: the Bures-Wasserstein map in closed form."""

from revision.align.base import Aligner, require_positive_trace
from revision.align.blockwise import centroid_step
from revision.align.covariance import power, shrink
from revision.align.engine import Engine
from revision.align.transforms import Linear, Transform
from revision.embeddings.moments import Rows


class GaussianOT(Aligner):
    """Optimal transport map between the Gaussians of both modalities.

    Maps a source row to `mu_x + A (e - mu_y)` with `A = S_y^-1/2 (S_y^1/2 S_x S_y^1/2)^1/2 S_y^-1/2`, where S_y and
    S_x are the covariances of source and target, and normalises it to unit length.

    Parameters
    ----------
    shrinkage : float, default=0.01
        Amount by which both covariances are shrunk towards their mean eigenvalue, in [0, 1].
    centroid : bool, default=True
        Whether to apply ReAlign's centroid step afterwards.

    Attributes
    ----------
    matrix_ : ndarray of shape (d, d)
        The symmetric matrix A.
    """

    name = "gaussian_ot"

    def __init__(self, shrinkage: float = 0.01, centroid: bool = True) -> None:
        self.shrinkage = shrinkage
        self.centroid = centroid

    def _fit(self, source: Rows, target: Rows, engine: Engine) -> list[Transform]:
        of_source, of_target = engine.moments(source, covariance=True), engine.moments(target, covariance=True)
        require_positive_trace(source, of_source, self.name)
        require_positive_trace(target, of_target, self.name)
        source_covariance = shrink(of_source.covariance, self.shrinkage)
        root, whiten = power(source_covariance, 0.5), power(source_covariance, -0.5)
        middle = root @ shrink(of_target.covariance, self.shrinkage) @ root
        self.matrix_ = whiten @ power((middle + middle.T) / 2, 0.5) @ whiten
        transforms: list[Transform] = [Linear(self.matrix_, of_target.mean - of_source.mean @ self.matrix_)]
        return transforms + centroid_step(source, of_target.mean, transforms, engine) if self.centroid else transforms
