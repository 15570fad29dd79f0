"""The modality gap and its exact decomposition in a fixed frame (section 3, appendix A; figure 3)."""

from dataclasses import dataclass

import numpy as np
from xxhash import xxh3_64_intdigest

from revision.embeddings.moments import Rows
from revision.embeddings.rows import Array, measured, same_dimension, same_shape
from revision.errors import DataError
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


def row_contents(rows: Array) -> Array:
    """Return a number for each row of shape (n, d), the same for exactly equal rows."""
    return np.array([xxh3_64_intdigest(row.tobytes()) for row in rows])


def effective_rows(rows: Array, contents: Array | None = None) -> float:
    """Number of independent rows whose mean would vary as much as the mean of these rows, of which some share content.

    The trace T of the covariance over the variance of the mean, which is sum_k |S_k|^2 / n^2 with the sum S_k of the
    centred rows of content k (a cluster-robust variance). It is n without repeated content and Kish's n^2 / sum_k c_k^2
    if rows with the same content, of which content k has c_k, are equal.

    Parameters
    ----------
    rows : ndarray of shape (n, d)
        Embeddings, or differences of pairs.
    contents : ndarray of shape (n,), optional
        What each row shows, such as the id of its image. By default rows share content only if they are exactly equal,
        which misses other captions, or other photographs, of the same content.

    Returns
    -------
    float
        Effective number of rows. It is right where a new sample would bring new contents. Where all samples repeat the
        same fixed set of contents, their means vary less, and it is too small.

    Raises
    ------
    DataError
        If there is not one content for each row, or all rows have the same.
    """
    moments = measured(rows, "rows")
    if contents is None:
        contents = row_contents(rows)
    if len(contents) != len(rows):
        raise DataError(f"contents: {len(contents)} for {len(rows)} rows; give one for each row")
    _, label, counts = np.unique(contents, return_inverse=True, return_counts=True)
    if len(counts) < 2:
        raise DataError("contents: all rows have the same, so that the variance of their mean is unknown; add others")
    repeated = counts[label] > 1
    if not repeated.any():
        return float(len(rows))
    order = np.argsort(label[repeated], kind="stable")
    centred = rows[repeated][order].astype(np.float64) - moments.mean
    sums = np.add.reduceat(centred, np.flatnonzero(np.diff(label[repeated][order], prepend=-1)))
    return float(len(rows) * moments.deviation / (moments.deviation - np.vdot(centred, centred) + np.vdot(sums, sums)))


def gap_noise(image: Array, text: Array, fitted: tuple[float, float], contents: Array | None = None) -> float:
    """RMS gap due to sampling alone, after a map that moves the mean of texts to that of images.

    A gap measured on the same pairs is not distinguishable from zero below it.

    Parameters
    ----------
    image, text : ndarray of shape (n, d)
        Held-out pairs, on which the gap is measured.
    fitted : tuple of float
        Numbers m_x, m_y of independent images and texts that the map was fitted on (`effective_rows`).
    contents : ndarray of shape (n,), optional
        What each pair shows, as for `effective_rows`.

    Returns
    -------
    float
        sqrt(tr Cov(x - y) / m + T_x / m_x + T_y / m_y) with the traces T of both covariances and the effective number m
        of pairs.

    Raises
    ------
    DataError
        If the shapes differ, or `contents` do not fit.
    """
    same_shape(image, text)
    difference = np.asarray(image, dtype=np.float64) - text
    held_out = measured(difference).trace / effective_rows(difference, contents)
    traces = measured(image).trace, measured(text).trace
    return float(np.sqrt(held_out + sum(trace / rows for trace, rows in zip(traces, fitted, strict=True))))


def gap_floor(
    image: Array,
    text: Array,
    fitted: tuple[float, ...] | None = None,
    *,
    paired: bool,
    contents: Array | None = None,
) -> float:
    """RMS gap that sampling alone gives two sets whose distributions have the same mean.

    `gap_noise` is for an aligner that was fitted on unpaired rows and is measured on pairs. Here both are of one kind,
    as they are parts of the same two sets.

    Parameters
    ----------
    image, text : ndarray of shape (n, d) and (m, d)
        The measured rows, after alignment.
    fitted : tuple of float, optional
        Effective number of pairs, or of images and of texts, that an aligner was fitted on: its own sampling error adds
        to that of the measured rows. None: nothing was fitted.
    paired : bool
        Whether row i of one set is the partner of row i of the other, here and in the fit.
    contents : ndarray of shape (n,), optional
        What each pair shows, as for `effective_rows`.

    Returns
    -------
    float
        sqrt(sum_k T_k (1 / n_k + 1 / m_k)) with the trace T_k, and the effective numbers of measured rows n_k and of
        fitted rows m_k: of the differences of pairs or, if they are not paired, of both sets.

    Raises
    ------
    DataError
        If the shapes do not fit, or all rows are the same.
    """
    same_dimension(image, text)
    if paired:
        same_shape(image, text)
        difference = np.asarray(image, dtype=np.float64) - text
        counts = {0: (measured(difference).trace, effective_rows(difference, contents))}
    else:
        counts = {k: (measured(rows).trace, effective_rows(rows)) for k, rows in enumerate((image, text))}
    extra = {} if fitted is None else {k: 1 / fitted[k] for k in counts}
    return float(np.sqrt(sum(trace * (1 / rows + extra.get(k, 0.0)) for k, (trace, rows) in counts.items())))


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
