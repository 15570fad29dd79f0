"""The fixed frame: principal subspace U and its complement V at a reference step (section 3, appendix A)."""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import subspace_angles

from revision.embeddings.moments import Rows
from revision.embeddings.rows import Array, measured, same_dimension
from revision.errors import DataError
from revision.geometry.spectrum import eigenvectors, energy_rank, fixed_signs

FRAME_ENERGY = 0.9


@dataclass(frozen=True)
class Frame:
    """Orthonormal bases U [d, r] and V [d, d - r]; descending eigenvalues [d] of S = Cov(e_x) + Cov(e_y)."""

    U: Array
    V: Array
    eigenvalues: Array

    @property
    def rank(self) -> int:
        """r, the dimension of U."""
        return self.U.shape[1]

    def project(self, rows: Array) -> tuple[Array, Array]:
        """P_U rows and P_V rows, [..., d] each; the two add up to `rows`."""
        inside = (rows @ self.U) @ self.U.T
        return inside, rows - inside


def frame_of(covariance: Array, *, energy: float = FRAME_ENERGY, rank: int | None = None) -> Frame:
    """Frame of S [d, d]: U spans the fewest top eigenvectors that hold the share `energy` of its trace, or `rank`.

    The paper sets r by an energy threshold and gives no number in the text; its figure 1 logs the top 128. Signs are
    fixed: each vector's entry of largest size is positive. DataError if `rank` is not between 1 and d.
    """
    values, vectors = eigenvectors(covariance)
    values, vectors = np.maximum(values, 0.0), fixed_signs(vectors)
    rank = energy_rank(values, energy) if rank is None else rank
    if not 1 <= rank <= len(values):
        raise DataError(f"frame: rank {rank} does not fit dimension {len(values)}")
    return Frame(vectors[:, :rank], vectors[:, rank:], values)


def fit_frame(
    image: Array | Rows, text: Array | Rows, *, energy: float = FRAME_ENERGY, rank: int | None = None
) -> Frame:
    """Frame of S = Cov(e_x) + Cov(e_y) of image [n, d] and text [m, d], streamed (see `frame_of`)."""
    same_dimension(image, text)
    total = measured(image, "image", covariance=True).covariance + measured(text, "text", covariance=True).covariance
    return frame_of(total, energy=energy, rank=rank)


def principal_sines(first: Array, second: Array) -> Array:
    """Sines of the principal angles between the spans of [d, r] and [d, q], descending: sin theta(U_t, U) of figure 1a
    is the first.
    """
    return np.sin(subspace_angles(first, second))


def leakage(gradients: Array, frame: Frame) -> float:
    """leak_ref: RMS length of the V part of embedding gradients [n, d] over their RMS length (figure 1a)."""
    total = float(np.sum(np.square(gradients, dtype=np.float64)))
    if total == 0:
        raise DataError("leakage: all gradients are zero")
    outside = frame.project(np.asarray(gradients, dtype=np.float64))[1]
    return float(np.sqrt(np.sum(outside**2) / total))
