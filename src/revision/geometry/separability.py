"""Separation of two sets: the gap relative to their spread, and the accuracy of a linear classifier."""

import numpy as np

from revision.embeddings.rows import Array, measured, same_dimension, same_shape, unit_rows
from revision.errors import DataError
from revision.geometry.neighbours import pair_cosine

LEAST_ROWS = 4


def relative_modality_gap(image: Array, text: Array) -> float:
    """Distance of pairs relative to the distances within each set (RMG of Schrodi et al. 2024, arXiv:2404.07983).

    With the distance D = (1 - cosine) / 2: D_pairs / (D_pairs + (D_image + D_text) / 2), where D_image and D_text are
    means over all pairs of different rows of a set. This is the form of the authors' code; other papers divide
    by the distances within the sets only.

    Parameters
    ----------
    image, text : ndarray of shape (n, d)
        Pairs, rows of unit length, n >= 2.

    Returns
    -------
    float
        Between 0 (identical pairs) and 1. 0.5 if pairs are as far apart as two rows of one set.

    Raises
    ------
    DataError
        If the shapes differ, there are fewer than two rows, rows are not of unit length, or all rows are equal.
    """
    count, _ = same_shape(image, text)
    if count < 2:
        raise DataError("separability: one pair has no distances within a set; give two or more")
    pairs = (1 - float(pair_cosine(unit_rows(image, "image"), unit_rows(text, "text")).mean())) / 2
    within = sum(_distance_within(rows) for rows in (image, text)) / 2
    if pairs + within <= 0:
        raise DataError("separability: all rows of both sets are equal, so there is no distance; check the encoder")
    return pairs / (pairs + within)


def _distance_within(rows: Array) -> float:
    """Mean of (1 - cosine) / 2 over pairs of different rows, which is half the unbiased variance."""
    moments = measured(rows)
    return moments.trace * moments.count / (moments.count - 1) / 2


def linear_separability(image: Array, text: Array, *, rows: int = 5000, seed: int = 0) -> float:
    """Held-out accuracy of a logistic regression that distinguishes images from texts (Fill the Gap, arXiv:2505.03703).

    The same number of rows of each set is drawn; half of them are for fitting. Coordinates are standardised, so that
    the strength of the L2 penalty (scikit-learn's default) does not depend on their scale.

    Parameters
    ----------
    image, text : ndarray of shape (n, d) and (m, d)
        Unpaired rows of unit length.
    rows : int
        Maximum number of rows of each set.
    seed : int
        Seed of the choice of rows.

    Returns
    -------
    float
        1 if a plane separates the sets, about 0.5 if the classifier is at chance. It can be below 0.5 after an aligner
        that was fitted on these rows and made their means equal: the means of the two halves then differ in opposite
        directions.

    Raises
    ------
    DataError
        If the dimensions differ, rows are not of unit length, or a set has fewer than four rows.
    """
    from sklearn.linear_model import LogisticRegression  # late: slow to import
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    same_dimension(image, text)
    image, text = unit_rows(image, "image"), unit_rows(text, "text")
    size = min(rows, len(image), len(text)) // 2 * 2
    if size < LEAST_ROWS:
        raise DataError(f"separability: {len(image)} images and {len(text)} texts; give {LEAST_ROWS} or more of each")
    generator = np.random.default_rng(seed)
    drawn = [part[generator.permutation(len(part))[:size]].astype(np.float64) for part in (image, text)]
    fitted, held_out = (np.concatenate([part[half::2] for part in drawn]) for half in (0, 1))
    labels = np.repeat([0, 1], size // 2)
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(fitted, labels)
    return float(model.score(held_out, labels))
