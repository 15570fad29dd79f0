"""Tasks that need more than two sets: retrieval with several captions per image, and zero-shot classification."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from revision.align import make_aligner
from revision.embeddings.moments import Rows
from revision.embeddings.reader import open_npy
from revision.embeddings.rows import Array, as_rows, same_dimension, take
from revision.errors import ConfigError, DataError
from revision.gap.measure import BEFORE, draw_parts
from revision.gap.metrics import Metric
from revision.gap.suite import Suite
from revision.geometry.ranking import caption_retrieval, class_embeddings, zero_shot_accuracy

DIRECTIONS = ("text_to_image", "image_to_text")
TASK_METRICS = {
    f"{direction}_captions_at_{k}": Metric(f"{direction.replace('_', ' ')} R@{k}, all captions", "retrieval", "tasks")
    for direction in DIRECTIONS
    for k in (1, 5, 10)
} | {f"zero_shot_at_{k}": Metric(f"zero-shot accuracy, top {k}", "arXiv:2103.00020", "tasks") for k in (1, 5)}


@dataclass(frozen=True)
class Tasks:
    """Data of the tasks beyond images and texts.

    Attributes
    ----------
    image_of : ndarray of shape (m,), optional
        Row of the image that each text belongs to; None: no retrieval with several captions.
    labels : ndarray of shape (n,), optional
        Class of each image, from 0; given together with `prompts` and `class_of`, or no classification.
    prompts : ndarray of shape (p, d) or Rows, optional
        Embeddings of the class prompts.
    class_of : ndarray of shape (p,), optional
        Class of each prompt.
    """

    image_of: Array | None = None
    labels: Array | None = None
    prompts: Array | Rows | None = None
    class_of: Array | None = None

    def __post_init__(self) -> None:
        given = [value is not None for value in (self.labels, self.prompts, self.class_of)]
        if any(given) and not all(given):
            raise ConfigError("zero-shot classification needs labels, prompts and the class of each prompt, all three")


def read_integers(path: Path | None) -> Array | None:
    """Read a .npy file of integers of shape (n,), None for None; raise DataError if it is anything else."""
    if path is None:
        return None
    if not path.is_file():
        raise DataError(f"{path}: no such file; give a .npy file of integers")
    values = open_npy(path)
    if values.ndim != 1 or values.dtype.kind not in "iu":
        raise DataError(f"{path}: expected integers of shape (n,), got {values.dtype} {values.shape}")
    return values.astype(np.int64)


def with_tasks(suite: Suite, image: Array | Rows, text: Array | Rows, tasks: Tasks) -> Suite:
    """Add the metrics of tasks to a suite, before alignment and after each of its aligners.

    Aligners are fitted on the images that the suite fits on and on their texts (on the texts that the suite fits on, if
    it is not known which texts are theirs). Tasks are measured on the other images; prompts are aligned like texts.

    Parameters
    ----------
    suite : Suite
        Results of `run_suite` on `image` and `text`.
    image, text : ndarray of shape (n, d) and (m, d), or Rows
        Embeddings.
    tasks : Tasks
        What to measure.

    Returns
    -------
    Suite
        The same results, with the TASK_METRICS of `tasks` in `methods`.

    Raises
    ------
    DataError
        If indices do not fit the rows, or the dimensions differ.
    """
    image_of = tasks.image_of
    image_count, text_count = _checked(image, text, tasks)
    generator = np.random.default_rng(suite.settings.seed)  # draws the rows of `run_suite` again
    image_parts = draw_parts(image_count, suite.settings, generator)
    owner = np.arange(text_count) if image_of is None and suite.paired else image_of
    if owner is None:
        text_parts = draw_parts(text_count, suite.settings, generator)
    else:
        text_parts = np.flatnonzero(np.isin(owner, image_parts[0])), np.flatnonzero(np.isin(owner, image_parts[1]))
    image_fit, images = (take(image, part, "image") for part in image_parts)
    text_fit, texts = (take(text, part, "text") for part in text_parts)
    prompts = None if tasks.prompts is None else _take_all(tasks.prompts, "prompts")
    methods = {}
    for name, values in suite.methods.items():
        aligner = make_aligner(name)
        if name == BEFORE:
            aligner.fit(texts, images)  # stores the dimension
        elif aligner.paired and owner is not None:
            aligner.fit(text_fit, image_fit[np.searchsorted(image_parts[0], owner[text_parts[0]])])
        else:
            aligner.fit(text_fit, image_fit)
        moved_images, methods[name] = aligner.transform_target(images), dict(values)
        if image_of is not None:
            own = np.searchsorted(image_parts[1], image_of[text_parts[1]])
            recall = caption_retrieval(moved_images, aligner.transform(texts), own)
            for direction in DIRECTIONS:
                methods[name] |= {f"{direction}_captions_at_{k}": v for k, v in getattr(recall, direction).items()}
        if tasks.labels is not None and tasks.class_of is not None and prompts is not None:
            classes = class_embeddings(aligner.transform(prompts), tasks.class_of)
            accuracy = zero_shot_accuracy(moved_images, tasks.labels[image_parts[1]], classes)
            methods[name] |= {f"zero_shot_at_{k}": value for k, value in accuracy.items()}
    note = f"Tasks: measured on {len(images)} images and {len(texts)} texts."
    return replace(suite, methods=methods, notes=[*suite.notes, note])


def _checked(image: Array | Rows, text: Array | Rows, tasks: Tasks) -> tuple[int, int]:
    """Numbers of images and texts; DataError if the tasks do not fit them."""
    same_dimension(image, text)
    images, texts = as_rows(image, "image").count, as_rows(text, "text").count
    image_of, labels = tasks.image_of, tasks.labels
    if image_of is not None and (image_of.shape != (texts,) or not np.isin(image_of, np.arange(images)).all()):
        raise DataError(f"image_of: expected {texts} rows of images, integers from 0 to {images - 1}")
    if labels is not None and labels.shape != (images,):
        raise DataError(f"labels: expected {images} integers, one per image, got shape {labels.shape}")
    dimension = as_rows(image, "image").dim
    if tasks.prompts is not None and as_rows(tasks.prompts, "prompts").dim != dimension:
        wrong = as_rows(tasks.prompts, "prompts").dim
        raise DataError(f"prompts: dimension {wrong}, images have {dimension}; use one encoder for all")
    return images, texts


def _take_all(rows: Array | Rows, name: str) -> Array:
    return take(rows, np.arange(as_rows(rows, name).count), name)
