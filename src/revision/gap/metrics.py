"""The metrics of the suite for one pair of embedding sets; each is defined in its own module of `revision.geometry`."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from revision.embeddings.moments import Moments
from revision.embeddings.rows import Array, measured
from revision.geometry.angles import cosine_density, jensen_shannon
from revision.geometry.coupling import ridge_coupling
from revision.geometry.frame import Frame
from revision.geometry.gap import decompose
from revision.geometry.neighbours import mixing_rate, nearest_within, pair_cosine, retrieval, shared_neighbours
from revision.geometry.ranking import mixed_modality_ndcg
from revision.geometry.representations import linear_cka
from revision.geometry.separability import linear_separability, relative_modality_gap
from revision.geometry.shape import residual, shape_discrepancy, spectral_correlation, subspace_overlap
from revision.geometry.spectrum import (
    condition_number,
    effective_condition_number,
    effective_dimension,
    effective_rank,
    eigenvalues,
    power_law,
)
from revision.geometry.uniformity import alignment, uniformity

NDCG_K = 10
SEPARABILITY_ROWS = 2000


@dataclass(frozen=True)
class Metric:
    """Label of a metric in tables, its figure or section in the paper, its table, and whether it needs pairs."""

    label: str
    reference: str
    group: str
    needs_pairs: bool = False


METRICS: dict[str, Metric] = {
    "gap": Metric("centroid gap", "figure 3", "gap"),
    "gap_floor": Metric("sampling floor of the gap", "figure 3", "gap"),
    "separability": Metric("linear separability, held out", "arXiv:2505.03703", "gap"),
    "angular_divergence": Metric("JS divergence of cosines to the images' (bits)", "figure 4b", "gap"),
    "shape_discrepancy": Metric("covariance shape discrepancy G_S", "follow-up", "gap"),
    "spectral_correlation": Metric("spectral correlation", "follow-up", "gap"),
    "subspace_overlap": Metric("subspace overlap O_q", "follow-up", "gap"),
    "trace": Metric("trace of the covariance", "section 4", "spread"),
    "alpha": Metric("power-law exponent", "figure 4a", "spread"),
    "effective_rank": Metric("effective rank", "figure 10a", "spread"),
    "effective_dimension": Metric("effective dimension", "follow-up", "spread"),
    "condition": Metric("condition number", "figure 9", "spread"),
    "effective_condition": Metric("effective condition number", "figure 1c", "spread"),
    "uniformity": Metric("uniformity", "arXiv:2005.10242", "spread"),
    "mixing_rate": Metric("k-NN mixing rate", "figure 5", "neighbours"),
    "neighbour_overlap": Metric("k-NN overlap with the texts before", "figure 9b", "neighbours"),
    "mixed_ndcg_at_10": Metric("mixed-modality NDCG@10", "arXiv:2507.19054", "neighbours", True),
    "mutual_knn": Metric("mutual k-NN of images and texts", "arXiv:2405.07987", "neighbours", True),
    "cka": Metric("linear CKA of images and texts", "arXiv:1905.00414", "neighbours", True),
    "text_to_image_at_1": Metric("text to image R@1", "retrieval", "retrieval", True),
    "text_to_image_at_5": Metric("text to image R@5", "retrieval", "retrieval", True),
    "text_to_image_at_10": Metric("text to image R@10", "retrieval", "retrieval", True),
    "image_to_text_at_1": Metric("image to text R@1", "retrieval", "retrieval", True),
    "image_to_text_at_5": Metric("image to text R@5", "retrieval", "retrieval", True),
    "image_to_text_at_10": Metric("image to text R@10", "retrieval", "retrieval", True),
    "pair_cosine": Metric("mean cosine of pairs", "retrieval", "pairs", True),
    "alignment": Metric("alignment of pairs", "arXiv:2005.10242", "pairs", True),
    "relative_gap": Metric("relative modality gap (RMG)", "arXiv:2404.07983", "pairs", True),
    "residual_ratio": Metric("residual ratio", "follow-up", "pairs", True),
    "residual_anisotropy": Metric("residual anisotropy A_r", "follow-up", "pairs", True),
    "residual_dimension_share": Metric("residual effective dimension / d", "follow-up", "pairs", True),
    "beta": Metric("principal mean bias |beta|", "section 3", "frame", True),
    "gamma": Metric("passive orthogonal bias |gamma|", "section 3", "frame", True),
    "delta": Metric("residual in U, RMS |delta|", "section 3", "frame", True),
    "zeta": Metric("residual in V, RMS |zeta|", "section 3", "frame", True),
    "coupling_norm": Metric("coupling |L|_2", "appendix C", "frame", True),
    "coupling_r_squared": Metric("coupling R^2 (in sample)", "appendix C", "frame", True),
}


@dataclass(frozen=True)
class Side:
    """Measurements of one embedding set.

    Attributes
    ----------
    rows : ndarray of shape (n, d)
        Unit rows.
    sample : ndarray of shape (s, d)
        Sample of the rows for neighbours, cosines and retrieval.
    moments : Moments
        Mean and covariance of the rows.
    eigenvalues : ndarray of shape (d,)
        Descending eigenvalues of the covariance.
    density : ndarray of shape (bins,)
        Density of the cosines within the sample.
    neighbour_count : int
        Number of `neighbours`.
    """

    rows: Array
    sample: Array
    moments: Moments
    eigenvalues: Array
    density: Array
    neighbour_count: int

    @classmethod
    def of(cls, rows: Array, sample: Array, neighbour_count: int) -> "Side":
        """Measure unit rows of shape (n, d); `sample` has the indices of the rows in the sample."""
        moments = measured(rows, covariance=True)
        sampled = rows[sample]
        return cls(rows, sampled, moments, eigenvalues(moments.covariance), cosine_density(sampled), neighbour_count)

    @cached_property
    def neighbours(self) -> tuple[Array, Array]:
        """Similarities and indices of the nearest other rows of the sample, which several metrics share."""
        return nearest_within(self.sample, min(self.neighbour_count, len(self.sample) - 1))

    def common_neighbours(self, other: "Side", k: int) -> float:
        """Return the fraction of the k nearest neighbours that corresponding rows of both sets have in common."""
        return shared_neighbours(self.neighbours[1][:, :k], other.neighbours[1][:, :k])

    def spectrum(self) -> dict[str, float]:
        """Return the metrics that need one set only."""
        return {
            "trace": self.moments.trace,
            "alpha": power_law(self.eigenvalues).alpha,
            "effective_rank": effective_rank(self.eigenvalues),
            "effective_dimension": effective_dimension(self.eigenvalues),
            "condition": condition_number(self.eigenvalues),
            "effective_condition": effective_condition_number(self.eigenvalues),
            "uniformity": uniformity(self.sample),
        }


def measure(
    image: Side, text: Side, before: Side, *, mixing_k: int, overlap_k: int, subspace: int, seed: int
) -> dict[str, float | None]:
    """Compute the metrics that need no pairs.

    Parameters
    ----------
    image, text : Side
        Images, and texts before or after alignment.
    before : Side
        Texts before alignment.
    mixing_k, overlap_k : int
        Neighbours for the mixing rate and for the overlap with the texts before alignment.
    subspace : int
        Eigenvectors for the subspace overlap, at most the dimension.
    seed : int
        Seed of the rows on which separability is measured.

    Returns
    -------
    dict
        A value for each of METRICS; None for those that need pairs.
    """
    covariances = image.moments.covariance, text.moments.covariance
    values: dict[str, Any] = dict.fromkeys(METRICS)
    return (
        values
        | text.spectrum()
        | {
            "gap": float(np.linalg.norm(image.moments.mean - text.moments.mean)),
            "angular_divergence": jensen_shannon(text.density, image.density),
            "mixing_rate": mixing_rate(text.sample, image.sample, mixing_k, among_texts=text.neighbours[0]),
            "neighbour_overlap": before.common_neighbours(text, overlap_k),
            "shape_discrepancy": shape_discrepancy(*covariances),
            "spectral_correlation": spectral_correlation(image.eigenvalues, text.eigenvalues),
            "subspace_overlap": subspace_overlap(*covariances, [subspace])[subspace],
            "separability": linear_separability(image.sample, text.sample, rows=SEPARABILITY_ROWS, seed=seed),
        }
    )


def measure_pairs(image: Side, text: Side, frame: Frame, *, overlap_k: int) -> dict[str, float]:
    """Compute the metrics that need pairs.

    Parameters
    ----------
    image, text : Side
        Images and texts; row i of one is the partner of row i of the other.
    frame : Frame
        The frame fixed before alignment.
    overlap_k : int
        Neighbours for mutual k-NN.

    Returns
    -------
    dict
        A value for each of METRICS that needs pairs.
    """
    recall = retrieval(image.sample, text.sample)
    parts = decompose(image.rows, text.rows, frame)
    coupling = ridge_coupling(parts.delta @ frame.U, parts.zeta @ frame.V)
    pair_residual = residual(image.rows, text.rows)
    return (
        {f"text_to_image_at_{k}": value for k, value in recall.text_to_image.items()}
        | {f"image_to_text_at_{k}": value for k, value in recall.image_to_text.items()}
        | {name: float(np.sqrt(energy)) for name, energy in parts.energy().items()}
        | {
            "pair_cosine": float(pair_cosine(image.rows, text.rows).mean()),
            "coupling_norm": coupling.norm,
            "coupling_r_squared": coupling.r_squared,
            "residual_anisotropy": pair_residual.anisotropy,
            "residual_dimension_share": pair_residual.effective_dimension / image.rows.shape[1],
            "residual_ratio": pair_residual.ratio,
            "relative_gap": relative_modality_gap(image.rows, text.rows),
            "alignment": alignment(image.rows, text.rows),
            "mixed_ndcg_at_10": mixed_modality_ndcg(image.sample, text.sample, NDCG_K, among_texts=text.neighbours[0]),
        }
        | measure_agreement(image, text, overlap_k)
    )


def measure_agreement(image: Side, text: Side, overlap_k: int) -> dict[str, float]:
    """Compute the metrics of pairs that allow two different dimensions: mutual k-NN and CKA."""
    return {
        "mutual_knn": image.common_neighbours(text, overlap_k),
        "cka": linear_cka(image.sample, text.sample),
    }
