"""Two sets of different dimensions: the metrics that need no common space."""

from collections.abc import Callable
from typing import Any

import numpy as np

from revision.embeddings.moments import Rows
from revision.embeddings.rows import Array, as_rows, take
from revision.errors import DataError
from revision.gap.measure import BEFORE, LEAST_ROWS, METRICS, Side, Suite, SuiteSettings, agreement, run_suite
from revision.geometry.angles import jensen_shannon


def run_any_suite(
    image: Array | Rows,
    text: Array | Rows,
    aligners: list[str],
    *,
    paired: bool,
    settings: SuiteSettings | None = None,
    tell: Callable[[str], Any] = lambda stage: None,
) -> Suite:
    """`run_suite`, or, for sets of different dimensions and no aligner, what can be measured of them.

    Parameters
    ----------
    image, text
        [n, d] and [m, e].
    aligners
        As for `run_suite`; with different dimensions "all" stands for none.
    paired
        Whether row i of one set belongs to row i of the other.
    settings, tell
        As for `run_suite`.

    Returns
    -------
    Suite
        With different dimensions: each set's own spectrum, uniformity and cosines, and for pairs mutual k-NN and CKA.
        All other metrics are None, and a note says why; there is no plane, curve of overlap or drift.

    Raises
    ------
    ConfigError, DataError
        As `run_suite`; also an aligner for sets of different dimensions.
    """
    settings = settings or SuiteSettings()
    rows = {"image": as_rows(image, "image"), "text": as_rows(text, "text")}
    dimensions = [part.dim for part in rows.values()]
    if dimensions[0] == dimensions[1] or set(aligners) - {"all"}:
        return run_suite(image, text, aligners, paired=paired, settings=settings, tell=tell)
    generator = np.random.default_rng(settings.seed)
    orders = [np.sort(generator.permutation(part.count)[: settings.rows]) for part in rows.values()]
    orders = [orders[0], orders[0]] if paired else orders
    fewest = min(len(order) for order in orders)
    if fewest < LEAST_ROWS:
        raise DataError(f"only {fewest} rows to measure on; the suite needs {LEAST_ROWS} of each set")
    tell("reading")
    taken = [take(part, order, name) for order, (name, part) in zip(orders, rows.items(), strict=True)]
    samples = [np.sort(generator.permutation(len(part))[: settings.sample]) for part in taken]
    samples = [samples[0], samples[0]] if paired else samples
    tell(BEFORE)
    images, texts = (Side.of(part, chosen) for part, chosen in zip(taken, samples, strict=True))
    values: dict[str, Any] = dict.fromkeys(METRICS) | texts.spectrum()
    values["angular_divergence"] = jensen_shannon(texts.density, images.density)
    if paired:
        values |= agreement(images, texts, settings)
    note = f"Images have dimension {dimensions[0]} and texts {dimensions[1]}: metrics of a common space are left empty."
    chance = settings.overlap_k / (len(texts.sample) - 1)
    return Suite(
        counts={
            "image": rows["image"].count,
            "text": rows["text"].count,
            "image_fitted": 0,
            "text_fitted": 0,
            "image_measured": len(taken[0]),
            "text_measured": len(taken[1]),
        },
        dimension=dimensions[0],
        paired=paired,
        settings=settings,
        choices={
            "rows": f"Rows are taken to unit length; seed {settings.seed}; at most {settings.rows} rows of each set.",
            "agreement": f"Mutual k-NN: k = {settings.overlap_k}, chance gives {chance:.3f}. CKA: debiased, chance 0.",
        },
        image=images.spectrum(),
        methods={BEFORE: values},
        overlap_curve={},
        drift=[],
        notes=[note],
        sides={BEFORE: texts},
        images=images,
        moved_images={},
        plane=None,
    )
