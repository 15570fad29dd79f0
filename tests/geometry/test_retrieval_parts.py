"""Hits of single queries, and the part of a score that all queries share, against the whole score matrix."""

import numpy as np
import pytest

from revision.align import make_aligner
from revision.embeddings.rows import measured
from revision.errors import DataError
from revision.geometry.neighbours import hits, hits_without_common_part, retrieval
from revision.geometry.shape import common_score_share


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def ranks(scores):
    """Number of scores in each row above the diagonal one."""
    return (scores > np.diag(scores)[:, None]).sum(axis=1)


@pytest.mark.parametrize("k", [1, 5])
def test_hits_are_what_recall_averages(pairs, k):
    image, text = pairs
    both = hits(image, text, k)
    whole = text.astype(float) @ image.T
    for hit, scores in zip(both, (whole, whole.T), strict=True):
        np.testing.assert_array_equal(hit, ranks(scores) < k)
    recall = retrieval(image, text)
    assert [hit.mean() for hit in both] == pytest.approx([recall.text_to_image[k], recall.image_to_text[k]])


def test_without_the_common_part_every_score_loses_its_mean_over_queries(pairs):
    image, text = pairs
    whole = text.astype(float) @ image.T
    for hit, scores in zip(hits_without_common_part(image, text), (whole, whole.T), strict=True):
        np.testing.assert_array_equal(hit, ranks(scores - scores.mean(axis=0)) < 1)


def test_common_share_is_the_variance_of_the_mean_score_over_the_mean_variance(pairs):
    image, text = pairs
    scores = text.astype(float) @ image.T
    expected = scores.mean(axis=0).var() / scores.var(axis=1).mean()
    of_text, of_image = (measured(rows, covariance=True) for rows in (text, image))
    assert common_score_share(of_text.mean, of_text.covariance, of_image.covariance) == pytest.approx(expected)
    assert common_score_share(np.zeros(24), of_text.covariance, of_image.covariance) == 0
    with pytest.raises(DataError, match="do not vary"):
        common_score_share(of_text.mean, of_text.covariance, np.zeros((24, 24)))


def test_a_shift_of_the_texts_makes_hubs():
    """Three images at different angles to a direction: a shift along it ranks them alike for every text."""
    image = unit(np.array([[1.0, 0.0, 0.9], [0.0, 1.0, 0.5], [-1.0, -1.0, 0.0]]))
    text = unit(np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [-1.0, -1.0, 0.0]]))
    assert hits(image, text)[0].tolist() == [1, 1, 1]
    shifted = unit(text + np.array([0, 0, 30.0]))
    assert hits(image, shifted)[0].tolist() == [1, 0, 0]
    assert hits_without_common_part(image, shifted)[0].mean() > hits(image, shifted)[0].mean()


def test_realign_costs_recall_on_clip_features_through_the_common_part(clip):
    """R@1 falls at the anchor step; without the mean of each score over queries it does not."""
    image, text = clip
    moved = {steps: make_aligner("realign", steps=steps).fit(text, image).transform(text) for steps in (1, 3)}
    before, anchor, after = (np.mean(hits(image, rows)) for rows in (text, moved[1], moved[3]))
    assert before - anchor > 0.15 and abs(anchor - after) < 0.01
    kept_before, kept_after = (np.mean(hits_without_common_part(image, rows)) for rows in (text, moved[3]))
    assert kept_after > kept_before - 0.01
    centred = make_aligner("c3_centred", noise=0.0).fit(text, image)
    assert np.mean(hits(centred.transform_target(image), centred.transform(text))) > before - 0.02
