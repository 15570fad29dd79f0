"""The whole suite for two embedding sets and any aligners: `revision gap` and the figures on embeddings.

Aligners are fitted on one part of the rows and measured on the rest, so that those fitted on pairs are not measured on
pairs they have seen. The suite uses only the embeddings before and after alignment.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from revision.align import ALIGNERS, Aligner, make_aligner
from revision.embeddings.moments import Rows
from revision.embeddings.rows import Array, as_rows, same_dimension, take
from revision.errors import ConfigError, DataError, RevisionError
from revision.gap.metrics import METRICS, SEPARABILITY_ROWS, Side, measure, measure_pairs
from revision.gap.suite import Suite, SuiteSettings
from revision.geometry.angles import BASE, BINS
from revision.geometry.coupling import RIDGE
from revision.geometry.drift import Drift, drift_sweep
from revision.geometry.frame import Frame, frame_of
from revision.geometry.gap import effective_rows, gap_floor, row_contents
from revision.geometry.representations import pairing_score
from revision.geometry.shape import subspace_overlap
from revision.geometry.spectrum import EFFECTIVE_ENERGY, FIT_RANGE, power_law, principal_axes

LEAST_ROWS = 32
LEAST_SCORE = 3.0  # of `pairing_score`: permuted pairs reach it in about one of 740 cases
BEFORE = "identity"
DRIFT_FACTORS = (0.0625, 0.125, 0.25, 0.5, 1.0)
OVERLAP_SIZES = (1, 4, 16, 64, 128, 256, 512, 1024)


@dataclass(frozen=True)
class _Split:
    """Unit rows to fit on and to measure on, and the indices of the sample among the measured ones."""

    image_fit: Array
    text_fit: Array
    images: Array
    texts: Array
    image_sample: Array
    text_sample: Array
    paired: bool

    @cached_property
    def contents(self) -> Array | None:
        """What each measured pair shows: pairs of exactly equal images share content."""
        return row_contents(self.images) if self.paired else None

    @cached_property
    def fitted(self) -> tuple[float, ...]:
        """Effective number of pairs, or of images and of texts, to fit on."""
        if self.paired:
            return (effective_rows(self.text_fit - self.image_fit, row_contents(self.image_fit)),)
        return effective_rows(self.image_fit), effective_rows(self.text_fit)


def run_suite(
    image: Array | Rows,
    text: Array | Rows,
    aligners: list[str],
    *,
    paired: bool,
    settings: SuiteSettings | None = None,
    progress: Callable[[str], Any] = lambda stage: None,
) -> Suite:
    """Measure the modality gap before alignment and after each aligner.

    Parameters
    ----------
    image, text : ndarray of shape (n, d) and (m, d), or Rows
        Embeddings; rows are normalised to unit length.
    aligners : list of str
        Names of aligners, or ["all"].
    paired : bool
        Whether row i of one set is the partner of row i of the other.
    settings : SuiteSettings, optional
        Settings of the run.
    progress : callable
        Called with the name of each stage as it starts.

    Returns
    -------
    Suite
        All results. Without aligners, everything is measured on all rows; with them, on those that they are not
        fitted on. The warnings list aligners that cannot be fitted, and pairs that match no better than chance.

    Raises
    ------
    ConfigError
        If an aligner does not exist, or `fit_share` is not in (0, 1].
    DataError
        If the dimensions differ, or there are too few rows.
    """
    settings = settings or SuiteSettings()
    if not 0 < settings.fit_share <= 1:
        raise ConfigError(f"fit_share: {settings.fit_share} is not in (0, 1]; 1 fits and measures on the same rows")
    unfitted = {name: make_aligner(name) for name in aligner_names(aligners) if name != BEFORE}
    if not unfitted:
        settings = replace(settings, fit_share=0)
    dimension = same_dimension(image, text)
    image, text = as_rows(image, "image"), as_rows(text, "text")
    progress("reading")
    split = _split(image, text, paired, settings)
    progress("images")
    images = Side.of(split.images, split.image_sample, settings.neighbours)
    progress(BEFORE)
    before = Side.of(split.texts, split.text_sample, settings.neighbours)
    frame = frame_of(images.moments.covariance + before.moments.covariance, energy=settings.frame_energy)
    notes, warnings = _notes(split), []

    def compare(moved_images: Side, moved_texts: Side, fitted: tuple[float, ...] | None) -> dict[str, float | None]:
        values = measure(
            moved_images,
            moved_texts,
            before,
            mixing_k=settings.mixing_k,
            overlap_k=settings.overlap_k,
            subspace=min(settings.subspace, dimension),
            seed=settings.seed,
        )
        if paired:
            values |= measure_pairs(moved_images, moved_texts, frame, overlap_k=settings.overlap_k)
        if fitted is None or settings.fit_share < 1:
            rows = moved_images.rows, moved_texts.rows
            values["gap_floor"] = gap_floor(*rows, fitted, paired=paired, contents=split.contents)
        return values

    methods, sides, moved_images = {BEFORE: compare(images, before, None)}, {BEFORE: before}, {}
    if paired and pairing_score(images.sample, before.sample) < LEAST_SCORE:
        warnings.append(chance_warning(methods[BEFORE], len(images.sample), settings.overlap_k))
    for name, aligner in _fitted(unfitted, split, warnings, progress):
        sides[name] = Side.of(aligner.transform(split.texts), split.text_sample, settings.neighbours)
        if aligner.target_transforms_:
            moved = aligner.transform_target(split.images)
            moved_images[name] = Side.of(moved, split.image_sample, settings.neighbours)
        methods[name] = compare(moved_images.get(name, images), sides[name], split.fitted)
    if moved_images:
        notes.append(f"Images are moved too by {', '.join(moved_images)}: texts are compared with the moved images.")
    progress("drift")
    return Suite(
        counts={
            "image": image.count,
            "text": text.count,
            "image_fitted": len(split.image_fit),
            "text_fitted": len(split.text_fit),
            "image_measured": len(split.images),
            "text_measured": len(split.texts),
        },
        dimension=dimension,
        paired=paired,
        settings=settings,
        choices=_choices(settings, images, before, frame, paired),
        image=images.spectrum(),
        methods=methods,
        overlap_curve=subspace_overlap(
            images.moments.covariance, before.moments.covariance, [q for q in OVERLAP_SIZES if q <= dimension]
        ),
        drift=_drift(images, before),
        notes=notes,
        warnings=warnings,
        sides=sides,
        images=images,
        moved_images=moved_images,
        plane=principal_axes(split.images, split.texts),
    )


def aligner_names(aligners: list[str]) -> list[str]:
    """Return the names without repetition, all names for "all"; raise ConfigError if an aligner does not exist."""
    names = sorted(ALIGNERS) if "all" in aligners else list(dict.fromkeys(aligners))
    for name in names:
        make_aligner(name)
    return names


def _split(image: Rows, text: Rows, paired: bool, settings: SuiteSettings) -> _Split:
    """Draw the rows to fit and to measure on; pairs stay together."""
    generator = np.random.default_rng(settings.seed)
    image_parts = draw_parts(image.count, settings, generator)
    text_parts = image_parts if paired else draw_parts(text.count, settings, generator)
    parts = (*image_parts, *text_parts) if settings.fit_share else (image_parts[1], text_parts[1])
    fewest = min(map(len, parts))
    if fewest < LEAST_ROWS:
        purpose, part = ("fit or measure", " and part") if settings.fit_share else ("measure", "")
        needed = f"{LEAST_ROWS} of each set{part}"
        raise DataError(f"only {fewest} rows to {purpose} on; the suite needs {needed}; give more")
    image_fit, images = (take(image, part, "image") for part in image_parts)
    text_fit, texts = (take(text, part, "text") for part in text_parts)
    image_sample = np.sort(generator.permutation(len(images))[: settings.sample])
    text_sample = image_sample if paired else np.sort(generator.permutation(len(texts))[: settings.sample])
    return _Split(image_fit, text_fit, images, texts, image_sample, text_sample, paired)


def draw_parts(count: int, settings: SuiteSettings, generator: np.random.Generator) -> tuple[Array, Array]:
    """Ascending indices of the rows to fit on and of those to measure."""
    order = generator.permutation(count)[: settings.rows]
    if settings.fit_share == 1:
        return np.sort(order), np.sort(order)
    fitted = round(settings.fit_share * len(order))
    return np.sort(order[:fitted]), np.sort(order[fitted:])


def _notes(split: _Split) -> list[str]:
    if min(len(split.images), len(split.texts)) <= split.images.shape[1]:
        return ["No more rows than dimensions: spectra end at rank n - 1, condition numbers are the sample's."]
    return []


def chance_warning(before: Mapping[str, float | None], rows: int, k: int) -> str:
    """Question the pairing of rows that match no better than chance."""
    chance = {"text_to_image_at_1": 1 / rows, "image_to_text_at_1": 1 / rows, "mutual_knn": k / (rows - 1)}
    values = ", ".join(
        f"{METRICS[name].label} {before[name]:.3g} (chance {level:.3g})"
        for name, level in chance.items()
        if before[name] is not None
    )
    return (
        f"Are these pairs? Row i of one set matches row i of the other no better than chance: {values}. Bring both "
        "into one order, or add --unpaired: else the metrics of pairs mean nothing."
    )


def _fitted(
    aligners: dict[str, Aligner], split: _Split, warnings: list[str], progress: Callable[[str], Any]
) -> Iterator[tuple[str, Aligner]]:
    """Fit the aligners one by one; a warning names those that cannot be fitted."""
    for name, aligner in aligners.items():
        progress(name)
        if aligner.paired and not split.paired:
            warnings.append(f"{name} is left out: it is fitted on pairs, and these sets are not paired.")
            continue
        try:
            aligner.fit(split.text_fit, split.image_fit)
        except RevisionError as error:
            warnings.append(f"{name} is left out: {error}")
            continue
        yield name, aligner


def _drift(images: Side, texts: Side) -> list[Drift]:
    """Phantom drift of the texts after ReAlign's anchor and trace steps."""
    scale = np.sqrt(images.moments.trace / texts.moments.trace)
    return drift_sweep(images.moments.mean + scale * (texts.rows - texts.moments.mean), DRIFT_FACTORS)


def _choices(settings: SuiteSettings, image: Side, text: Side, frame: Frame, paired: bool) -> dict[str, str]:
    """Descriptions of what the paper does not specify, of the metrics that are measured."""
    power_laws = {"images": power_law(image.eigenvalues), "texts": power_law(text.eigenvalues)}
    d = image.rows.shape[1]
    q = min(settings.subspace, d)
    ranks = ", ".join(
        f"{law.first} to {law.last} ({name}, R^2 {law.r_squared:.3f})" for name, law in power_laws.items()
    )
    floor = "RMS gap that sampling alone gives sets with equal means; a gap close to it cannot be told from zero."
    choices = {"rows": rows_choice(settings)}
    if settings.fit_share == 1:
        choices["fit"] = "Aligners are fitted and measured on the same rows, so that their gaps have no sampling floor."
    elif settings.fit_share:
        choices["fit"] = f"Aligners are fitted on {settings.fit_share:.0%} of the rows, all is measured on the others."
        floor += " Of aligners, it includes the sampling of the rows that they are fitted on."
    choices |= {
        "floor": floor,
        "sample": f"Neighbours, cosines, retrieval, uniformity and CKA: {len(image.sample)} images and "
        f"{len(text.sample)} texts.",
        "power law": f"Least squares of log eigenvalue on log rank with equal weights, ranks {ranks}; aligned texts by "
        f"the same rule: {FIT_RANGE[0]:.0%} to {FIT_RANGE[1]:.0%} of the ranks.",
        "condition number": f"Effective: largest eigenvalue over the last within {EFFECTIVE_ENERGY:.0%} of the trace.",
        "cosines": f"All pairs of the sample; {BINS} bins on [-1, 1]; Gaussian, Scott's width; base {BASE:g}.",
        "neighbours": f"Cosine, exact; k = {settings.mixing_k} for mixing, k = {settings.overlap_k} for overlap. "
        f"Sets from the same distribution mix at {equal_mixing(len(image.sample), len(text.sample)):.3f}.",
        "subspace": f"q = {q}; chance gives q / d = {q / d:.3f}.",
        "separability": "Logistic regression, fitted on half of the rows and tested on the others, "
        f"at most {SEPARABILITY_ROWS} of each set; chance gives 0.5.",
        "uniformity": "t = 2.",
    }
    if not paired:
        return choices
    return choices | {
        "retrieval": f"Chance gives R@k of k / {len(text.sample)}.",
        "alignment": "Mean squared distance of pairs.",
        "frame": f"U explains {settings.frame_energy:.0%} of the trace of S before alignment: r = {frame.rank} of {d}.",
        "coupling": f"Ridge at {RIDGE:g} of the mean eigenvalue; R^2 in sample, n = {len(text.rows)}, "
        f"r = {frame.rank}: chance alone gives about r / n.",
        "relative gap": "D / (D + mean D within both sets), D = (1 - cosine) / 2 of pairs.",
        "mixed NDCG": "Each text searches for its image among all images and all other texts.",
        "agreement": agreement_choice(settings.overlap_k, len(text.sample)),
    }


def equal_mixing(images: int, texts: int) -> float:
    """Mixing rate that sets from the same distribution have."""
    return images / (images + texts - 1)


def rows_choice(settings: SuiteSettings) -> str:
    """Description of the choice of rows."""
    return f"Rows are normalised to unit length; seed {settings.seed}; at most {settings.rows} rows of each set."


def agreement_choice(overlap_k: int, rows: int) -> str:
    """Description of mutual k-NN and CKA."""
    chance = overlap_k / (rows - 1)
    return f"Mutual k-NN: k = {overlap_k}, chance gives {chance:.3f}. CKA: unbiased estimate, chance gives 0."
