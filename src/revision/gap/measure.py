"""The whole suite for two embedding sets and any aligners: what `revision gap` and the figures on embeddings show.

Aligners are fitted on one part of the rows and measured on the rest, so that one fitted on pairs cannot remember them.
Only images and texts before and after alignment enter; every metric is defined in its own module.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from revision.align import ALIGNERS, make_aligner
from revision.embeddings.moments import Moments, Rows
from revision.embeddings.rows import Array, as_rows, measured, same_dimension, take
from revision.errors import ConfigError, DataError, RevisionError
from revision.geometry.angles import BASE, BINS, cosine_density, jensen_shannon
from revision.geometry.coupling import RIDGE, ridge_coupling
from revision.geometry.drift import Drift, drift_sweep
from revision.geometry.frame import FRAME_ENERGY, Frame, frame_of
from revision.geometry.gap import decompose
from revision.geometry.neighbours import mixing_rate, neighbour_overlap, pair_cosine, retrieval
from revision.geometry.ranking import mixed_modality_ndcg
from revision.geometry.representations import linear_cka, mutual_knn
from revision.geometry.separability import linear_separability, relative_modality_gap
from revision.geometry.shape import residual, shape_discrepancy, spectral_correlation, subspace_overlap
from revision.geometry.spectrum import (
    EFFECTIVE_ENERGY,
    FIT_RANGE,
    condition_number,
    effective_condition_number,
    effective_dimension,
    effective_rank,
    eigenvalues,
    power_law,
    principal_axes,
)
from revision.geometry.uniformity import alignment, uniformity

LEAST_ROWS = 32
BEFORE = "identity"
DRIFT_FACTORS = (0.0625, 0.125, 0.25, 0.5, 1.0)


@dataclass(frozen=True)
class SuiteSettings:
    """Choices of a run; all of them are printed with the numbers."""

    seed: int = 0
    rows: int = 100_000  # at most this many rows of each set are read
    sample: int = 10_000  # of the measured ones, for neighbours, cosines and retrieval
    fit_share: float = 0.5  # share of rows that aligners are fitted on; 1: fitted and measured on the same rows
    mixing_k: int = 20
    overlap_k: int = 10
    subspace: int = 128
    frame_energy: float = FRAME_ENERGY


@dataclass(frozen=True)
class Metric:
    """One row of the table: what it is called, where the paper has it, whether it needs pairs."""

    label: str
    place: str
    needs_pairs: bool = False


METRICS: dict[str, Metric] = {
    "gap": Metric("centroid gap", "figure 3"),
    "trace": Metric("trace of the covariance", "section 4"),
    "alpha": Metric("power-law exponent", "figure 4a"),
    "effective_rank": Metric("effective rank", "figure 10a"),
    "effective_dimension": Metric("effective dimension", "follow-up"),
    "condition": Metric("condition number", "figure 9"),
    "effective_condition": Metric("effective condition number", "figure 1c"),
    "angular_divergence": Metric("JS divergence of cosines to the images' (bits)", "figure 4b"),
    "mixing_rate": Metric("k-NN mixing rate", "figure 5"),
    "neighbour_overlap": Metric("k-NN overlap with the texts before", "figure 9b"),
    "shape_discrepancy": Metric("covariance shape discrepancy G_S", "follow-up"),
    "spectral_correlation": Metric("spectral correlation", "follow-up"),
    "subspace_overlap": Metric("subspace overlap O_q", "follow-up"),
    "separability": Metric("linear separability, held out", "arXiv:2505.03703"),
    "uniformity": Metric("uniformity", "arXiv:2005.10242"),
    "text_to_image_at_1": Metric("text to image R@1", "retrieval", True),
    "text_to_image_at_5": Metric("text to image R@5", "retrieval", True),
    "text_to_image_at_10": Metric("text to image R@10", "retrieval", True),
    "image_to_text_at_1": Metric("image to text R@1", "retrieval", True),
    "image_to_text_at_5": Metric("image to text R@5", "retrieval", True),
    "image_to_text_at_10": Metric("image to text R@10", "retrieval", True),
    "pair_cosine": Metric("mean cosine of pairs", "retrieval", True),
    "beta": Metric("principal mean bias |beta|", "section 3", True),
    "gamma": Metric("passive orthogonal bias |gamma|", "section 3", True),
    "delta": Metric("residual in U, RMS |delta|", "section 3", True),
    "zeta": Metric("residual in V, RMS |zeta|", "section 3", True),
    "coupling_norm": Metric("coupling |L|_2", "appendix C", True),
    "coupling_r_squared": Metric("coupling R^2 (in sample)", "appendix C", True),
    "residual_anisotropy": Metric("residual anisotropy A_r", "follow-up", True),
    "residual_dimension_share": Metric("residual effective dimension / d", "follow-up", True),
    "residual_ratio": Metric("residual ratio", "follow-up", True),
    "relative_gap": Metric("relative modality gap (RMG)", "arXiv:2404.07983", True),
    "alignment": Metric("alignment of pairs", "arXiv:2005.10242", True),
    "mixed_ndcg_at_10": Metric("mixed-modality NDCG@10", "arXiv:2507.19054", True),
    "mutual_knn": Metric("mutual k-NN of images and texts", "arXiv:2405.07987", True),
    "cka": Metric("linear CKA of images and texts", "arXiv:1905.00414", True),
}


@dataclass(frozen=True)
class Side:
    """One set as measured: its rows [n, d], a sample of them, moments, eigenvalues [d], cosine density [bins]."""

    rows: Array
    sample: Array
    moments: Moments
    eigenvalues: Array
    density: Array

    @classmethod
    def of(cls, rows: Array, chosen: Array) -> "Side":
        """Measure unit rows [n, d]; `chosen` are the indices of the sample."""
        found = measured(rows, covariance=True)
        sample = rows[chosen]
        return cls(rows, sample, found, eigenvalues(found.covariance), cosine_density(sample))

    def spectrum(self) -> dict[str, float]:
        """The metrics of one set alone."""
        return {
            "trace": self.moments.trace,
            "alpha": power_law(self.eigenvalues).alpha,
            "effective_rank": effective_rank(self.eigenvalues),
            "effective_dimension": effective_dimension(self.eigenvalues),
            "condition": condition_number(self.eigenvalues),
            "effective_condition": effective_condition_number(self.eigenvalues),
            "uniformity": uniformity(self.sample),
        }


@dataclass(frozen=True)
class Suite:
    """All numbers of a run, and what the images need.

    `methods[name][metric]` is None where the metric needs pairs and there are none; "identity" is before alignment.
    `moved_images` holds the images of those aligners that move them too.
    """

    counts: dict[str, int]
    dimension: int
    paired: bool
    settings: SuiteSettings
    choices: dict[str, str]
    image: dict[str, float]
    methods: dict[str, dict[str, float | None]]
    overlap_curve: dict[int, float]
    drift: list[Drift]
    notes: list[str]
    sides: dict[str, Side] = field(repr=False)
    images: Side = field(repr=False)
    moved_images: dict[str, Side] = field(repr=False)
    plane: tuple[Array, Array] | None = field(repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Plain, JSON-ready values: everything but rows and curves of images."""
        drift = [
            {
                "relative_residual": one.relative_residual,
                "predicted": float(np.linalg.norm(one.predicted)),
                "measured": float(np.linalg.norm(one.measured)),
                "error": one.error,
            }
            for one in self.drift
        ]
        return {
            "counts": self.counts,
            "dimension": self.dimension,
            "paired": self.paired,
            "settings": asdict(self.settings),
            "choices": self.choices,
            "needs_pairs": [name for name, metric in METRICS.items() if metric.needs_pairs],
            "image": self.image,
            "methods": self.methods,
            "subspace_overlap_curve": {str(q): value for q, value in self.overlap_curve.items()},
            "drift": drift,
            "notes": self.notes,
        }


def measure(
    image: Side, text: Side, before: Side, frame: Frame, paired: bool, settings: SuiteSettings
) -> dict[str, Any]:
    """Every metric of METRICS for texts [m, d] against images [n, d]; `before` is the text side before alignment."""
    q = min(settings.subspace, image.rows.shape[1])
    values: dict[str, Any] = dict.fromkeys(METRICS) | text.spectrum()
    values |= {
        "gap": float(np.linalg.norm(image.moments.mean - text.moments.mean)),
        "angular_divergence": jensen_shannon(text.density, image.density),
        "mixing_rate": mixing_rate(text.sample, image.sample, settings.mixing_k),
        "neighbour_overlap": neighbour_overlap(before.sample, text.sample, settings.overlap_k),
        "shape_discrepancy": shape_discrepancy(image.moments.covariance, text.moments.covariance),
        "spectral_correlation": spectral_correlation(image.eigenvalues, text.eigenvalues),
        "subspace_overlap": subspace_overlap(image.moments.covariance, text.moments.covariance, [q])[q],
        "separability": linear_separability(image.sample, text.sample, seed=settings.seed),
    }
    if not paired:
        return values
    values |= agreement(image, text, settings)
    recall = retrieval(image.sample, text.sample)
    for way in ("text_to_image", "image_to_text"):
        values |= {f"{way}_at_{k}": share for k, share in getattr(recall, way).items()}
    parts = decompose(image.rows, text.rows, frame)
    values |= {name: float(np.sqrt(energy)) for name, energy in parts.energy().items()}
    coupling = ridge_coupling(parts.delta @ frame.U, parts.zeta @ frame.V)
    left = residual(image.rows, text.rows)
    return values | {
        "pair_cosine": float(pair_cosine(image.rows, text.rows).mean()),
        "coupling_norm": coupling.norm,
        "coupling_r_squared": coupling.r_squared,
        "residual_anisotropy": left.anisotropy,
        "residual_dimension_share": left.effective_dimension / image.rows.shape[1],
        "residual_ratio": left.ratio,
        "relative_gap": relative_modality_gap(image.rows, text.rows),
        "alignment": alignment(image.rows, text.rows),
        "mixed_ndcg_at_10": mixed_modality_ndcg(image.sample, text.sample),
    }


def agreement(image: Side, text: Side, settings: SuiteSettings) -> dict[str, float]:
    """The metrics of pairs that need no common dimension."""
    return {
        "mutual_knn": mutual_knn(image.sample, text.sample, settings.overlap_k),
        "cka": linear_cka(image.rows, text.rows),
    }


def _parts(count: int, settings: SuiteSettings, generator: np.random.Generator) -> tuple[Array, Array]:
    """Ascending indices of the rows to fit on and of those to measure."""
    order = generator.permutation(count)[: settings.rows]
    if settings.fit_share == 1:
        return np.sort(order), np.sort(order)
    cut = round(settings.fit_share * len(order))
    return np.sort(order[:cut]), np.sort(order[cut:])


def run_suite(
    image: Array | Rows,
    text: Array | Rows,
    aligners: list[str],
    *,
    paired: bool,
    settings: SuiteSettings | None = None,
    tell: Callable[[str], Any] = lambda stage: None,
) -> Suite:
    """Measure image [n, d] against text [m, d] before alignment and after each of `aligners` (or ["all"]).

    Rows are taken to unit length. With `paired`, row i belongs to row i. `tell` hears the name of each stage as it
    starts. ConfigError for an unknown aligner or a share outside (0, 1]; DataError for sets of different dimension,
    too few rows, or a named aligner that cannot be fitted; with "all" such an aligner is left out and named in the
    notes.
    """
    settings = settings or SuiteSettings()
    if not 0 < settings.fit_share <= 1:
        raise ConfigError(f"fit_share: {settings.fit_share} is not in (0, 1]; 1 fits and measures on the same rows")
    everything = "all" in aligners
    names = sorted(ALIGNERS) if everything else list(dict.fromkeys(aligners))
    fitted = {name: make_aligner(name) for name in names if name != BEFORE}
    dimension = same_dimension(image, text)
    image, text = as_rows(image, "image"), as_rows(text, "text")
    generator = np.random.default_rng(settings.seed)
    image_parts = _parts(image.count, settings, generator)
    text_parts = image_parts if paired else _parts(text.count, settings, generator)
    fewest = min(len(part) for part in (*image_parts, *text_parts))
    if fewest < LEAST_ROWS:
        raise DataError(f"only {fewest} rows to fit or measure on; the suite needs {LEAST_ROWS} of each set and part")
    tell("reading")
    (image_fit, images), (text_fit, texts) = (
        [take(rows, index, name) for index in parts]
        for rows, parts, name in ((image, image_parts, "image"), (text, text_parts, "text"))
    )
    image_sample = np.sort(generator.permutation(len(images))[: settings.sample])
    text_sample = image_sample if paired else np.sort(generator.permutation(len(texts))[: settings.sample])
    tell("images")
    image_side = Side.of(images, image_sample)
    tell(BEFORE)
    before = Side.of(texts, text_sample)
    frame = frame_of(image_side.moments.covariance + before.moments.covariance, energy=settings.frame_energy)
    sides, moved_images = {BEFORE: before}, {}
    methods = {BEFORE: measure(image_side, before, before, frame, paired, settings)}
    notes = [] if paired else ["The sets are not paired: metrics that need pairs are left empty."]
    if min(len(images), len(texts)) <= dimension:
        notes.append("No more rows than dimensions: spectra end at rank n - 1, condition numbers are the sample's.")
    for name, aligner in fitted.items():
        tell(name)
        if aligner.paired and not paired:
            if not everything:
                raise DataError(f"aligner {name!r} is fitted on pairs, and these sets are not paired; leave it out")
            notes.append(f"{name} is fitted on pairs, and there are none: left out.")
            continue
        try:
            aligner.fit(text_fit, image_fit)
        except RevisionError as error:
            if not everything:
                raise
            notes.append(f"{name} could not be fitted and is left out: {error}")
            continue
        moved = Side.of(aligner.transform(texts), text_sample)
        target = aligner.transform_target(images) if aligner.target_transforms_ else None
        against = image_side if target is None else Side.of(target, image_sample)
        if target is not None:
            moved_images[name] = against
            notes.append(f"{name} moves images too: its numbers are against the moved images.")
        sides[name] = moved
        methods[name] = measure(against, moved, before, frame, paired, settings)
    tell("drift")
    scale = np.sqrt(image_side.moments.trace / before.moments.trace)
    placed = image_side.moments.mean + scale * (texts - before.moments.mean)
    sizes = [q for q in (1, 4, 16, 64, 128, 256, 512, 1024) if q <= dimension]
    return Suite(
        counts={
            "image": image.count,
            "text": text.count,
            "image_fitted": len(image_fit),
            "text_fitted": len(text_fit),
            "image_measured": len(images),
            "text_measured": len(texts),
        },
        dimension=dimension,
        paired=paired,
        settings=settings,
        choices=_choices(settings, image_side, before, frame),
        image=image_side.spectrum(),
        methods=methods,
        overlap_curve=subspace_overlap(image_side.moments.covariance, before.moments.covariance, sizes),
        drift=drift_sweep(placed, DRIFT_FACTORS),
        notes=notes,
        sides=sides,
        images=image_side,
        moved_images=moved_images,
        plane=principal_axes(images, texts),
    )


def _choices(settings: SuiteSettings, image: Side, text: Side, frame: Frame) -> dict[str, str]:
    """What the paper leaves open and this run settled, in words."""
    fits = {"images": power_law(image.eigenvalues), "texts": power_law(text.eigenvalues)}
    d = image.rows.shape[1]
    q = min(settings.subspace, d)
    return {
        "rows": f"Rows are taken to unit length; seed {settings.seed}; at most {settings.rows} rows of each set.",
        "fit": "Aligners are fitted and measured on the same rows."
        if settings.fit_share == 1
        else f"Aligners are fitted on {settings.fit_share:.0%} of the rows, everything is measured on the others.",
        "sample": f"Neighbours, cosines and retrieval: {len(image.sample)} images and {len(text.sample)} texts.",
        "power law": "Least squares of log eigenvalue on log rank, every rank alike, ranks "
        + ", ".join(f"{fit.first} to {fit.last} ({name}, R^2 {fit.r_squared:.3f})" for name, fit in fits.items())
        + "; aligned texts by the same rule: {:.0%} to {:.0%} of the ranks.".format(*FIT_RANGE),
        "condition number": f"Effective: largest eigenvalue over the last within {EFFECTIVE_ENERGY:.0%} of the trace.",
        "cosines": f"All pairs of the sample; {BINS} bins on [-1, 1]; Gaussian, Scott's width; base {BASE:g}.",
        "neighbours": f"Cosine, exact; k = {settings.mixing_k} for mixing, k = {settings.overlap_k} for overlap. "
        f"Sets drawn from one distribution would mix at "
        f"{len(image.sample) / (len(image.sample) + len(text.sample) - 1):.3f}.",
        "frame": f"U holds {settings.frame_energy:.0%} of the energy of S before alignment: r = {frame.rank} of {d}.",
        "subspace": f"q = {q}; chance gives q / d = {q / d:.3f}.",
        "coupling": f"Ridge at {RIDGE:g} of the mean eigenvalue; R^2 in sample, n = {len(text.rows)}, "
        f"r = {frame.rank}: chance alone gives about r / n.",
        "relative gap": "D / (D + mean of the distances within both sets), D = (1 - cosine) / 2 of pairs.",
        "separability": "Logistic regression; half of the rows to fit on, half to test on; chance gives 0.5.",
        "uniformity": "t = 2; alignment is the mean squared distance of pairs.",
        "mixed NDCG": "A text searches its image among all images and all other texts.",
        "agreement": f"Mutual k-NN: k = {settings.overlap_k}, chance gives "
        f"{settings.overlap_k / (len(text.sample) - 1):.3f}. CKA: debiased, chance gives 0.",
    }
