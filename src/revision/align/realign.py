"""ReAlign (section 4): anchor, trace and centroid alignment from unpaired statistics."""

import numpy as np

from revision.align.base import Aligner, Engine, require_positive_trace
from revision.align.transforms import Shift, Transform
from revision.embeddings.moments import Rows
from revision.errors import ConfigError


class ReAlign(Aligner):
    """The first `steps` (1 to 3) of ReAlign; each ends at unit length.

    1: e - mu_y + mu_x. 2: mu_x + s (e - mu_y) with s = sqrt(T_x / (T_y + epsilon)). 3: e' - mu' + mu_x, mu' the mean
    of e'. With `steps=1` this is the mean shift. After step 3 a centroid error of about 1e-4 to 1e-3 stays
    (proposition B.19). Fitted: `source_mean_`, `target_mean_` [d], `source_trace_`, `target_trace_`, `scale_`, and
    with step 3 `drift_mean_` (mu').
    """

    name = "realign"

    def __init__(self, steps: int = 3, epsilon: float = 1e-12) -> None:
        self.steps = steps
        self.epsilon = epsilon

    def _fit(self, source: Rows, target: Rows, engine: Engine) -> list[Transform]:
        if self.steps not in (1, 2, 3):
            raise ConfigError(f"{self.name}: steps must be 1, 2 or 3, got {self.steps!r}")
        transforms: list[Transform] = [self._affine(source, target, engine)]
        if self.steps == 3:
            self.drift_mean_ = engine.moments(source, transforms=transforms).mean
            transforms.append(Shift(1.0, self.target_mean_ - self.drift_mean_))
        return transforms

    def _affine(self, source: Rows, target: Rows, engine: Engine) -> Shift:
        of_source, of_target = engine.moments(source), engine.moments(target)
        self.source_mean_, self.target_mean_ = of_source.mean, of_target.mean
        self.source_trace_, self.target_trace_ = of_source.trace, of_target.trace
        self.scale_ = 1.0
        if self.steps > 1:
            require_positive_trace(target, of_target, self.name)
            require_positive_trace(source, of_source, self.name)
            self.scale_ = float(np.sqrt(of_target.trace / (of_source.trace + self.epsilon)))
        return Shift(self.scale_, self.target_mean_ - self.scale_ * self.source_mean_)


class ReAlignIterated(ReAlign):
    """ReAlign whose centroid step repeats until |mean - mu_x| <= tolerance or `max_iterations` steps are done.

    Fitted: `centroid_errors_`, the distance before each step and after the last. Each step is one pass over the
    source.
    """

    name = "realign_iterated"

    def __init__(self, tolerance: float = 1e-7, max_iterations: int = 20, epsilon: float = 1e-12) -> None:
        self.tolerance = tolerance
        self.max_iterations = max_iterations
        self.epsilon = epsilon

    steps = 2

    def _fit(self, source: Rows, target: Rows, engine: Engine) -> list[Transform]:
        transforms: list[Transform] = [self._affine(source, target, engine)]
        self.centroid_errors_: list[float] = []
        while True:
            step = self.target_mean_ - engine.moments(source, transforms=transforms).mean
            self.centroid_errors_.append(float(np.linalg.norm(step)))
            if self.centroid_errors_[-1] <= self.tolerance or len(transforms) > self.max_iterations:
                return transforms
            transforms.append(Shift(1.0, step))
