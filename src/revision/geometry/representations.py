"""Similarity of two representations of the same items, which may have different dimensions.

Rotation does not change neighbours, and neither rotation nor shift changes linear CKA. Encoders that share no space can
therefore be compared (Huh et al. 2024, arXiv:2405.07987; Kornblith et al. 2019, arXiv:1905.00414).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from revision.embeddings.rows import Array, as_rows, measured, same_shape
from revision.errors import DataError
from revision.geometry.neighbours import nearest_within, shared_neighbours

LEAST_ROWS = 4


@dataclass(frozen=True)
class Agreement:
    """A metric of two sets, and the same metric with the rows of one set permuted.

    Attributes
    ----------
    value : float
        The metric.
    null : ndarray of shape (trials,)
        Its values under random permutations.
    """

    value: float
    null: Array

    @property
    def p_value(self) -> float:
        """Fraction of permutations, including the identity, that reach `value`."""
        return float((1 + np.sum(self.null >= self.value)) / (1 + len(self.null)))

    @property
    def calibrated(self) -> float:
        """The value on a scale where the mean of the permutations is 0 and perfect agreement is 1."""
        chance = float(self.null.mean())
        return (self.value - chance) / (1 - chance)


def mutual_knn(first: Array, second: Array, k: int = 10) -> float:
    """Fraction of the k nearest neighbours that both sets have in common (Huh et al. 2024, section 2).

    Neighbours are by cosine. Permuted rows give k / (n - 1) on average.

    Parameters
    ----------
    first, second : ndarray of shape (n, d) and (n, e)
        Corresponding rows of unit length.
    k : int
        Number of neighbours; a row is not its own neighbour.

    Returns
    -------
    float
        Mean over rows, between 0 and 1.

    Raises
    ------
    DataError
        If the numbers of rows differ, rows are not of unit length, or k is not between 1 and n - 1.
    """
    _corresponding(first, second)
    return shared_neighbours(*(nearest_within(rows, k)[1] for rows in (first, second)))


def mutual_knn_agreement(first: Array, second: Array, k: int = 10, *, trials: int = 99, seed: int = 0) -> Agreement:
    """Compute `mutual_knn`, and its values under `trials` random permutations of the rows of `second`."""
    _corresponding(first, second)
    of_first, of_second = (nearest_within(rows, k)[1] for rows in (first, second))

    def permuted(order: Array) -> float:
        # Row i is now row order[i], and index order[j] is now j.
        return shared_neighbours(of_first, np.argsort(order)[of_second[order]])

    return Agreement(shared_neighbours(of_first, of_second), _permutations(len(first), permuted, trials, seed))


def pairing_score(image: Array, text: Array) -> float:
    """Excess of the mean cosine of pairs over that of permuted pairs, in standard deviations of the permutations.

    Of centred sets, the sum of x_i . y_i over permuted pairs has mean 0 and variance sum_ij (x_i . y_j)^2 / (n - 1), so
    nothing is permuted. A modality gap does not change it.

    Parameters
    ----------
    image, text : ndarray of shape (n, d)
        Corresponding rows of one space, n >= 4.

    Returns
    -------
    float
        About standard normal if the rows are paired at random; 0 if all rows of a set are equal.

    Raises
    ------
    DataError
        If the shapes differ, or there are fewer than four rows.
    """
    same_shape(image, text)
    _corresponding(image, text)
    x, y = (np.asarray(rows, dtype=np.float64) - measured(rows).mean for rows in (image, text))
    variance = float(np.vdot(x.T @ x, y.T @ y)) / (len(x) - 1)
    return float(np.vdot(x, y)) / float(np.sqrt(variance)) if variance > 0 else 0.0


def linear_cka(first: Array, second: Array) -> float:
    """Compute linear centred kernel alignment from unbiased estimates of HSIC.

    HSIC_1(K, L) / sqrt(HSIC_1(K, K) HSIC_1(L, L)) with K = X X^T, L = Y Y^T (Kornblith et al. 2019; the estimator is
    equation 5 of Song et al. 2012, used as by Nguyen et al. 2021, arXiv:2010.15327). It is computed from X^T Y and
    sums over rows, so that no array has n x n entries.

    Parameters
    ----------
    first, second : ndarray of shape (n, d) and (n, e)
        Corresponding rows, n >= 4.

    Returns
    -------
    float
        1 for sets that are equal up to rotation, shift and scale; permuted rows give 0 on average, and can give less.

    Raises
    ------
    DataError
        If the numbers of rows differ, there are fewer than four rows, all rows of a set are equal, or a row has NaN or
        infinity.
    """
    _corresponding(first, second)
    return _cka(_Kernel.of(first), _Kernel.of(second))


def linear_cka_agreement(first: Array, second: Array, *, trials: int = 99, seed: int = 0) -> Agreement:
    """Compute `linear_cka`, and its values under `trials` random permutations of the rows of `second`."""
    _corresponding(first, second)
    x, y = _Kernel.of(first), _Kernel.of(second)
    null = _permutations(len(first), lambda order: _cka(x, y.permuted(order)), trials, seed)
    return Agreement(_cka(x, y), null)


@dataclass(frozen=True)
class _Kernel:
    """Centred rows (n, d), and of their linear kernel the diagonal (n,) and the row sums without it (n,)."""

    rows: Array
    diagonal: Array
    sums: Array

    @classmethod
    def of(cls, embeddings: Array) -> "_Kernel":
        # HSIC_1 does not change when a set is shifted; centred rows lose fewer digits.
        rows = np.asarray(embeddings, dtype=np.float64) - measured(embeddings).mean
        diagonal = np.vecdot(rows, rows)
        return cls(rows, diagonal, rows @ rows.sum(axis=0) - diagonal)

    def permuted(self, order: Array) -> "_Kernel":
        return _Kernel(self.rows[order], self.diagonal[order], self.sums[order])

    def hsic(self, other: "_Kernel") -> float:
        n = len(self.rows)
        cross = self.rows.T @ other.rows
        products = float(np.vdot(cross, cross)) - float(self.diagonal @ other.diagonal)
        totals = float(self.sums.sum()) * float(other.sums.sum()) / ((n - 1) * (n - 2))
        return (products + totals - 2 * float(self.sums @ other.sums) / (n - 2)) / (n * (n - 3))


def _cka(first: _Kernel, second: _Kernel) -> float:
    own = first.hsic(first), second.hsic(second)
    if min(own) <= 0:
        raise DataError("representations: the rows of a set are equal or too few to vary; check the encoder")
    return first.hsic(second) / float(np.sqrt(own[0] * own[1]))


def _corresponding(first: Array, second: Array) -> None:
    counts = as_rows(first, "first").count, as_rows(second, "second").count
    if counts[0] != counts[1]:
        raise DataError(f"representations: {counts[0]} rows against {counts[1]}; row i of one must belong to row i")
    if counts[0] < LEAST_ROWS:
        raise DataError(f"representations: only {counts[0]} rows; give {LEAST_ROWS} or more")


def _permutations(count: int, measure: Callable[[Array], float], trials: int, seed: int) -> Array:
    generator = np.random.default_rng(seed)
    return np.array([measure(generator.permutation(count)) for _ in range(trials)])
