"""Nearest neighbours by cosine, exact, in tiles (figures 5 and 9b; retrieval before and after alignment).

A tile of similarities is one matrix product, scanned once by a compiled loop that keeps the best k of each query. No
array has rows x rows entries.
"""

from dataclasses import dataclass

import numba
import numpy as np

from revision.embeddings.rows import Array, same_dimension, same_shape, unit_rows
from revision.errors import DataError

QUERIES = 2048
CORPUS = 2048
CHUNK = 64
TIE = np.float32(1e-6)


@numba.njit(cache=True, nogil=True)
def _insert(value, row, similarity, index):
    """Insert `value` of corpus row `row` into the sorted best k; equal values keep the earlier row first."""
    rank = similarity.shape[0] - 1
    while rank > 0 and similarity[rank - 1] < value:
        similarity[rank] = similarity[rank - 1]
        index[rank] = index[rank - 1]
        rank -= 1
    similarity[rank] = value
    index[rank] = row


@numba.njit(cache=True, nogil=True)
def _keep_best_of_rows(tile, first, skip_diagonal, similarity, index):
    """Merge a tile (q, c), whose column j is corpus row first + j, into the best k of its q rows.

    If `skip_diagonal`, row i ignores column i.
    """
    columns = tile.shape[1]
    k = similarity.shape[1]
    for i in range(tile.shape[0]):
        for start in range(0, columns, CHUNK):
            stop = min(start + CHUNK, columns)
            # Most chunks have nothing better than the worst of the best k; this loop, which vectorises, skips them.
            worst = similarity[i, k - 1]
            candidate = False
            for j in range(start, stop):
                candidate |= tile[i, j] > worst
            if candidate:
                for j in range(start, stop):
                    if tile[i, j] > similarity[i, k - 1] and not (skip_diagonal and i == j):
                        _insert(tile[i, j], first + j, similarity[i], index[i])


@numba.njit(cache=True, nogil=True)
def _keep_best_of_columns(tile, first, similarity, index):
    """Merge a tile (q, c), whose row i is corpus row first + i, into the best k of its c columns."""
    columns = tile.shape[1]
    k = similarity.shape[1]
    worst = similarity[:, k - 1].copy()
    for i in range(tile.shape[0]):
        for start in range(0, columns, CHUNK):
            stop = min(start + CHUNK, columns)
            candidate = False
            for j in range(start, stop):
                candidate |= tile[i, j] > worst[j]
            if candidate:
                for j in range(start, stop):
                    if tile[i, j] > worst[j]:
                        _insert(tile[i, j], first + i, similarity[j], index[j])
                        worst[j] = similarity[j, k - 1]


def _empty(count: int, k: int, choice: int) -> tuple[Array, Array]:
    if not 1 <= k <= choice:
        raise DataError(f"neighbours: k = {k}, but there are {choice} rows to choose from; give 1 to {choice}")
    return np.full((count, k), -np.inf, dtype=np.float32), np.full((count, k), -1, dtype=np.int64)


def nearest(queries: Array, corpus: Array, k: int) -> tuple[Array, Array]:
    """Find the k corpus rows of largest cosine for each query.

    Memory is O(n k) and one tile.

    Parameters
    ----------
    queries : ndarray of shape (n, d)
        Rows of unit length.
    corpus : ndarray of shape (m, d)
        Rows of unit length.
    k : int
        Number of neighbours.

    Returns
    -------
    similarity : ndarray of shape (n, k), float32
        Cosines, descending.
    index : ndarray of shape (n, k), int64
        Corpus rows; equal cosines are in ascending order of the row.

    Raises
    ------
    DataError
        If k is not between 1 and m, the dimensions differ, or rows are not of unit length.
    """
    same_dimension(queries, corpus)
    left, right = unit_rows(queries, "queries"), unit_rows(corpus, "corpus")
    similarity, index = _empty(len(left), k, len(right))
    tile = Tile(len(left), len(right))
    for row in range(0, len(left), QUERIES):
        part = slice(row, row + QUERIES)
        for column in range(0, len(right), CORPUS):
            products = tile.multiply(left[part], right[column : column + CORPUS])
            _keep_best_of_rows(products, column, False, similarity[part], index[part])
    return similarity, index


def nearest_within(embeddings: Array, k: int) -> tuple[Array, Array]:
    """Find the k nearest other rows of each row, multiplying each pair of rows only once.

    Parameters
    ----------
    embeddings : ndarray of shape (n, d)
        Rows of unit length.
    k : int
        Number of neighbours.

    Returns
    -------
    similarity, index : ndarray of shape (n, k)
        As returned by `nearest`.

    Raises
    ------
    DataError
        If k is not between 1 and n - 1, or rows are not of unit length.
    """
    rows = unit_rows(embeddings, "embeddings")
    similarity, index = _empty(len(rows), k, len(rows) - 1)
    tile = Tile(len(rows), len(rows))
    for row in range(0, len(rows), CORPUS):
        part = slice(row, row + CORPUS)
        _keep_best_of_rows(tile.multiply(rows[part], rows[part]), row, True, similarity[part], index[part])
        for later in range(row + CORPUS, len(rows), QUERIES):
            other = slice(later, later + QUERIES)
            products = tile.multiply(rows[other], rows[part])
            _keep_best_of_rows(products, row, False, similarity[other], index[other])
            _keep_best_of_columns(products, later, similarity[part], index[part])
    return similarity, index


class Tile:
    """Reused buffer for a block of similarities.

    Parameters
    ----------
    left, right : int
        Total numbers of rows of both sets; a block has at most QUERIES x CORPUS of them.
    """

    def __init__(self, left: int, right: int) -> None:
        self._buffer = np.empty(min(QUERIES, left) * min(CORPUS, right), dtype=np.float32)

    def multiply(self, left: Array, right: Array) -> Array:
        """Return left (q, d) times right (c, d) transposed, valid until the next call."""
        out = self._buffer[: len(left) * len(right)].reshape(len(left), len(right))
        return np.matmul(left, right.T, out=out)


def mixing_rate(text: Array, image: Array, k: int = 20, *, among_texts: Array | None = None) -> float:
    """Fraction of images among the k nearest neighbours of texts in the union of both sets (figure 5).

    Parameters
    ----------
    text : ndarray of shape (n, d)
        Rows of unit length. A text is not its own neighbour.
    image : ndarray of shape (m, d)
        Rows of unit length.
    k : int
        Number of neighbours.
    among_texts : ndarray of shape (n, j), optional
        Similarities of `nearest_within(text, j)` with j >= min(k, n - 1), if known.

    Returns
    -------
    float
        Mean over texts; sets from the same distribution give m / (n + m - 1).

    Raises
    ------
    DataError
        If there are fewer than two texts, the dimensions differ, or rows are not of unit length.
    """
    if among_texts is None:
        among_texts, _ = nearest_within(text, min(k, len(text) - 1))
    among_images, _ = nearest(text, image, min(k, len(image)))
    both = np.concatenate([among_texts, among_images], axis=1)
    chosen = np.argsort(-both, axis=1, kind="stable")[:, :k]
    return float((chosen >= among_texts.shape[1]).mean())


def neighbour_overlap(before: Array, after: Array, k: int = 10) -> float:
    """Fraction of the k nearest neighbours within a set that alignment keeps (figure 9b).

    Parameters
    ----------
    before, after : ndarray of shape (n, d)
        Rows of unit length before and after alignment.
    k : int
        Number of neighbours.

    Returns
    -------
    float
        Mean over rows.

    Raises
    ------
    DataError
        If the shapes differ, k is not between 1 and n - 1, or rows are not of unit length.
    """
    same_shape(before, after)
    return shared_neighbours(nearest_within(before, k)[1], nearest_within(after, k)[1])


def shared_neighbours(first: Array, second: Array) -> float:
    """Fraction of neighbours that two sets have in common.

    Parameters
    ----------
    first, second : ndarray of shape (n, k)
        Indices as returned by `nearest_within`, of corresponding rows.

    Returns
    -------
    float
        Mean over rows.
    """
    both = np.sort(np.concatenate([first, second], axis=1), axis=1)
    return float(np.count_nonzero(both[:, 1:] == both[:, :-1]) / first.shape[0] / first.shape[1])


@dataclass(frozen=True)
class Retrieval:
    """Recall at k in both directions: the fraction of queries whose partner is among the k best, by k."""

    text_to_image: dict[int, float]
    image_to_text: dict[int, float]


@dataclass(frozen=True)
class _Ranks:
    """Numbers of rows of the other set above the partner of each query, and tied with it, int64 (n,)."""

    above: Array
    ties: Array

    @classmethod
    def empty(cls, queries: int) -> "_Ranks":
        return cls(np.zeros(queries, dtype=np.int64), np.zeros(queries, dtype=np.int64))

    def count(self, queries: slice, products: Array, partner: Array) -> None:
        """Add a tile of similarities (q, c) of some queries; `partner` (q,) are those with their partners."""
        larger = np.count_nonzero(products > partner[:, None] + TIE, axis=1)
        self.above[queries] += larger
        self.ties[queries] += np.count_nonzero(products >= partner[:, None] - TIE, axis=1) - larger

    def hits(self, k: int) -> Array:
        """Probability that the partner is among the k best if its position among ties is uniformly random."""
        return np.clip((k - self.above) / (self.ties + 1), 0, 1)


def _ranks(image: Array, text: Array) -> tuple[_Ranks, _Ranks]:
    """Ranks of the partners of texts as queries, and of images as queries."""
    count, _ = same_shape(image, text)
    left, right = unit_rows(text, "text"), unit_rows(image, "image")
    partner = np.einsum("nd,nd->n", left, right)
    of_texts, of_images = _Ranks.empty(count), _Ranks.empty(count)
    tile = Tile(count, count)
    for row in range(0, count, QUERIES):
        rows = slice(row, min(row + QUERIES, count))
        for column in range(0, count, CORPUS):
            columns = slice(column, min(column + CORPUS, count))
            products = tile.multiply(left[rows], right[columns])
            # A partner neither ranks above itself nor ties with itself: -2 is below every cosine.
            diagonal = np.arange(max(rows.start, columns.start), min(rows.stop, columns.stop))
            products[diagonal - row, diagonal - column] = -2.0
            # One tile serves both directions: its rows are texts as queries, its columns images as queries.
            of_texts.count(rows, products, partner[rows])
            of_images.count(columns, products.T, partner[columns])
    return of_texts, of_images


def hits(image: Array, text: Array, k: int = 1) -> tuple[Array, Array]:
    """Evaluate for each query whether its partner is among the k best.

    Similarities within 1e-6 of the pair's, which float32 does not resolve, count as ties.

    Parameters
    ----------
    image, text : ndarray of shape (n, d)
        Pairs, rows of unit length.
    k : int
        Number of retrieved rows.

    Returns
    -------
    text_to_image, image_to_text : ndarray of shape (n,)
        1 or 0; with ties, the probability of a hit if they are in random order.

    Raises
    ------
    DataError
        If the shapes differ, or rows are not of unit length.
    """
    of_texts, of_images = _ranks(image, text)
    return of_texts.hits(k), of_images.hits(k)


def hits_without_common_part(image: Array, text: Array, k: int = 1) -> tuple[Array, Array]:
    """Evaluate `hits` with centred queries, whose scores lack the part that all queries have in common.

    The length of a query does not change its ranking, so this differs from `hits` by the common part alone (see
    `revision.geometry.shape.common_score_share`).

    Parameters
    ----------
    image, text : ndarray of shape (n, d)
        Pairs, rows of unit length.
    k : int
        Number of retrieved rows.

    Returns
    -------
    text_to_image, image_to_text : ndarray of shape (n,)
        As returned by `hits`.

    Raises
    ------
    DataError
        If the shapes differ, or rows are not of unit length.
    """
    return hits(image, _centred(text), k)[0], hits(_centred(image), text, k)[1]


def _centred(rows: Array) -> Array:
    centred = np.asarray(rows, dtype=np.float64) - np.mean(rows, axis=0, dtype=np.float64)
    return centred / np.linalg.norm(centred, axis=1, keepdims=True)


def retrieval(image: Array, text: Array, at: tuple[int, ...] = (1, 5, 10)) -> Retrieval:
    """Compute recall at several k; ties count as in `hits`.

    Parameters
    ----------
    image, text : ndarray of shape (n, d)
        Pairs, rows of unit length.
    at : tuple of int
        Values of k.

    Returns
    -------
    Retrieval
        Recall in both directions.

    Raises
    ------
    DataError
        If the shapes differ, or rows are not of unit length.
    """
    return Retrieval(*({k: float(ranks.hits(k).mean()) for k in at} for ranks in _ranks(image, text)))


def pair_cosine(image: Array, text: Array) -> Array:
    """Return the cosine of each pair, ndarray of shape (n,), for unit rows `image` and `text` of shape (n, d)."""
    same_shape(image, text)
    return np.einsum("nd,nd->n", image, text, dtype=np.float64)
