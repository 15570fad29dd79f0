"""Captions, mixed corpora and classes against whole score matrices, scikit-learn's NDCG and drawn orders of ties."""

import numpy as np
import pytest
from sklearn.metrics import ndcg_score, top_k_accuracy_score

from revision.align import make_aligner
from revision.errors import DataError
from revision.geometry import neighbours, ranking
from revision.geometry.ranking import (
    caption_retrieval,
    class_embeddings,
    mixed_documents,
    mixed_modality_ndcg,
    ndcg,
    zero_shot_accuracy,
)


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(params=[7, 2048])
def tiles(request, monkeypatch):
    for module in (neighbours, ranking):
        monkeypatch.setattr(module, "QUERIES", request.param)
        monkeypatch.setattr(module, "CORPUS", request.param)


@pytest.fixture
def captions(pairs):
    """120 images with one to four captions each, in mixed order: image, text, image_of."""
    random = np.random.default_rng(0)
    image_of = random.permutation(np.repeat(np.arange(120), random.integers(1, 5, 120)))
    noise = 0.5 * random.standard_normal((len(image_of), 24)) * np.arange(1, 25) ** -0.7
    return pairs[0][:120], unit(pairs[1][image_of] + noise), image_of


@pytest.mark.parametrize("k", [1, 5, 10])
def test_recall_with_captions_is_counted_on_the_whole_score_matrix(captions, tiles, k):
    image, text, image_of = captions
    best = np.argsort(-(text.astype(float) @ image.T), axis=1)[:, :k]
    other = np.argsort(-(image.astype(float) @ text.T), axis=1)[:, :k]
    found = caption_retrieval(image, text, image_of)
    assert found.text_to_image[k] == pytest.approx((best == image_of[:, None]).any(axis=1).mean())
    assert found.image_to_text[k] == pytest.approx((image_of[other] == np.arange(120)[:, None]).any(axis=1).mean())


def test_with_one_caption_an_image_it_is_recall_row_by_row(pairs):
    assert caption_retrieval(*pairs, np.arange(400)) == neighbours.retrieval(*pairs)
    order = np.random.default_rng(1).permutation(400)
    assert caption_retrieval(pairs[0], pairs[1][order], order) == neighbours.retrieval(*pairs)


@pytest.mark.parametrize("k", [1, 2, 4])
def test_ties_are_worth_their_chance_over_drawn_orders(k):
    """Few different rows, so that captions of one image tie with each other and with those of others."""
    random = np.random.default_rng(2)
    image, text = (unit(random.integers(0, 2, (count, 3)) + 0.01) for count in (8, 24))
    image_of = np.arange(24) % 8
    found = caption_retrieval(image, text, image_of, at=(k,))
    scores = np.round(text.astype(float) @ image.T, 5)
    hits = np.zeros(2)
    trials = 3000
    for _ in range(trials):
        drawn = scores + 1e-7 * random.random(scores.shape)
        hits[0] += (np.argsort(-drawn, axis=1)[:, :k] == image_of[:, None]).any(axis=1).mean()
        hits[1] += (image_of[np.argsort(-drawn.T, axis=1)[:, :k]] == np.arange(8)[:, None]).any(axis=1).mean()
    assert [found.text_to_image[k], found.image_to_text[k]] == pytest.approx(hits / trials, abs=0.015)


def test_more_captions_than_k_reaches_are_all_hits():
    rows = unit(np.eye(3) + 0.01)
    found = caption_retrieval(rows, rows[[0, 0, 1, 1, 2, 2]], np.repeat(np.arange(3), 2), at=(1, 10))
    assert found.image_to_text == {1: 1.0, 10: 1.0} and found.text_to_image == {1: 1.0, 10: 1.0}


@pytest.mark.parametrize("k", [1, 10])
def test_mixed_ndcg_is_scikit_learns_without_the_querys_own_text(pairs, tiles, k):
    image, text = (rows[:150] for rows in pairs)
    scores = text.astype(float) @ np.concatenate([image, text]).T
    expected = []
    for i, of_query in enumerate(scores):
        keep = np.arange(300) != 150 + i
        expected.append(ndcg_score([(np.arange(300) == i)[keep]], [of_query[keep]], k=k))
    assert mixed_modality_ndcg(image, text, k) == pytest.approx(np.mean(expected))


def test_mixed_ndcg_is_the_same_from_the_nearest_texts(pairs):
    image, text = pairs
    for k in (1, 10):
        among_texts, _ = neighbours.nearest_within(text, k)
        assert mixed_modality_ndcg(image, text, k, among_texts=among_texts) == mixed_modality_ndcg(image, text, k)


def test_mixed_ndcg_of_equal_rows_is_the_mean_gain_of_a_drawn_order():
    rows = np.tile(unit(np.ones((1, 4))), (8, 1))  # 8 images and 7 other texts tie
    assert mixed_modality_ndcg(rows, rows) == pytest.approx((1 / np.log2(np.arange(2, 12))).sum() / 15)
    assert mixed_modality_ndcg(np.eye(4, dtype=np.float32), np.eye(4, dtype=np.float32)) == 1
    assert mixed_modality_ndcg(-np.eye(20, dtype=np.float32), np.eye(20, dtype=np.float32)) == 0


def test_on_real_pairs_centring_both_sets_raises_mixed_ndcg(real):
    """The claim of GR-CLIP, which centres both modalities."""
    _, image, text = real
    image, text = unit(image), unit(text)
    centred = make_aligner("i0t").fit(text, image)
    before, after = (
        mixed_modality_ndcg(image, text),
        mixed_modality_ndcg(centred.transform_target(image), centred.transform(text)),
    )
    assert after > before


@pytest.mark.parametrize("k", [3, 10])
def test_ndcg_is_scikit_learns_with_several_relevant_documents(pairs, k):
    random = np.random.default_rng(3)
    queries, documents = pairs[1][:60], pairs[0]
    query_ids, document_ids = random.permutation(60), np.arange(400) % 60
    expected = [
        ndcg_score([document_ids == one], [scores], k=k)
        for one, scores in zip(query_ids, queries.astype(float) @ documents.T, strict=True)
    ]
    assert ndcg(queries, documents, query_ids, document_ids, k) == pytest.approx(np.mean(expected))
    names = [np.array([f"id{one}" for one in ids]) for ids in (query_ids, document_ids)]
    assert ndcg(queries, documents, *names, k) == pytest.approx(np.mean(expected))


def test_mixed_documents_are_a_third_each(pairs):
    image, text = pairs
    documents = mixed_documents(image, text, weight=0.25, seed=1)
    kinds = {"text": text, "image": image, "both": unit(0.25 * text + 0.75 * image)}
    same = {name: np.abs(documents - rows).max(axis=1) < 1e-6 for name, rows in kinds.items()}
    assert np.sum(list(same.values()), axis=0).tolist() == [1] * 400
    assert [int(rows.sum()) for rows in same.values()] == [134, 133, 133]
    assert not np.array_equal(documents, mixed_documents(image, text, weight=0.25, seed=2))


def test_classes_are_normalised_means_of_prompts(pairs):
    prompts, class_of = pairs[1][:30], np.arange(30) % 4
    expected = unit(np.array([prompts[class_of == one].astype(float).mean(axis=0) for one in range(4)]))
    np.testing.assert_allclose(class_embeddings(prompts, class_of), expected, atol=1e-6)


@pytest.mark.parametrize("k", [1, 5])
def test_zero_shot_accuracy_is_scikit_learns(pairs, tiles, k):
    image, labels = pairs[0], np.arange(400) % 20
    classes = class_embeddings(pairs[1], labels)
    scores = image.astype(float) @ classes.T
    found = zero_shot_accuracy(image, labels, classes)
    assert found[k] == pytest.approx(top_k_accuracy_score(labels, scores, k=k))
    assert 0.05 < found[1] < found[5] < 1
    assert zero_shot_accuracy(image, labels, classes, at=(20, 30)) == {20: 1.0, 30: 1.0}


def test_bad_input_is_named(pairs):
    image, text = pairs
    index = np.arange(400)
    with pytest.raises(DataError, match="image_of: expected 400 integers, got float64"):
        caption_retrieval(image, text, index.astype(float))
    with pytest.raises(DataError, match="image_of: entry 399 is 400; it counts from 0 to 399"):
        caption_retrieval(image, text, np.append(index[:-1], 400))
    with pytest.raises(DataError, match="image 399 has no text"):
        caption_retrieval(image, text, np.append(index[:-1], 0))
    with pytest.raises(DataError, match="dimensions differ, 24 against 20"):
        caption_retrieval(image, text[:, :20], index)
    with pytest.raises(DataError, match="one id a row"):
        ndcg(text, image, index, index[:5])
    with pytest.raises(DataError, match="query 0 has no relevant document"):
        ndcg(text, image, index + 400, index)
    with pytest.raises(DataError, match="class 1 has no prompt"):
        class_embeddings(text[:2], np.array([0, 2]))
    with pytest.raises(DataError, match="class_of: entry 1 is -1"):
        class_embeddings(text[:2], np.array([0, -1]))
    with pytest.raises(DataError, match="labels: entry 0 is 9; it counts from 0 to 3"):
        zero_shot_accuracy(image[:1], np.array([9]), text[:4])
