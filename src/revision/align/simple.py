"""Identity and mean shift: what the paper calls No Align, and what Unicorn (arXiv:2503.22655) does (section 2)."""

from revision.align.base import Aligner, Engine
from revision.align.transforms import Shift, Transform
from revision.embeddings.moments import Rows


class Identity(Aligner):
    """No Align: unit rows, not moved."""

    name = "identity"
    least_rows = 1

    def _fit(self, source: Rows, target: Rows, engine: Engine) -> list[Transform]:
        return []


class MeanShift(Aligner):
    """Anchor alignment: e - mu_y + mu_x, then unit length."""

    name = "mean_shift"
    least_rows = 1

    def _fit(self, source: Rows, target: Rows, engine: Engine) -> list[Transform]:
        self.source_mean_ = engine.moments(source).mean
        self.target_mean_ = engine.moments(target).mean
        return [Shift(1.0, self.target_mean_ - self.source_mean_)]
