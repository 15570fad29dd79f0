"""The modality gap and its exact decomposition in a fixed frame (section 3, appendix A; figure 3)."""

from dataclasses import dataclass

import numpy as np

from revision.embeddings.moments import Rows
from revision.embeddings.rows import Array, measured, same_dimension, same_shape
from revision.geometry.frame import Frame


def centroid_gap(image: Array | Rows, text: Array | Rows) -> float:
    """Euclidean distance of the centroids of image [n, d] and text [m, d]; float64, streamed (figure 3)."""
    same_dimension(image, text)
    return float(np.linalg.norm(measured(image, "image").mean - measured(text, "text").mean))


def gap_noise(image: Array, text: Array, fitted: tuple[int, int]) -> float:
    """Root mean square of the gap that samples alone leave after texts were moved onto the images' mean.

    sqrt(tr Cov(x - y) / n + T_x / m_x + T_y / m_y) for n held-out pairs image[i], text[i], [n, d], and a move fitted
    on `fitted` = (m_x, m_y) independent rows. Below it a gap measured on these pairs cannot be told from none.
    """
    count, _ = same_shape(image, text)
    held_out = measured(np.asarray(image, dtype=np.float64) - text).trace / count
    traces = measured(image).trace, measured(text).trace
    return float(np.sqrt(held_out + sum(trace / rows for trace, rows in zip(traces, fitted, strict=True))))


@dataclass(frozen=True)
class Decomposition:
    """D = beta + gamma + delta + zeta for each pair, D = e_x - e_y, all float64.

    beta [d] principal mean bias P_U m; gamma [d] passive orthogonal bias P_V m; delta [n, d] and zeta [n, d] the
    residuals P_U (D - m) and P_V (D - m).
    """

    beta: Array
    gamma: Array
    delta: Array
    zeta: Array

    def energy(self) -> dict[str, float]:
        """|beta|^2, |gamma|^2, E|delta|^2, E|zeta|^2: together E|D|^2."""
        parts = {"beta": self.beta[None], "gamma": self.gamma[None], "delta": self.delta, "zeta": self.zeta}
        return {name: float(np.sum(part**2) / len(part)) for name, part in parts.items()}


def decompose(image: Array, text: Array, frame: Frame) -> Decomposition:
    """Split the gap of the pairs image[i], text[i], [n, d] each, in `frame`."""
    same_shape(image, text)
    difference = np.asarray(image, dtype=np.float64) - text
    mean = difference.mean(axis=0)
    beta, gamma = frame.project(mean)
    delta, zeta = frame.project(difference - mean)
    return Decomposition(beta, gamma, delta, zeta)
