"""The modality gap and its exact decomposition in a fixed frame (section 3, appendix A; figure 3)."""

from dataclasses import dataclass

import numpy as np

from revision.embeddings.moments import Rows
from revision.embeddings.rows import Array, measured, same_dimension, same_shape
from revision.geometry.frame import Frame


def centroid_gap(image: Array | Rows, text: Array | Rows) -> float:
    """Euclidean distance between the centroids, streamed and in float64 (figure 3).

    Parameters
    ----------
    image, text : ndarray of shape (n, d) and (m, d), or Rows
        Embeddings, which need not be paired.

    Returns
    -------
    float
        The modality gap.

    Raises
    ------
    DataError
        If the dimensions differ.
    """
    same_dimension(image, text)
    return float(np.linalg.norm(measured(image, "image").mean - measured(text, "text").mean))


def gap_noise(image: Array, text: Array, fitted: tuple[int, int]) -> float:
    """RMS gap due to sampling alone, after a map that moves the mean of texts to that of images.

    A gap measured on the same pairs is not distinguishable from zero below it.

    Parameters
    ----------
    image, text : ndarray of shape (n, d)
        Held-out pairs, on which the gap is measured.
    fitted : tuple of int
        Numbers m_x, m_y of independent images and texts that the map was fitted on.

    Returns
    -------
    float
        sqrt(tr Cov(x - y) / n + T_x / m_x + T_y / m_y) with the traces T of both covariances.

    Raises
    ------
    DataError
        If the shapes differ.
    """
    count, _ = same_shape(image, text)
    held_out = measured(np.asarray(image, dtype=np.float64) - text).trace / count
    traces = measured(image).trace, measured(text).trace
    return float(np.sqrt(held_out + sum(trace / rows for trace, rows in zip(traces, fitted, strict=True))))


@dataclass(frozen=True)
class Decomposition:
    """Parts of the pair differences D = e_x - e_y = beta + gamma + delta + zeta, with the mean m of D (section 3).

    Attributes
    ----------
    beta : ndarray of shape (d,)
        Principal mean bias P_U m.
    gamma : ndarray of shape (d,)
        Passive orthogonal bias P_V m.
    delta, zeta : ndarray of shape (n, d)
        Residuals P_U (D - m) and P_V (D - m).
    """

    beta: Array
    gamma: Array
    delta: Array
    zeta: Array

    def energy(self) -> dict[str, float]:
        """Return |beta|^2, |gamma|^2, E|delta|^2 and E|zeta|^2, which add up to E|D|^2."""
        parts = {"beta": self.beta[None], "gamma": self.gamma[None], "delta": self.delta, "zeta": self.zeta}
        return {name: float(np.sum(part**2) / len(part)) for name, part in parts.items()}


def decompose(image: Array, text: Array, frame: Frame) -> Decomposition:
    """Decompose the differences of pairs in a fixed frame (section 3, appendix A).

    Parameters
    ----------
    image, text : ndarray of shape (n, d)
        Embeddings of pairs.
    frame : Frame
        The fixed frame.

    Returns
    -------
    Decomposition
        Exact and in float64.

    Raises
    ------
    DataError
        If the shapes differ.
    """
    same_shape(image, text)
    difference = np.asarray(image, dtype=np.float64) - text
    mean = difference.mean(axis=0)
    beta, gamma = frame.project(mean)
    delta, zeta = frame.project(difference - mean)
    return Decomposition(beta, gamma, delta, zeta)
