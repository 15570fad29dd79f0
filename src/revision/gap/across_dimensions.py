"""Two sets of different dimensions: the metrics that need no common space."""

from collections.abc import Callable
from typing import Any

import numpy as np

from revision.embeddings.moments import Rows
from revision.embeddings.rows import Array, as_rows, take
from revision.errors import DataError
from revision.gap.measure import (
    BEFORE,
    LEAST_ROWS,
    agreement_choice,
    aligner_names,
    chance_warning,
    rows_choice,
    run_suite,
)
from revision.gap.metrics import METRICS, Side, measure_agreement
from revision.gap.suite import Suite, SuiteSettings
from revision.geometry.angles import jensen_shannon
from revision.geometry.representations import mutual_knn_agreement

MOST_PERMUTED = 1000
MOST_LIKELY = 0.05  # p value of mutual k-NN above which the pairing is questioned


def run_any_suite(
    image: Array | Rows,
    text: Array | Rows,
    aligners: list[str],
    *,
    paired: bool,
    settings: SuiteSettings | None = None,
    progress: Callable[[str], Any] = lambda stage: None,
) -> Suite:
    """Run `run_suite`, or on sets of different dimensions what needs no common space.

    Parameters
    ----------
    image, text : ndarray of shape (n, d) and (m, e), or Rows
        Embeddings; rows are normalised to unit length.
    aligners : list of str
        Names of aligners, or ["all"]. None can be fitted if the dimensions differ.
    paired, settings, progress
        As for `run_suite`.

    Returns
    -------
    Suite
        If the dimensions differ: spectrum, uniformity and cosines of each set and, for pairs, mutual k-NN and CKA. The
        other metrics are None, a note gives the reason, a warning names the aligners that are left out, and there is
        no plane, subspace overlap or drift.

    Raises
    ------
    ConfigError, DataError
        As `run_suite`.
    """
    settings, names = settings or SuiteSettings(), aligner_names(aligners)
    both = {"image": as_rows(image, "image"), "text": as_rows(text, "text")}
    dimensions = [rows.dim for rows in both.values()]
    if dimensions[0] == dimensions[1]:
        return run_suite(image, text, aligners, paired=paired, settings=settings, progress=progress)
    generator = np.random.default_rng(settings.seed)
    chosen = _drawn([rows.count for rows in both.values()], settings.rows, paired, generator)
    fewest = min(len(rows) for rows in chosen)
    if fewest < LEAST_ROWS:
        raise DataError(f"only {fewest} rows to measure on; the suite needs {LEAST_ROWS} of each set; give more")
    progress("reading")
    taken = [take(rows, index, name) for index, (name, rows) in zip(chosen, both.items(), strict=True)]
    samples = _drawn([len(rows) for rows in taken], settings.sample, paired, generator)
    progress(BEFORE)
    images, texts = (Side.of(rows, sample, settings.neighbours) for rows, sample in zip(taken, samples, strict=True))
    values: dict[str, Any] = dict.fromkeys(METRICS) | texts.spectrum()
    values["angular_divergence"] = jensen_shannon(texts.density, images.density)
    warnings = []
    if unfitted := [name for name in names if name != BEFORE]:
        warnings.append(f"{', '.join(unfitted)} left out: an aligner needs two sets of one dimension.")
    if paired:
        values |= measure_agreement(images, texts, settings.overlap_k)
        some = slice(MOST_PERMUTED)
        if mutual_knn_agreement(images.sample[some], texts.sample[some], settings.overlap_k).p_value > MOST_LIKELY:
            warnings.append(chance_warning(values, len(images.sample), settings.overlap_k))
    return Suite(
        counts={
            "image": both["image"].count,
            "text": both["text"].count,
            "image_fitted": 0,
            "text_fitted": 0,
            "image_measured": len(taken[0]),
            "text_measured": len(taken[1]),
        },
        dimension=dimensions[0],
        paired=paired,
        settings=settings,
        choices={"rows": rows_choice(settings)}
        | ({"agreement": agreement_choice(settings.overlap_k, len(texts.sample))} if paired else {}),
        image=images.spectrum(),
        methods={BEFORE: values},
        overlap_curve={},
        drift=[],
        notes=[
            f"Images have dimension {dimensions[0]} and texts {dimensions[1]}: "
            "metrics that need a common space are left out."
        ],
        warnings=warnings,
        sides={BEFORE: texts},
        images=images,
        moved_images={},
        plane=None,
    )


def _drawn(counts: list[int], most: int, paired: bool, generator: np.random.Generator) -> list[Array]:
    """Ascending indices of at most `most` rows of each set, the same for pairs."""
    drawn = [np.sort(generator.permutation(count)[:most]) for count in counts]
    return [drawn[0], drawn[0]] if paired else drawn
