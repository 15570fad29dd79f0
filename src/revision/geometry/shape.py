"""Shape metrics of the follow-up paper (arXiv:2605.07825, section 3): do both modalities vary alike, and how does the
residual of pairs spread?
"""

from dataclasses import dataclass

import numpy as np

from revision.embeddings.rows import Array, measured, same_shape
from revision.errors import DataError
from revision.geometry.spectrum import effective_dimension, eigenvalues, positive


def shape_discrepancy(image: Array, text: Array) -> float:
    """G_S = |S_x - S_y|_F / |S_x|_F of two covariances [d, d]."""
    scale = np.linalg.norm(image)
    if scale == 0:
        raise DataError("shape: the image covariance is zero: all images have the same embedding")
    return float(np.linalg.norm(image - text) / scale)


def spectral_correlation(image: Array, text: Array) -> float:
    """Pearson correlation of descending log-eigenvalues [d], over ranks where both are above the rounding floor."""
    first, second = positive(image), positive(text)
    ranks = min(len(first), len(second))
    if ranks < 3:
        raise DataError(f"shape: only {ranks} common eigenvalues; a correlation needs three")
    return float(np.corrcoef(np.log(first[:ranks]), np.log(second[:ranks]))[0, 1])


def subspace_overlap(image: Array, text: Array, sizes: list[int]) -> dict[int, float]:
    """O_q = |U_x^T U_y|_F^2 / q of the top-q eigenvectors of two covariances [d, d]; q / d is what chance gives."""
    d = len(image)
    if not all(1 <= q <= d for q in sizes):
        raise DataError(f"shape: subspace sizes {sizes} do not fit dimension {d}")
    first, second = (np.linalg.eigh(np.asarray(m, dtype=np.float64))[1][:, ::-1] for m in (image, text))
    squares = (first[:, : max(sizes)].T @ second[:, : max(sizes)]) ** 2
    return {q: float(squares[:q, :q].sum() / q) for q in sizes}


def common_score_share(query_mean: Array, query_covariance: Array, corpus_covariance: Array) -> float:
    """Share of the variance of scores q . c over the corpus that is the same for every query: all meet the same hubs.

    With q = mean + rest, the variance over c is mean^T S_c mean for all queries alike plus, on average over queries,
    tr(S_q S_c) for each its own. Means and covariances are [d] and [d, d]; 0 after subtracting the queries' mean.
    """
    common = float(query_mean @ corpus_covariance @ query_mean)
    own = float(np.sum(query_covariance * corpus_covariance))
    if common + own <= 0:
        raise DataError("shape: scores do not vary over the corpus: all its rows are the same")
    return common / (common + own)


@dataclass(frozen=True)
class Residual:
    """Residual r_i = (x_i - mu_x) - (y_i - mu_y) of pairs, covariance S_r with descending eigenvalues [d].

    anisotropy A_r = lambda_max / (tr S_r / d); effective_dimension tr(S_r)^2 / tr(S_r^2); ratio E|r|^2 / E|x - y|^2,
    the share of the squared pair distance that moving the mean leaves.
    """

    eigenvalues: Array
    anisotropy: float
    effective_dimension: float
    ratio: float


def residual(image: Array, text: Array) -> Residual:
    """Residual metrics of the pairs image[i], text[i], [n, d] each."""
    _, d = same_shape(image, text)
    found = measured(np.asarray(image, dtype=np.float64) - text, covariance=True)
    values = eigenvalues(found.covariance)
    anisotropy = float(values[0] / (positive(values).sum() / d))
    total = found.trace + float(found.mean @ found.mean)
    return Residual(values, anisotropy, effective_dimension(values), found.trace / total)
