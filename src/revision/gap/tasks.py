"""Tasks that need more than two sets: several captions an image, and classes described by prompts."""

from dataclasses import dataclass, replace

import numpy as np

from revision.align import make_aligner
from revision.embeddings.moments import Rows
from revision.embeddings.rows import Array, as_rows, same_dimension, take
from revision.errors import ConfigError, DataError
from revision.gap.measure import BEFORE, Metric, Suite, SuiteSettings
from revision.geometry.ranking import caption_retrieval, class_embeddings, zero_shot_accuracy

TASK_METRICS = {
    f"{way}_captions_at_{k}": Metric(f"{way.replace('_', ' ')} R@{k}, all captions", "retrieval")
    for way in ("text_to_image", "image_to_text")
    for k in (1, 5, 10)
} | {f"zero_shot_at_{k}": Metric(f"zero-shot accuracy, top {k}", "arXiv:2103.00020") for k in (1, 5)}


@dataclass(frozen=True)
class Tasks:
    """What the tasks need beyond images and texts.

    Attributes
    ----------
    image_of
        Row of the image that each text belongs to, integers [m]; None: no retrieval with several captions.
    labels, prompts, class_of
        Class of each image, integers [n]; embeddings of the classes' prompts, [p, d]; class of each prompt, integers
        [p]. All three, or None each: no classification.
    """

    image_of: Array | None = None
    labels: Array | None = None
    prompts: Array | Rows | None = None
    class_of: Array | None = None

    def __post_init__(self) -> None:
        given = [value is not None for value in (self.labels, self.prompts, self.class_of)]
        if any(given) and not all(given):
            raise ConfigError("zero-shot classification needs labels, prompts and the class of each prompt, all three")


def with_tasks(suite: Suite, image: Array | Rows, text: Array | Rows, tasks: Tasks) -> Suite:
    """Add the tasks' metrics to a suite, before alignment and after each of its aligners.

    Aligners are fitted as the suite's settings say: on a share of the images and on the texts that belong to them
    (where that is not known, on the same share of the texts). Tasks are measured on the other images, classification
    against all prompts. Prompts are moved as texts are.

    Parameters
    ----------
    suite
        What `run_suite` measured of `image` and `text`.
    image, text
        [n, d] and [m, d].
    tasks
        What to measure.

    Returns
    -------
    Suite
        With those of TASK_METRICS that were asked for in `methods`.

    Raises
    ------
    ConfigError, DataError
        Indices that do not fit the rows (`revision.geometry.ranking` names them), or sets of different dimensions.
    """
    settings, image_of = suite.settings, tasks.image_of
    dimension, counts = same_dimension(image, text), (as_rows(image, "image").count, as_rows(text, "text").count)
    if image_of is not None and (image_of.shape != (counts[1],) or not np.isin(image_of, np.arange(counts[0])).all()):
        raise DataError(f"image_of: expected {counts[1]} rows of images, integers from 0 to {counts[0] - 1}")
    if tasks.labels is not None and tasks.labels.shape != (counts[0],):
        raise DataError(f"labels: expected {counts[0]} integers, one an image, got shape {tasks.labels.shape}")
    owner = np.arange(counts[1]) if image_of is None and suite.paired else image_of
    fit, measured = _parts(counts[0], settings)
    if owner is None:
        fit_texts, measured_texts = _parts(counts[1], settings)
    else:
        fit_texts, measured_texts = (np.flatnonzero(np.isin(owner, chosen)) for chosen in (fit, measured))
    images, texts = take(image, measured, "image"), take(text, measured_texts, "text")
    sources, targets = take(text, fit_texts, "text"), take(image, fit, "image")
    prompts = None if tasks.prompts is None else take_all(tasks.prompts, "prompts")
    if prompts is not None and prompts.shape[1] != dimension:
        raise DataError(f"prompts: dimension {prompts.shape[1]}, images have {dimension}; use one encoder for all")
    methods = {}
    for name, values in suite.methods.items():
        moved = texts, images, prompts
        if name != BEFORE:
            aligner = make_aligner(name)
            partners = (
                targets[np.searchsorted(fit, owner[fit_texts])] if aligner.paired and owner is not None else targets
            )
            aligner.fit(sources, partners)
            moved = (
                aligner.transform(texts),
                aligner.transform_target(images),
                None if prompts is None else aligner.transform(prompts),
            )
        methods[name] = dict(values)
        if image_of is not None:
            recall = caption_retrieval(moved[1], moved[0], np.searchsorted(measured, image_of[measured_texts]))
            for way in ("text_to_image", "image_to_text"):
                methods[name] |= {f"{way}_captions_at_{k}": share for k, share in getattr(recall, way).items()}
        if tasks.labels is not None and tasks.class_of is not None and moved[2] is not None:
            classes = class_embeddings(moved[2], tasks.class_of)
            accuracy = zero_shot_accuracy(moved[1], tasks.labels[measured], classes)
            methods[name] |= {f"zero_shot_at_{k}": share for k, share in accuracy.items()}
    note = f"Tasks: measured on {len(measured)} images and {len(measured_texts)} texts."
    return replace(suite, methods=methods, notes=[*suite.notes, note])


def take_all(rows: Array | Rows, name: str) -> Array:
    """All rows at unit length, float32 [n, d]."""
    return take(rows, np.arange(as_rows(rows, name).count), name)


def _parts(count: int, settings: SuiteSettings) -> tuple[Array, Array]:
    """Ascending indices of the rows to fit on and of those to measure, as `run_suite` draws images."""
    order = np.random.default_rng(settings.seed).permutation(count)[: settings.rows]
    cut = len(order) if settings.fit_share == 1 else round(settings.fit_share * len(order))
    return np.sort(order[:cut]), np.sort(order if settings.fit_share == 1 else order[cut:])
