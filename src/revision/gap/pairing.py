"""Pair images with texts: embedding sets by their ids, arrays row by row."""

from typing import Any, NamedTuple

import numpy as np

from revision.embeddings import EmbeddingSet
from revision.embeddings.rows import Array, as_rows


class Pairing(NamedTuple):
    """Image and text rows, whether row i of one belongs to row i of the other, and the reason in one sentence."""

    image: EmbeddingSet | Array
    text: EmbeddingSet | Array
    paired: bool
    reason: str


def pair(image: EmbeddingSet | Array, text: EmbeddingSet | Array) -> Pairing:
    """Pair two sets if their ids, or for arrays their row counts, allow it.

    Parameters
    ----------
    image, text : EmbeddingSet or ndarray of shape (n, d)
        Embedding sets are paired if they have the same ids, in any order; arrays, or an array and a set, if they
        have the same number of rows.

    Returns
    -------
    Pairing
        The texts are in the order of the images if the two are paired.

    Raises
    ------
    DataError
        If an array is empty or has not two dimensions.
    """
    images, texts = as_rows(image, "image").count, as_rows(text, "text").count
    if images != texts:
        return Pairing(image, text, False, f"Not paired: {images} images and {texts} texts.")
    if isinstance(image, np.ndarray) or isinstance(text, np.ndarray):
        reason = "Paired row by row, because both have the same number of rows; use --unpaired if they are not pairs."
        return Pairing(image, text, True, reason)
    image_ids, text_ids = _ids(image), _ids(text)
    if np.array_equal(image_ids, text_ids):
        return Pairing(image, text, True, "Paired by equal ids.")
    image_order, text_order = np.argsort(image_ids, kind="stable"), np.argsort(text_ids, kind="stable")
    if not np.array_equal(image_ids[image_order], text_ids[text_order]):
        shared = len(np.intersect1d(image_ids, text_ids))
        reason = f"Not paired: {shared} of {images} ids are in both sets; set equal ids with `revision import --ids`."
        return Pairing(image, text, False, reason)
    row_of_text = np.empty(images, dtype=np.int64)
    row_of_text[image_order] = text_order
    return Pairing(image, text.array()[row_of_text], True, "Paired by ids; texts are in the order of the images.")


def _ids(embeddings: EmbeddingSet) -> np.ndarray[Any, Any]:
    return np.asarray(embeddings.ids().to_pylist())
