"""The metrics of the suite for one pair of embedding sets; each is defined in its own module of `revision.geometry`."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from revision.embeddings.moments import Moments
from revision.embeddings.rows import Array, measured
from revision.geometry.angles import cosine_density, jensen_shannon
from revision.geometry.coupling import ridge_coupling
from revision.geometry.frame import Frame
from revision.geometry.gap import decompose
from revision.geometry.neighbours import mixing_rate, neighbour_overlap, pair_cosine, retrieval
from revision.geometry.shape import residual, shape_discrepancy, spectral_correlation, subspace_overlap
from revision.geometry.spectrum import (
    condition_number,
    effective_condition_number,
    effective_dimension,
    effective_rank,
    eigenvalues,
    power_law,
)


@dataclass(frozen=True)
class Metric:
    """Label of a metric in tables, its figure or section in the paper, and whether it needs pairs."""

    label: str
    reference: str
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
    """

    rows: Array
    sample: Array
    moments: Moments
    eigenvalues: Array
    density: Array

    @classmethod
    def of(cls, rows: Array, sample: Array) -> "Side":
        """Measure unit rows of shape (n, d); `sample` has the indices of the rows in the sample."""
        moments = measured(rows, covariance=True)
        sampled = rows[sample]
        return cls(rows, sampled, moments, eigenvalues(moments.covariance), cosine_density(sampled))

    def spectrum(self) -> dict[str, float]:
        """Return the metrics that need one set only."""
        return {
            "trace": self.moments.trace,
            "alpha": power_law(self.eigenvalues).alpha,
            "effective_rank": effective_rank(self.eigenvalues),
            "effective_dimension": effective_dimension(self.eigenvalues),
            "condition": condition_number(self.eigenvalues),
            "effective_condition": effective_condition_number(self.eigenvalues),
        }


def measure(
    image: Side, text: Side, before: Side, *, mixing_k: int, overlap_k: int, subspace: int
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
            "mixing_rate": mixing_rate(text.sample, image.sample, mixing_k),
            "neighbour_overlap": neighbour_overlap(before.sample, text.sample, overlap_k),
            "shape_discrepancy": shape_discrepancy(*covariances),
            "spectral_correlation": spectral_correlation(image.eigenvalues, text.eigenvalues),
            "subspace_overlap": subspace_overlap(*covariances, [subspace])[subspace],
        }
    )


def measure_pairs(image: Side, text: Side, frame: Frame) -> dict[str, float]:
    """Compute the metrics that need pairs.

    Parameters
    ----------
    image, text : Side
        Images and texts; row i of one is the partner of row i of the other.
    frame : Frame
        The frame fixed before alignment.

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
        }
    )
