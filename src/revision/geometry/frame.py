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
    """Fixed frame (section 3).

    Attributes
    ----------
    U : ndarray of shape (d, r)
        Orthonormal basis of the principal subspace.
    V : ndarray of shape (d, d - r)
        Orthonormal basis of its complement.
    eigenvalues : ndarray of shape (d,)
        Descending eigenvalues of S = Cov(e_x) + Cov(e_y).
    """

    U: Array
    V: Array
    eigenvalues: Array

    @property
    def rank(self) -> int:
        """r, the dimension of U."""
        return self.U.shape[1]

    def project(self, rows: Array) -> tuple[Array, Array]:
        """Return P_U rows and P_V rows, which add up to `rows`, ndarrays of shape (..., d)."""
        inside = (rows @ self.U) @ self.U.T
        return inside, rows - inside


def frame_of(covariance: Array, *, energy: float = FRAME_ENERGY, rank: int | None = None) -> Frame:
    """Compute the frame of a covariance S.

    The paper sets r by an energy threshold without giving its value; its figure 1 logs the top 128 eigenvectors. Signs
    are fixed: the entry of largest magnitude of each vector is positive.

    Parameters
    ----------
    covariance : ndarray of shape (d, d)
        S.
    energy : float
        U spans the fewest leading eigenvectors that explain this fraction of the trace.
    rank : int, optional
        Dimension r of U, in place of `energy`.

    Returns
    -------
    Frame
        Bases U and V.

    Raises
    ------
    ConfigError
        If `energy` is not in (0, 1].
    DataError
        If `rank` is not between 1 and d, or S is zero.
    """
    values, vectors = eigenvectors(covariance)
    values, vectors = np.maximum(values, 0.0), fixed_signs(vectors)
    rank = energy_rank(values, energy) if rank is None else rank
    if not 1 <= rank <= len(values):
        raise DataError(f"frame: rank {rank} does not fit dimension {len(values)}; give 1 to {len(values)}")
    return Frame(vectors[:, :rank], vectors[:, rank:], values)


def fit_frame(
    image: Array | Rows, text: Array | Rows, *, energy: float = FRAME_ENERGY, rank: int | None = None
) -> Frame:
    """Compute the frame of S = Cov(e_x) + Cov(e_y), streaming the rows (section 3).

    Parameters
    ----------
    image, text : ndarray of shape (n, d) and (m, d), or Rows
        Embeddings, which need not be paired.
    energy, rank
        As in `frame_of`.

    Returns
    -------
    Frame
        Bases U and V.

    Raises
    ------
    ConfigError, DataError
        As in `frame_of`; DataError also if the dimensions differ.
    """
    same_dimension(image, text)
    total = measured(image, "image", covariance=True).covariance + measured(text, "text", covariance=True).covariance
    return frame_of(total, energy=energy, rank=rank)


def principal_sines(first: Array, second: Array) -> Array:
    """Sines of the principal angles between two subspaces.

    Parameters
    ----------
    first, second : ndarray of shape (d, r) and (d, q)
        Bases.

    Returns
    -------
    ndarray of shape (min(r, q),)
        Descending; the first is sin theta(U_t, U) of figure 1a.
    """
    return np.sin(subspace_angles(first, second))


def leakage(gradients: Array, frame: Frame) -> float:
    """Leakage of gradients into V, leak_ref (figure 1a).

    Parameters
    ----------
    gradients : ndarray of shape (n, d)
        Gradients with respect to embeddings.
    frame : Frame
        The fixed frame.

    Returns
    -------
    float
        RMS length of P_V gradients over that of the gradients, in [0, 1].

    Raises
    ------
    DataError
        If all gradients are zero.
    """
    total = float(np.sum(np.square(gradients, dtype=np.float64)))
    if total == 0:
        raise DataError("leakage: all gradients are zero; check the loss")
    outside = frame.project(np.asarray(gradients, dtype=np.float64))[1]
    return float(np.sqrt(np.sum(outside**2) / total))
