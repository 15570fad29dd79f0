"""Rankings beyond pairs row by row: several captions an image, a corpus of images and texts, classes as texts.

Similarities within 1e-6 count as ties, as in `revision.geometry.neighbours`: a number is its expectation when the order
among ties is drawn evenly. Similarities are scanned in tiles; memory grows with rows, not with rows x rows.
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
    """What competes with the relevant rows of a query, int64 [q] each.

    `above` counts irrelevant rows above the best relevant one, `ties` those that tie with it, `best` relevant rows that
    share the best similarity.
    """

    above: Array
    ties: Array
    best: Array

    def hits(self, k: int) -> Array:
        """Chance that a relevant row is among the k best, float64 [q]."""
        left = np.maximum(k - self.above, 0)
        return 1 - comb(self.ties, left) / comb(self.ties + self.best, np.minimum(left, self.ties + self.best))


@numba.njit(cache=True, nogil=True)
def _count(tile, own, query_ids, corpus_ids, above, ties):
    """Add the columns of tile [q, c] of another id whose values lie above own [q], or tie with it."""
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
    """Numbers of corpus rows of another id above and at the similarity `own` [q], int64 [q] each."""
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
    """R@k where an image has one caption or more, as CLIP_benchmark and papers on Flickr30k and COCO count it.

    Text to image: share of texts whose image is among the k best. Image to text: share of images with at least one of
    their captions among the k best.

    Parameters
    ----------
    image, text
        [n, d] and [m, d], unit rows.
    image_of
        Row of the image that a text belongs to, integers [m]; every image has a text.
    at
        Values of k.

    Returns
    -------
    Retrieval
        Recall by k, both ways. With `image_of` = 0 .. n - 1 it is `revision.geometry.neighbours.retrieval`.

    Raises
    ------
    DataError
        Sets of different dimension, rows that are not of unit length, or indices that are no images or miss one.
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


def mixed_modality_ndcg(image: Array, text: Array, k: int = 10) -> float:
    """NDCG@k of texts that search their image among all images and all other texts.

    Mixed-modality search (GR-CLIP and MixBench, arXiv:2507.19054) asks whether texts crowd images out of the ranking of
    a text. MixBench has queries apart from its documents; a set of pairs has none. So each text is a query here, the
    corpus holds the n images and the n - 1 other texts, and its own image alone is relevant: the gain is
    1 / log2(1 + rank), 0 beyond rank k. `ndcg` with `mixed_documents` is MixBench's own form.

    Parameters
    ----------
    image, text
        Pairs image[i], text[i], [n, d] each with unit rows.
    k
        Length of the ranking that counts.

    Returns
    -------
    float
        Between 0 (no image among the k best) and 1 (every image at the top).

    Raises
    ------
    DataError
        Sets of different shape, or rows that are not of unit length.
    """
    count, _ = same_shape(image, text)
    images, texts = unit_rows(image, "image"), unit_rows(text, "text")
    own, numbers = np.einsum("nd,nd->n", texts, images), np.arange(count)
    parts = [_rivals(texts, corpus, own, numbers, numbers) for corpus in (images, texts)]
    above, ties = (np.sum(part, axis=0) for part in zip(*parts, strict=True))
    # Gains of the ranks above + 1 to above + 1 + ties, each as likely: a difference of the gains summed up to a rank.
    summed = np.concatenate([[0.0], np.cumsum(_discounts(k))])
    gains = summed[np.minimum(above + ties + 1, k)] - summed[np.minimum(above, k)]
    return float(np.mean(gains / (ties + 1)))


def ndcg(queries: Array, documents: Array, query_ids: Array, document_ids: Array, k: int = 10) -> float:
    """NDCG@k of queries among documents of any modality; a document is relevant where it has the query's id.

    The ideal ranking has all relevant documents first (Järvelin and Kekäläinen 2002). MixBench's script takes the
    ideal over the k retrieved documents only: the same wherever one document is relevant.

    Parameters
    ----------
    queries, documents
        [q, d] and [m, d], unit rows, m >= k. Of documents with equal similarity the earlier comes first.
    query_ids, document_ids
        Ids [q] and [m] of any one type.
    k
        Length of the ranking that counts.

    Returns
    -------
    float
        Mean over queries, between 0 and 1.

    Raises
    ------
    DataError
        Sets of different dimension, rows that are not of unit length, k beyond the documents, ids that do not fit the
        rows, or a query without a relevant document.
    """
    query_ids, document_ids = np.asarray(query_ids), np.asarray(document_ids)
    if query_ids.shape != (len(queries),) or document_ids.shape != (len(documents),):
        raise DataError(
            f"ndcg: ids of shapes {query_ids.shape} and {document_ids.shape} for {len(queries)} queries and "
            f"{len(documents)} documents; give one id a row"
        )
    ids, counts = np.unique(document_ids, return_counts=True)
    place = np.minimum(np.searchsorted(ids, query_ids), len(ids) - 1)
    missing = np.flatnonzero(ids[place] != query_ids)
    if len(missing):
        raise DataError(f"ndcg: query {missing[0]} has no relevant document; leave it out")
    gains = _discounts(k)
    retrieved = document_ids[nearest(queries, documents, k)[1]] == query_ids[:, None]
    ideal = np.cumsum(gains)[np.minimum(counts[place], k) - 1]
    return float(np.mean(retrieved @ gains / ideal))


def mixed_documents(image: Array, text: Array, *, weight: float = 0.5, seed: int = 0) -> Array:
    """A corpus as MixBench's script draws it: a third of the documents text, a third image, a third both.

    Parameters
    ----------
    image, text
        The two sides of each document, [n, d] each with unit rows; for an aligner, both sides as it moves them.
    weight
        Weight of the text in a document of both.
    seed
        Seed of the draw.

    Returns
    -------
    Array
        float32 [n, d], unit rows.

    Raises
    ------
    DataError
        Sets of different shape, or rows that are not of unit length.
    """
    count, _ = same_shape(image, text)
    images, texts = unit_rows(image, "image"), unit_rows(text, "text")
    kind = np.random.default_rng(seed).permutation(count) % 3
    share = np.array([1.0, 0.0, weight])[kind][:, None]
    rows = share * texts + (1 - share) * images
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def class_embeddings(prompts: Array, class_of: Array) -> Array:
    """One embedding a class: the mean of its prompts' embeddings at unit length (CLIP, arXiv:2103.00020, 3.1.4).

    Parameters
    ----------
    prompts
        [p, d], unit rows.
    class_of
        Class of each prompt, integers [p] from 0; every class has a prompt.

    Returns
    -------
    Array
        float32 [classes, d], unit rows.

    Raises
    ------
    DataError
        Rows that are not of unit length, or a class whose prompts are missing or cancel.
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
    """Top-k accuracy of images that take the class of the nearest class embedding (CLIP, arXiv:2103.00020, 3.1).

    Parameters
    ----------
    image
        [n, d], unit rows.
    labels
        Class of each image, integers [n].
    classes
        [c, d], unit rows, as `class_embeddings` gives them.
    at
        Values of k.

    Returns
    -------
    dict
        Accuracy by k; 1 where k reaches the number of classes.

    Raises
    ------
    DataError
        Sets of different dimension, rows that are not of unit length, or labels that are no classes.
    """
    same_dimension(image, classes)
    images, choices, labels = unit_rows(image, "image"), unit_rows(classes, "classes"), np.asarray(labels)
    _check_index(labels, len(images), len(choices), "labels")
    own = np.einsum("nd,nd->n", images, choices[labels])
    rivals = _rivals(images, choices, own, labels, np.arange(len(choices)))
    found = _Rivals(*rivals, np.ones(len(images), np.int64))
    return {k: float(found.hits(k).mean()) for k in at}


def _discounts(k: int) -> Array:
    """Gain of a relevant document at ranks 1 to k, float64 [k]."""
    return 1 / np.log2(np.arange(2, k + 2))


def _check_index(index: Array, count: int, limit: int | None, name: str) -> None:
    if index.shape != (count,) or index.dtype.kind not in "iu":
        raise DataError(f"{name}: expected {count} integers, got {index.dtype} of shape {index.shape}")
    last = int(index.max()) if limit is None else limit - 1
    wrong = np.flatnonzero((index < 0) | (index > last))
    if len(wrong):
        raise DataError(f"{name}: entry {wrong[0]} is {index[wrong[0]]}; it counts from 0 to {last}")
