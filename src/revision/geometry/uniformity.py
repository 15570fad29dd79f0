"""Alignment of pairs and uniformity on the sphere (Wang and Isola 2020, arXiv:2005.10242)."""

import numpy as np

from revision.embeddings.rows import Array, same_shape, unit_rows
from revision.errors import DataError
from revision.geometry.neighbours import CORPUS, Tile


def alignment(image: Array, text: Array, alpha: float = 2.0) -> float:
    """Mean distance of pairs to the power `alpha`: L_align of Wang and Isola (2020), section 4.1.

    Parameters
    ----------
    image, text
        Pairs image[i], text[i], [n, d] each with unit rows.
    alpha
        Power of the distance. The default gives 2 - 2 times the mean cosine of pairs.

    Returns
    -------
    float
        0 for identical pairs; smaller is closer.

    Raises
    ------
    DataError
        Sets of different shape, or rows that are not of unit length.
    """
    same_shape(image, text)
    difference = unit_rows(image, "image").astype(np.float64) - unit_rows(text, "text")
    return float(np.mean(np.vecdot(difference, difference) ** (alpha / 2)))


def uniformity(embeddings: Array, t: float = 2.0) -> float:
    """Logarithm of the mean Gaussian potential of all pairs of rows: L_uniform of Wang and Isola (2020), section 4.1.

    log mean exp(-t |e_i - e_j|^2) over i < j, computed in tiles.

    Parameters
    ----------
    embeddings
        One set [n, d] with unit rows, n >= 2.
    t
        Inverse squared width of the Gaussian.

    Returns
    -------
    float
        0 where all rows are equal; directions spread evenly in many dimensions tend to -2 t. Smaller is more uniform.

    Raises
    ------
    DataError
        Fewer than two rows, or rows that are not of unit length.
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
            # Off the diagonal of tiles a pair is met once, on it twice.
            total += float(potential.sum(dtype=np.float64)) * (0.5 if first == other else 1.0)
    return float(np.log(2 * total / (len(rows) * (len(rows) - 1))))
