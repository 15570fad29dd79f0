"""Rankings beyond pairs: several captions per image, mixed corpora of images and texts, and classes given as prompts.

Similarities within 1e-6 count as ties, as in `revision.geometry.neighbours`; results are expectations over random
orders of the ties. Similarities are computed in tiles, so that no array has rows x rows entries.
"""

from dataclasses import dataclass

import numba
import numpy as np
from scipy.special import comb

from revision.embeddings.rows import Array, same_dimension, same_shape, unit_rows
from revision.errors import DataError
from revision.geometry.neighbours import CORPUS, QUERIES, TIE, Retrieval, Tile, nearest


@dataclass(frozen=True)
class _Rivals:
    """Numbers of irrelevant rows above the best relevant one and tied with it, and of the best relevant ones, (q,)."""

    above: Array
    ties: Array
    best: Array

    def hits(self, k: int) -> Array:
        """Probability that a relevant row is among the k best, float64 (q,)."""
        left = np.maximum(k - self.above, 0)
        return 1 - comb(self.ties, left) / comb(self.ties + self.best, np.minimum(left, self.ties + self.best))


@numba.njit(cache=True, nogil=True)
def _count(tile, own, query_ids, corpus_ids, above, ties):
    """Count the columns of a tile (q, c) with another id than the row that are above own (q,), or tied with it."""
    for i in range(tile.shape[0]):
        larger = 0
        as_large = 0
        for j in range(tile.shape[1]):
            if query_ids[i] != corpus_ids[j]:
                larger += tile[i, j] > own[i] + TIE
                as_large += tile[i, j] >= own[i] - TIE
        above[i] += larger
        ties[i] += as_large - larger


def _rivals(queries: Array, corpus: Array, own: Array, query_ids: Array, corpus_ids: Array) -> tuple[Array, Array]:
    """Numbers of corpus rows with another id above the similarity `own` (q,) and tied with it, int64 (q,) each."""
    above, ties = np.zeros(len(queries), np.int64), np.zeros(len(queries), np.int64)
    tile = Tile(len(queries), len(corpus))
    for row in range(0, len(queries), QUERIES):
        rows = slice(row, row + QUERIES)
        for column in range(0, len(corpus), CORPUS):
            columns = slice(column, column + CORPUS)
            products = tile.multiply(queries[rows], corpus[columns])
            _count(products, own[rows], query_ids[rows], corpus_ids[columns], above[rows], ties[rows])
    return above, ties


def caption_retrieval(image: Array, text: Array, image_of: Array, at: tuple[int, ...] = (1, 5, 10)) -> Retrieval:
    """Compute recall at k with one or more captions per image, as CLIP_benchmark does for Flickr30k and COCO.

    Text to image: fraction of texts whose image is among the k best. Image to text: fraction of images with at least
    one of their captions among the k best.

    Parameters
    ----------
    image, text : ndarray of shape (n, d) and (m, d)
        Rows of unit length.
    image_of : ndarray of shape (m,), int
        Row of the image that a text belongs to; every image has a text.
    at : tuple of int
        Values of k.

    Returns
    -------
    Retrieval
        Recall in both directions. With `image_of` = 0, ..., n - 1 it equals `revision.geometry.neighbours.retrieval`.

    Raises
    ------
    DataError
        If the dimensions differ, rows are not of unit length, an index is not a row of `image`, or an image has no
        text.
    """
    same_dimension(image, text)
    images, texts, image_of = unit_rows(image, "image"), unit_rows(text, "text"), np.asarray(image_of)
    _check_index(image_of, len(texts), len(images), "image_of")
    captions = np.bincount(image_of, minlength=len(images))
    if not captions.all():
        raise DataError(f"captions: image {int(np.argmin(captions))} has no text; leave it out")
    own = np.einsum("nd,nd->n", texts, images[image_of])
    highest = np.full(len(images), -2.0, np.float32)
    np.maximum.at(highest, image_of, own)
    at_best = np.bincount(image_of, weights=own >= highest[image_of] - TIE, minlength=len(images)).astype(np.int64)
    numbers = np.arange(len(images))
    of_texts = _Rivals(*_rivals(texts, images, own, image_of, numbers), np.ones(len(texts), np.int64))
    of_images = _Rivals(*_rivals(images, texts, highest, numbers, image_of), at_best)
    return Retrieval(*({k: float(found.hits(k).mean()) for k in at} for found in (of_texts, of_images)))


def mixed_modality_ndcg(image: Array, text: Array, k: int = 10, *, among_texts: Array | None = None) -> float:
    """Compute NDCG@k of texts that search for their image among all images and all other texts.

    Mixed-modality search (GR-CLIP and MixBench, arXiv:2507.19054) shows whether texts displace images in the ranking
    for a text. MixBench has separate queries; a set of pairs has none. Therefore each text is a query, the corpus has
    the n images and the n - 1 other texts, and only the image of the query is relevant: the gain is 1 / log2(1 + rank),
    and 0 beyond rank k. `ndcg` with `mixed_documents` follows MixBench itself.

    Parameters
    ----------
    image, text : ndarray of shape (n, d)
        Pairs, rows of unit length.
    k : int
        Length of the ranking.
    among_texts : ndarray of shape (n, j), optional
        Similarities of `nearest_within(text, j)` with j >= k, if known. Further texts change the gain only if they tie
        with the image.

    Returns
    -------
    float
        Between 0 (no image among the k best) and 1 (every image first).

    Raises
    ------
    DataError
        If the shapes differ, or rows are not of unit length.
    """
    count, _ = same_shape(image, text)
    images, texts = unit_rows(image, "image"), unit_rows(text, "text")
    own, numbers = np.einsum("nd,nd->n", texts, images), np.arange(count)
    above, ties = _rivals(texts, images, own, numbers, numbers)
    if among_texts is None:
        more_above, more_ties = _rivals(texts, texts, own, numbers, numbers)
    else:
        more_above = np.count_nonzero(among_texts > own[:, None] + TIE, axis=1)
        more_ties = np.count_nonzero(among_texts >= own[:, None] - TIE, axis=1) - more_above
    above, ties = above + more_above, ties + more_ties
    # Gains of the ranks above + 1 to above + 1 + ties, each as likely: a difference of the gains summed up to a rank.
    summed = np.concatenate([[0.0], np.cumsum(_discounts(k))])
    gains = summed[np.minimum(above + ties + 1, k)] - summed[np.minimum(above, k)]
    return float(np.mean(gains / (ties + 1)))


def ndcg(queries: Array, documents: Array, query_ids: Array, document_ids: Array, k: int = 10) -> float:
    """Compute NDCG@k of queries among documents of any modality; documents with the id of the query are relevant.

    The ideal ranking has all relevant documents first (Järvelin and Kekäläinen 2002). MixBench's script takes the ideal
    over the k retrieved documents only, which is the same if one document is relevant.

    Parameters
    ----------
    queries, documents : ndarray of shape (q, d) and (m, d)
        Rows of unit length, m >= k. Of documents with equal similarity the earlier comes first.
    query_ids, document_ids : array-like of shape (q,) and (m,)
        Ids of one type.
    k : int
        Length of the ranking.

    Returns
    -------
    float
        Mean over queries, between 0 and 1.

    Raises
    ------
    DataError
        If the dimensions differ, rows are not of unit length, k exceeds the number of documents, there is not one id
        per row, or a query has no relevant document.
    """
    query_ids, document_ids = np.asarray(query_ids), np.asarray(document_ids)
    if query_ids.shape != (len(queries),) or document_ids.shape != (len(documents),):
        raise DataError(
            f"ndcg: ids of shapes {query_ids.shape} and {document_ids.shape} for {len(queries)} queries and "
            f"{len(documents)} documents; give one id a row"
        )
    ids, counts = np.unique(document_ids, return_counts=True)
    position = np.minimum(np.searchsorted(ids, query_ids), len(ids) - 1)
    missing = np.flatnonzero(ids[position] != query_ids)
    if len(missing):
        raise DataError(f"ndcg: query {missing[0]} has no relevant document; leave it out")
    gains = _discounts(k)
    retrieved = document_ids[nearest(queries, documents, k)[1]] == query_ids[:, None]
    ideal = np.cumsum(gains)[np.minimum(counts[position], k) - 1]
    return float(np.mean(retrieved @ gains / ideal))


def mixed_documents(image: Array, text: Array, *, weight: float = 0.5, seed: int = 0) -> Array:
    """Draw a corpus as MixBench's script does: a third of the documents text, a third image, a third both.

    Parameters
    ----------
    image, text : ndarray of shape (n, d)
        Image and text of each document, rows of unit length; after alignment if that is to be measured.
    weight : float
        Weight of the text in documents of both.
    seed : int
        Seed of the draw.

    Returns
    -------
    ndarray of shape (n, d), float32
        Rows of unit length.

    Raises
    ------
    DataError
        If the shapes differ, or rows are not of unit length.
    """
    count, _ = same_shape(image, text)
    images, texts = unit_rows(image, "image"), unit_rows(text, "text")
    kind = np.random.default_rng(seed).permutation(count) % 3
    share = np.array([1.0, 0.0, weight])[kind][:, None]
    rows = share * texts + (1 - share) * images
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def class_embeddings(prompts: Array, class_of: Array) -> Array:
    """Compute one embedding per class: the normalised mean of its prompts (CLIP, arXiv:2103.00020, section 3.1.4).

    Parameters
    ----------
    prompts : ndarray of shape (p, d)
        Rows of unit length.
    class_of : ndarray of shape (p,), int
        Class of each prompt, from 0; every class has a prompt.

    Returns
    -------
    ndarray of shape (c, d), float32
        Rows of unit length.

    Raises
    ------
    DataError
        If rows are not of unit length, a class has no prompt, or its prompts sum to zero.
    """
    rows, class_of = unit_rows(prompts, "prompts"), np.asarray(class_of)
    _check_index(class_of, len(rows), None, "class_of")
    total = np.zeros((int(class_of.max()) + 1, rows.shape[1]))
    np.add.at(total, class_of, rows)
    norms = np.linalg.norm(total, axis=1, keepdims=True)
    if not norms.all():
        raise DataError(f"zero-shot: class {int(np.argmin(norms))} has no prompt, or prompts that cancel")
    return (total / norms).astype(np.float32)


def zero_shot_accuracy(image: Array, labels: Array, classes: Array, at: tuple[int, ...] = (1, 5)) -> dict[int, float]:
    """Top-k accuracy of classification by the nearest class embedding (CLIP, arXiv:2103.00020, section 3.1).

    Parameters
    ----------
    image : ndarray of shape (n, d)
        Rows of unit length.
    labels : ndarray of shape (n,), int
        Class of each image.
    classes : ndarray of shape (c, d)
        Class embeddings, as returned by `class_embeddings`.
    at : tuple of int
        Values of k.

    Returns
    -------
    dict of float
        Accuracy by k; 1 if k is at least the number of classes.

    Raises
    ------
    DataError
        If the dimensions differ, rows are not of unit length, or a label is not a class.
    """
    same_dimension(image, classes)
    images, choices, labels = unit_rows(image, "image"), unit_rows(classes, "classes"), np.asarray(labels)
    _check_index(labels, len(images), len(choices), "labels")
    own = np.einsum("nd,nd->n", images, choices[labels])
    rivals = _rivals(images, choices, own, labels, np.arange(len(choices)))
    found = _Rivals(*rivals, np.ones(len(images), np.int64))
    return {k: float(found.hits(k).mean()) for k in at}


def _discounts(k: int) -> Array:
    """Gain of a relevant document at ranks 1 to k, float64 (k,)."""
    return 1 / np.log2(np.arange(2, k + 2))


def _check_index(index: Array, count: int, limit: int | None, name: str) -> None:
    if index.shape != (count,) or index.dtype.kind not in "iu":
        raise DataError(f"{name}: expected {count} integers, got {index.dtype} of shape {index.shape}")
    last = int(index.max()) if limit is None else limit - 1
    wrong = np.flatnonzero((index < 0) | (index > last))
    if len(wrong):
        raise DataError(f"{name}: entry {wrong[0]} is {index[wrong[0]]}; it counts from 0 to {last}")
