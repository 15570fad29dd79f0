"""Shape metrics of the follow-up paper (arXiv:2605.07825, section 3).

They compare the covariances of both modalities, and describe the residual of pairs.
"""

from dataclasses import dataclass

import numpy as np

from revision.embeddings.rows import Array, measured, same_shape
from revision.errors import DataError
from revision.geometry.spectrum import effective_dimension, eigenvalues, positive


def shape_discrepancy(image: Array, text: Array) -> float:
    """Covariance shape discrepancy G_S = |S_x - S_y|_F / |S_x|_F.

    Parameters
    ----------
    image, text : ndarray of shape (d, d)
        Covariances S_x and S_y.

    Returns
    -------
    float
        0 for equal covariances.

    Raises
    ------
    DataError
        If S_x is zero.
    """
    scale = np.linalg.norm(image)
    if scale == 0:
        raise DataError("shape: the image covariance is zero: all images have the same embedding; check the encoder")
    return float(np.linalg.norm(image - text) / scale)


def spectral_correlation(image: Array, text: Array) -> float:
    """Pearson correlation of log eigenvalues of the same rank.

    Parameters
    ----------
    image, text : ndarray of shape (d,)
        Eigenvalues; ranks where either is below the rounding floor are ignored.

    Returns
    -------
    float
        Correlation in [-1, 1].

    Raises
    ------
    DataError
        If fewer than three ranks remain.
    """
    first, second = positive(image), positive(text)
    ranks = min(len(first), len(second))
    if ranks < 3:
        raise DataError(f"shape: only {ranks} common eigenvalues; a correlation needs three or more")
    return float(np.corrcoef(np.log(first[:ranks]), np.log(second[:ranks]))[0, 1])


def subspace_overlap(image: Array, text: Array, sizes: list[int]) -> dict[int, float]:
    """Overlap O_q = |U_x^T U_y|_F^2 / q of the top-q eigenvectors of two covariances.

    Parameters
    ----------
    image, text : ndarray of shape (d, d)
        Covariances.
    sizes : list of int
        Values of q, from 1 to d.

    Returns
    -------
    dict of float
        O_q by q, in [0, 1]; unrelated subspaces give q / d on average.

    Raises
    ------
    DataError
        If a size is not between 1 and d.
    """
    d = len(image)
    if not all(1 <= q <= d for q in sizes):
        raise DataError(f"shape: subspace sizes {sizes} do not fit dimension {d}; give 1 to {d}")
    first, second = (np.linalg.eigh(np.asarray(m, dtype=np.float64))[1][:, ::-1] for m in (image, text))
    squares = (first[:, : max(sizes)].T @ second[:, : max(sizes)]) ** 2
    return {q: float(squares[:q, :q].sum() / q) for q in sizes}


def common_score_share(query_mean: Array, query_covariance: Array, corpus_covariance: Array) -> float:
    """Fraction of the variance of scores q . c over a corpus that all queries have in common.

    The common part ranks the same rows, the hubs, first for every query. With q = mean + rest, the variance over c is
    mean^T S_c mean, the same for all queries, plus tr(S_q S_c) on average over queries.

    Parameters
    ----------
    query_mean : ndarray of shape (d,)
        Mean of the queries.
    query_covariance, corpus_covariance : ndarray of shape (d, d)
        Covariances S_q and S_c.

    Returns
    -------
    float
        In [0, 1]; 0 for centred queries.

    Raises
    ------
    DataError
        If scores do not vary over the corpus.
    """
    common = float(query_mean @ corpus_covariance @ query_mean)
    individual = float(np.sum(query_covariance * corpus_covariance))
    if common + individual <= 0:
        raise DataError("shape: scores do not vary over the corpus: all its rows are the same; check the encoder")
    return common / (common + individual)


@dataclass(frozen=True)
class Residual:
    """Metrics of the residual r_i = (x_i - mu_x) - (y_i - mu_y) of pairs, with covariance S_r.

    Attributes
    ----------
    eigenvalues : ndarray of shape (d,)
        Descending eigenvalues of S_r.
    anisotropy : float
        A_r = lambda_max / (tr S_r / d).
    effective_dimension : float
        tr(S_r)^2 / tr(S_r^2).
    ratio : float
        E|r|^2 / E|x - y|^2, the fraction of the squared pair distance that remains without the mean.
    """

    eigenvalues: Array
    anisotropy: float
    effective_dimension: float
    ratio: float


def residual(image: Array, text: Array) -> Residual:
    """Compute the residual metrics of pairs.

    Parameters
    ----------
    image, text : ndarray of shape (n, d)
        Embeddings of pairs.

    Returns
    -------
    Residual
        Spectrum of the residual and its ratio to the pair distance.

    Raises
    ------
    DataError
        If the shapes differ, or the residual is zero.
    """
    _, d = same_shape(image, text)
    difference = measured(np.asarray(image, dtype=np.float64) - text, covariance=True)
    values = eigenvalues(difference.covariance)
    anisotropy = float(values[0] / (positive(values).sum() / d))
    total = difference.trace + float(difference.mean @ difference.mean)
    return Residual(values, anisotropy, effective_dimension(values), difference.trace / total)
