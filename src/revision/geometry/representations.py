"""Do two sets arrange the same items alike? Measures for sets of any two dimensions whose rows correspond.

Rotations and a shift of a whole set leave linear CKA as it is, and a rotation leaves neighbours as they are, so these
compare encoders that share no space (Huh et al. 2024, arXiv:2405.07987; Kornblith et al. 2019, arXiv:1905.00414).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from revision.embeddings.rows import Array, as_rows, measured
from revision.errors import DataError
from revision.geometry.neighbours import nearest_within

LEAST_ROWS = 4


@dataclass(frozen=True)
class Agreement:
    """A measure of two sets, and the same measure with the rows of one set permuted.

    Attributes
    ----------
    value
        The measure.
    null
        Its values under random permutations, [trials].
    """

    value: float
    null: Array

    @property
    def p_value(self) -> float:
        """Share of permutations, the identity among them, that reach `value`."""
        return float((1 + np.sum(self.null >= self.value)) / (1 + len(self.null)))

    @property
    def calibrated(self) -> float:
        """0 for what the mean permutation gives, 1 for perfect agreement."""
        chance = float(self.null.mean())
        return (self.value - chance) / (1 - chance)


def mutual_knn(first: Array, second: Array, k: int = 10) -> float:
    """Share of a row's k nearest neighbours by cosine that both sets have in common, mean over rows.

    The alignment metric of Huh et al. (2024), section 2. Permuted rows give k / (n - 1) on average.

    Parameters
    ----------
    first, second
        Rows that correspond, [n, d] and [n, e], of unit length.
    k
        Number of neighbours; a row is not its own.

    Returns
    -------
    float
        Between 0 and 1.

    Raises
    ------
    DataError
        Sets of different numbers of rows, rows that are not of unit length, or k outside 1 to n - 1.
    """
    _corresponding(first, second)
    return _share_in_common(*(_neighbours(rows, k) for rows in (first, second)))


def mutual_knn_agreement(first: Array, second: Array, k: int = 10, *, trials: int = 99, seed: int = 0) -> Agreement:
    """`mutual_knn` beside its values under `trials` seeded permutations of the rows of `second`."""
    _corresponding(first, second)
    of_first, of_second = (_neighbours(rows, k) for rows in (first, second))

    def permuted(order: Array) -> float:
        # Row i stands for row order[i]: what was called order[j] is called j.
        return _share_in_common(of_first, np.sort(np.argsort(order)[of_second[order]], axis=1))

    return Agreement(_share_in_common(of_first, of_second), _permutations(len(first), permuted, trials, seed))


def linear_cka(first: Array, second: Array) -> float:
    """Linear centred kernel alignment from unbiased estimates of HSIC.

    HSIC_1(K, L) / sqrt(HSIC_1(K, K) HSIC_1(L, L)) with K = X X^T, L = Y Y^T (Kornblith et al. 2019; the estimator is
    equation 5 of Song et al. 2012, used as by Nguyen et al. 2021, arXiv:2010.15327). It is computed from X^T Y and
    sums over rows, so nothing of size n x n is held.

    Parameters
    ----------
    first, second
        Rows that correspond, [n, d] and [n, e], n >= 4.

    Returns
    -------
    float
        1 for equal arrangements; permuted rows give 0 on average, single ones also less.

    Raises
    ------
    DataError
        Sets of different numbers of rows, fewer than four rows, a set whose rows do not vary,
        or a row with NaN or infinity.
    """
    _corresponding(first, second)
    return _cka(_Kernel.of(first), _Kernel.of(second))


def linear_cka_agreement(first: Array, second: Array, *, trials: int = 99, seed: int = 0) -> Agreement:
    """`linear_cka` beside its values under `trials` seeded permutations of the rows of `second`."""
    _corresponding(first, second)
    x, y = _Kernel.of(first), _Kernel.of(second)
    null = _permutations(len(first), lambda order: _cka(x, y.permuted(order)), trials, seed)
    return Agreement(_cka(x, y), null)


@dataclass(frozen=True)
class _Kernel:
    """The linear kernel of centred rows [n, d], its diagonal [n], and row sums [n] without the diagonal."""

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


def _neighbours(rows: Array, k: int) -> Array:
    """Indices of the k nearest other rows, ascending, int64 [n, k]."""
    return np.sort(nearest_within(rows, k)[1], axis=1)


def _share_in_common(first: Array, second: Array) -> float:
    """Mean share of the entries of a row [n, k] that the same row of both has; entries of a row differ."""
    both = np.sort(np.concatenate([first, second], axis=1), axis=1)
    return float((both[:, 1:] == both[:, :-1]).sum() / first.size)


def _permutations(count: int, measure: Callable[[Array], float], trials: int, seed: int) -> Array:
    generator = np.random.default_rng(seed)
    return np.array([measure(generator.permutation(count)) for _ in range(trials)])
