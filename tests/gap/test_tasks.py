"""Several captions an image and zero-shot classification inside the suite: which rows, and the numbers themselves."""

import json

import numpy as np
import pytest

from revision.align import make_aligner
from revision.errors import ConfigError, DataError
from revision.gap.measure import SuiteSettings, run_suite
from revision.gap.tables import tables
from revision.gap.tasks import TASK_METRICS, Tasks, with_tasks
from revision.geometry.ranking import caption_retrieval, class_embeddings, zero_shot_accuracy


@pytest.fixture
def captions(pairs):
    """200 images with two captions each: image, text, image_of."""
    random = np.random.default_rng(0)
    image_of = random.permutation(np.repeat(np.arange(200), 2))
    text = pairs[1][image_of] + 0.05 * random.standard_normal((400, 24))
    return pairs[0][:200], (text / np.linalg.norm(text, axis=1, keepdims=True)).astype(np.float32), image_of


def captions_of(found):
    return {
        f"{way}_captions_at_{k}": getattr(found, way)[k] for way in ("text_to_image", "image_to_text") for k in (1, 5)
    }


def test_captions_fitted_and_measured_on_the_same_rows(captions):
    image, text, image_of = captions
    suite = run_suite(image, text, ["c3_centred"], paired=False, settings=SuiteSettings(fit_share=1))
    found = with_tasks(suite, image, text, Tasks(image_of=image_of))
    aligner = make_aligner("c3_centred").fit(text, image)
    for name, sets in (
        ("identity", (image, text)),
        ("c3_centred", (aligner.transform_target(image), aligner.transform(text))),
    ):
        expected = captions_of(caption_retrieval(*sets, image_of))
        assert {metric: found.methods[name][metric] for metric in expected} == pytest.approx(expected)
    assert "zero_shot_at_1" not in found.methods["identity"]
    json.dumps(found.to_dict(), allow_nan=False)


def test_captions_are_measured_on_images_that_nothing_was_fitted_on(captions):
    image, text, image_of = captions
    suite = run_suite(image, text, ["mean_shift"], paired=False)
    found = with_tasks(suite, image, text, Tasks(image_of=image_of))
    assert found.notes[-1] == "Tasks: measured on 100 images and 200 texts."
    order = np.random.default_rng(0).permutation(200)
    fit, rest = (np.isin(image_of, part) for part in (order[:100], order[100:]))
    assert found.counts["image_measured"] == 100
    moved = make_aligner("mean_shift").fit(text[fit], image[np.sort(order[:100])]).transform(text[rest])
    expected = captions_of(
        caption_retrieval(image[np.sort(order[100:])], moved, np.unique(image_of[rest], return_inverse=True)[1])
    )
    assert {metric: found.methods["mean_shift"][metric] for metric in expected} == pytest.approx(expected)


def test_zero_shot_moves_prompts_as_texts(pairs):
    image, text = pairs
    labels, prompts, class_of = np.arange(400) % 10, text[:40], np.arange(40) % 10
    settings = SuiteSettings(fit_share=1)
    suite = run_suite(image, text, ["i0t", "procrustes"], paired=True, settings=settings)
    found = with_tasks(suite, image, text, Tasks(labels=labels, prompts=prompts, class_of=class_of))
    for name in ("identity", "i0t", "procrustes"):
        aligner = make_aligner(name).fit(text, image)
        classes = class_embeddings(aligner.transform(prompts), class_of)
        expected = zero_shot_accuracy(aligner.transform_target(image), labels, classes)
        assert found.methods[name]["zero_shot_at_1"] == pytest.approx(expected[1])
        assert found.methods[name]["zero_shot_at_5"] == pytest.approx(expected[5])
    assert found.methods["identity"] | suite.methods["identity"] == found.methods["identity"]


def test_tables_have_a_column_for_each_task_that_was_asked_for(captions):
    image, text, image_of = captions
    suite = run_suite(image, text, ["realign"], paired=False)
    found = with_tasks(suite, image, text, Tasks(image_of=image_of))
    assert "Tasks" not in {table.title for table in tables(suite)}
    (shown,) = [table for table in tables(found) if table.title == "Tasks"]
    assert shown.metrics == [metric for name, metric in TASK_METRICS.items() if "captions" in name]
    assert [row.label for row in shown.rows] == ["before", "realign"]
    assert all(float(cell) > 0 for row in shown.rows for cell in row.cells)


def test_bad_tasks_are_named(captions):
    image, text, image_of = captions
    suite = run_suite(image, text, [], paired=False)
    with pytest.raises(ConfigError, match="labels, prompts and the class of each prompt, all three"):
        Tasks(labels=image_of)
    with pytest.raises(DataError, match="image_of: expected 400 rows of images, integers from 0 to 199"):
        with_tasks(suite, image, text, Tasks(image_of=image_of + 1))
    with pytest.raises(DataError, match="labels: expected 200 integers"):
        with_tasks(suite, image, text, Tasks(labels=image_of, prompts=text[:2], class_of=np.arange(2)))
    with pytest.raises(DataError, match="prompts: dimension 20, images have 24"):
        with_tasks(suite, image, text, Tasks(labels=image_of[:200], prompts=text[:2, :20], class_of=np.arange(2)))
