"""Settings and results of the suite."""

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from revision.embeddings.rows import Array
from revision.gap.metrics import METRICS, NDCG_K, Side
from revision.geometry.drift import Drift
from revision.geometry.frame import FRAME_ENERGY


@dataclass(frozen=True)
class SuiteSettings:
    """Settings of a run, which are reported with its results.

    Attributes
    ----------
    seed : int
        Seed of the choice of rows.
    rows : int
        Maximum number of rows of each set.
    sample : int
        Maximum number of measured rows for metrics of pairs of rows: neighbours, cosines, retrieval and CKA.
    fit_share : float
        Fraction of rows to fit aligners on; with 1, aligners are fitted and measured on the same rows, and with 0,
        which is used where nothing is fitted, all rows are measured.
    mixing_k, overlap_k : int
        Neighbours for the mixing rate, and for the overlap with the texts before alignment and mutual k-NN.
    subspace : int
        Eigenvectors for the subspace overlap.
    frame_energy : float
        Fraction of the trace that U explains.
    """

    seed: int = 0
    rows: int = 100_000
    sample: int = 10_000
    fit_share: float = 0.5
    mixing_k: int = 20
    overlap_k: int = 10
    subspace: int = 128
    frame_energy: float = FRAME_ENERGY

    @property
    def neighbours(self) -> int:
        """Neighbours within a set that all metrics together need."""
        return max(self.mixing_k, self.overlap_k, NDCG_K)


@dataclass(frozen=True)
class Suite:
    """All results of a run, and the data of its plots.

    Attributes
    ----------
    counts : dict of int
        Numbers of rows read, fitted and measured on.
    dimension : int
        Dimension of the embeddings.
    paired : bool
        Whether row i of one set is the partner of row i of the other.
    settings : SuiteSettings
        Settings of the run.
    choices : dict of str
        Descriptions of what the paper does not specify.
    image : dict of float
        Metrics of the images alone.
    methods : dict of dict
        Metrics by aligner; "identity" is before alignment. None for metrics that cannot be
        computed: those that need pairs if there are none, and those of a common space if the dimensions differ.
    overlap_curve : dict of float
        Subspace overlap before alignment, by number of eigenvectors.
    drift : list of Drift
        Phantom drift of texts after ReAlign's trace step, one per factor of the residual.
    notes : list of str
        Remarks on the data.
    warnings : list of str
        What makes results doubtful or incomplete: pairs that match no better than chance, aligners that were left out.
    sides : dict of Side
        Texts by aligner.
    images : Side
        Images before alignment.
    moved_images : dict of Side
        Images after the aligners that move them.
    plane : tuple of ndarray
        Mean and two principal axes of both sets before alignment; None if their dimensions differ.
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
    warnings: list[str]
    sides: dict[str, Side] = field(repr=False)
    images: Side = field(repr=False)
    moved_images: dict[str, Side] = field(repr=False)
    plane: tuple[Array, Array] | None = field(repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Return the results as plain values that JSON can represent, without rows and densities."""
        drift = [
            {
                "relative_residual": factor.relative_residual,
                "predicted": float(np.linalg.norm(factor.predicted)),
                "measured": float(np.linalg.norm(factor.measured)),
                "error": factor.error,
            }
            for factor in self.drift
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
            "warnings": self.warnings,
        }
