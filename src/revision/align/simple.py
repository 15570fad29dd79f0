"""Two baselines of Section 2: no alignment, and the mean shift of Unicorn (arXiv:2503.22655)."""

from revision.align.base import Aligner
from revision.align.engine import Engine
from revision.align.transforms import Shift, Transform
from revision.embeddings.moments import Rows


class Identity(Aligner):
    """No alignment: rows are normalised to unit length and otherwise unchanged."""

    name = "identity"
    least_rows = 1

    def _fit(self, source: Rows, target: Rows, engine: Engine) -> list[Transform]:
        return []


class MeanShift(Aligner):
    """Shift the source's mean onto the target's: `e - mu_y + mu_x`, then unit length.

    The same as the first step of ReAlign, `ReAlign(steps=1)`.

    Attributes
    ----------
    source_mean_ : ndarray of shape (d,)
        Mean of the normalised source rows, mu_y.
    target_mean_ : ndarray of shape (d,)
        Mean of the normalised target rows, mu_x.
    """

    name = "mean_shift"
    least_rows = 1

    def _fit(self, source: Rows, target: Rows, engine: Engine) -> list[Transform]:
        self.source_mean_ = engine.moments(source).mean
        self.target_mean_ = engine.moments(target).mean
        return [Shift(1.0, self.target_mean_ - self.source_mean_)]
