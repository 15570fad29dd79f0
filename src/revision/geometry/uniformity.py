"""Alignment of pairs and uniformity on the sphere (Wang and Isola 2020, arXiv:2005.10242)."""

import numpy as np

from revision.embeddings.rows import Array, same_shape, unit_rows
from revision.errors import DataError
from revision.geometry.neighbours import CORPUS, Tile


def alignment(image: Array, text: Array, alpha: float = 2.0) -> float:
    """Mean of the distance of pairs to the power `alpha` (L_align, section 4.1).

    Parameters
    ----------
    image, text : ndarray of shape (n, d)
        Pairs, rows of unit length.
    alpha : float
        Power of the distance. The default gives 2 - 2 c for the mean cosine c of pairs.

    Returns
    -------
    float
        0 for identical pairs.

    Raises
    ------
    DataError
        If the shapes differ, or rows are not of unit length.
    """
    same_shape(image, text)
    difference = unit_rows(image, "image").astype(np.float64) - unit_rows(text, "text")
    return float(np.mean(np.vecdot(difference, difference) ** (alpha / 2)))


def uniformity(embeddings: Array, t: float = 2.0) -> float:
    """Logarithm of the mean Gaussian potential of all pairs of rows (L_uniform, section 4.1).

    It is log mean exp(-t |e_i - e_j|^2) over i < j, computed in tiles.

    Parameters
    ----------
    embeddings : ndarray of shape (n, d)
        Rows of unit length, n >= 2.
    t : float
        Inverse squared width of the Gaussian.

    Returns
    -------
    float
        0 if all rows are equal; uniform directions in many dimensions tend to -2 t. Smaller is more uniform.

    Raises
    ------
    DataError
        If there are fewer than two rows, or rows are not of unit length.
    """
    rows = unit_rows(embeddings, "embeddings")
    if len(rows) < 2:
        raise DataError("uniformity: one row has no pairs; give two or more")
    total, tile = 0.0, Tile(len(rows), len(rows))
    for first in range(0, len(rows), CORPUS):
        for other in range(first, len(rows), CORPUS):
            potential = tile.multiply(rows[first : first + CORPUS], rows[other : other + CORPUS])
            potential -= 1.0  # |a - b|^2 = 2 - 2 a.b on unit rows
            potential *= 2 * t
            np.exp(potential, out=potential)
            if first == other:
                np.fill_diagonal(potential, 0.0)
            # A diagonal tile has each pair twice, the others once.
            total += float(potential.sum(dtype=np.float64)) * (0.5 if first == other else 1.0)
    return float(np.log(2 * total / (len(rows) * (len(rows) - 1))))
