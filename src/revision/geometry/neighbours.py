"""Nearest neighbours by cosine, exact, in tiles (figures 5 and 9b; retrieval before and after alignment).

A tile of similarities comes from one matrix product and is scanned once by a compiled loop that keeps each query's
best k. No array grows with rows x rows.
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
    """Put `value` of corpus row `row` at its place among the best k, best first; equal values keep the earlier row."""
    place = similarity.shape[0] - 1
    while place > 0 and similarity[place - 1] < value:
        similarity[place] = similarity[place - 1]
        index[place] = index[place - 1]
        place -= 1
    similarity[place] = value
    index[place] = row


@numba.njit(cache=True, nogil=True)
def _keep_best_of_rows(tile, first, own, similarity, index):
    """Merge tile [q, c], whose column j is corpus row first + j, into the best k of its q rows.

    With `own`, tile row i skips column i.
    """
    columns = tile.shape[1]
    k = similarity.shape[1]
    for i in range(tile.shape[0]):
        for start in range(0, columns, CHUNK):
            stop = min(start + CHUNK, columns)
            # Most chunks hold nothing better than the worst of the best k; the first loop, vectorised, skips them.
            worst = similarity[i, k - 1]
            found = False
            for j in range(start, stop):
                found |= tile[i, j] > worst
            if found:
                for j in range(start, stop):
                    if tile[i, j] > similarity[i, k - 1] and not (own and i == j):
                        _insert(tile[i, j], first + j, similarity[i], index[i])


@numba.njit(cache=True, nogil=True)
def _keep_best_of_columns(tile, first, similarity, index):
    """The same for the c columns of the tile, whose row i is corpus row first + i."""
    columns = tile.shape[1]
    k = similarity.shape[1]
    worst = similarity[:, k - 1].copy()
    for i in range(tile.shape[0]):
        for start in range(0, columns, CHUNK):
            stop = min(start + CHUNK, columns)
            found = False
            for j in range(start, stop):
                found |= tile[i, j] > worst[j]
            if found:
                for j in range(start, stop):
                    if tile[i, j] > worst[j]:
                        _insert(tile[i, j], first + i, similarity[j], index[j])
                        worst[j] = similarity[j, k - 1]


def _empty(count: int, k: int, choice: int) -> tuple[Array, Array]:
    if not 1 <= k <= choice:
        raise DataError(f"neighbours: k = {k}, but there are {choice} rows to choose from")
    return np.full((count, k), -np.inf, dtype=np.float32), np.full((count, k), -1, dtype=np.int64)


def nearest(queries: Array, corpus: Array, k: int) -> tuple[Array, Array]:
    """The k corpus rows of largest cosine for each query.

    queries [n, d] and corpus [m, d] have unit rows. Returns similarity float32 [n, k], best first, and index
    int64 [n, k]. Memory: n k + one tile. DataError if k is not between 1 and m.
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
    """`nearest` of a set [n, d] with itself, each row without itself: each pair of rows is multiplied only once.

    DataError if k is not between 1 and n - 1.
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
    """One reused buffer for the products of some rows with some others: [q, c], q <= QUERIES, c <= CORPUS."""

    def __init__(self, left: int, right: int) -> None:
        self._buffer = np.empty(min(QUERIES, left) * min(CORPUS, right), dtype=np.float32)

    def multiply(self, left: Array, right: Array) -> Array:
        """left [q, d] times right [c, d] transposed; valid until the next call."""
        out = self._buffer[: len(left) * len(right)].reshape(len(left), len(right))
        return np.matmul(left, right.T, out=out)


def mixing_rate(text: Array, image: Array, k: int = 20) -> float:
    """Share of a text's k nearest neighbours in the union of both sets that are images, mean over texts (figure 5).

    text [n, d], image [m, d], unit rows; a text is not its own neighbour. Well-mixed sets give m / (n + m - 1).
    """
    among_texts, _ = nearest_within(text, min(k, len(text) - 1))
    among_images, _ = nearest(text, image, min(k, len(image)))
    both = np.concatenate([among_texts, among_images], axis=1)
    chosen = np.argsort(-both, axis=1, kind="stable")[:, :k]
    return float((chosen >= among_texts.shape[1]).mean())


def neighbour_overlap(before: Array, after: Array, k: int = 10) -> float:
    """Share of a row's k nearest neighbours in its own set that stay; before, after [n, d] (figure 9b)."""
    same_shape(before, after)
    old = nearest_within(before, k)[1]
    new = nearest_within(after, k)[1]
    return float(np.mean([len(np.intersect1d(a, b)) for a, b in zip(old, new, strict=True)]) / k)


@dataclass(frozen=True)
class Retrieval:
    """Recall at k, both ways: the share of queries whose partner is among the k best of the other set."""

    text_to_image: dict[int, float]
    image_to_text: dict[int, float]


@dataclass(frozen=True)
class _Ranks:
    """How many rows of the other set lie above a query's partner, and how many tie with it, int64 [n] each."""

    above: Array
    ties: Array

    @classmethod
    def empty(cls, queries: int) -> "_Ranks":
        return cls(np.zeros(queries, dtype=np.int64), np.zeros(queries, dtype=np.int64))

    def count(self, queries: slice, products: Array, own: Array) -> None:
        """Add a tile of similarities [q, c] of some queries, whose partners have the similarities `own` [q]."""
        larger = np.count_nonzero(products > own[:, None] + TIE, axis=1)
        self.above[queries] += larger
        self.ties[queries] += np.count_nonzero(products >= own[:, None] - TIE, axis=1) - larger

    def hits(self, k: int) -> Array:
        """Chance that the partner is among the k best when its position among its ties is drawn evenly."""
        return np.clip((k - self.above) / (self.ties + 1), 0, 1)


def _ranks(image: Array, text: Array) -> tuple[_Ranks, _Ranks]:
    """Ranks of the partners, texts as queries and images as queries."""
    count, _ = same_shape(image, text)
    left, right = unit_rows(text, "text"), unit_rows(image, "image")
    own = np.einsum("nd,nd->n", left, right)
    of_texts, of_images = _Ranks.empty(count), _Ranks.empty(count)
    tile = Tile(count, count)
    for row in range(0, count, QUERIES):
        rows = slice(row, min(row + QUERIES, count))
        for column in range(0, count, CORPUS):
            columns = slice(column, min(column + CORPUS, count))
            products = tile.multiply(left[rows], right[columns])
            # A partner is neither above itself nor a tie: -2 is below every cosine.
            diagonal = np.arange(max(rows.start, columns.start), min(rows.stop, columns.stop))
            products[diagonal - row, diagonal - column] = -2.0
            # One tile serves both ways: its rows are texts as queries, its columns images as queries.
            of_texts.count(rows, products, own[rows])
            of_images.count(columns, products.T, own[columns])
    return of_texts, of_images


def hits(image: Array, text: Array, k: int = 1) -> tuple[Array, Array]:
    """For each query whether its partner is among the k best: text to image, then image to text, float64 [n] each.

    image[i], text[i] are pairs, [n, d] with unit rows. Similarities within 1e-6 of the pair's own, which float32 does
    not tell apart, count as ties; a value between 0 and 1 is the chance when the place among the ties is drawn evenly.
    """
    of_texts, of_images = _ranks(image, text)
    return of_texts.hits(k), of_images.hits(k)


def hits_without_common_part(image: Array, text: Array, k: int = 1) -> tuple[Array, Array]:
    """`hits` when the mean of all queries is subtracted from each: scores lose the part that all queries share.

    A query's length does not change its ranking, so this differs from `hits` by the common part alone (see
    `revision.geometry.shape.common_score_share`).
    """
    return hits(image, _centred(text), k)[0], hits(_centred(image), text, k)[1]


def _centred(rows: Array) -> Array:
    rest = np.asarray(rows, dtype=np.float64) - np.mean(rows, axis=0, dtype=np.float64)
    return rest / np.linalg.norm(rest, axis=1, keepdims=True)


def retrieval(image: Array, text: Array, at: tuple[int, ...] = (1, 5, 10)) -> Retrieval:
    """R@k of pairs image[i], text[i], [n, d] each with unit rows; ties as in `hits`."""
    return Retrieval(*({k: float(ranks.hits(k).mean()) for k in at} for ranks in _ranks(image, text)))


def pair_cosine(image: Array, text: Array) -> Array:
    """Cosine of each pair, float64 [n], for image, text [n, d] with unit rows."""
    same_shape(image, text)
    return np.einsum("nd,nd->n", image, text, dtype=np.float64)
