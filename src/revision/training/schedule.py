"""Learning rate schedules: linear warm-up, then cosine decay to zero or a constant rate."""

import math

from revision.config.training import Schedule


def learning_rate(
    step: int, steps: int, warmup_ratio: float, peak: float = 1.0, schedule: Schedule = "cosine"
) -> float:
    """Return the learning rate of a step.

    Parameters
    ----------
    step : int
        Index of the step, from 0.
    steps : int
        Number of steps of the training.
    warmup_ratio : float
        Fraction of the steps in which the rate rises linearly; at least one step.
    peak : float, default=1.0
        Highest learning rate.
    schedule : {"cosine", "constant"}, default="cosine"
        What follows the warm-up: decay to zero at the last step, or the highest rate.

    Returns
    -------
    float
        The learning rate.
    """
    warmup = max(1, round(steps * warmup_ratio))
    if step < warmup:
        return peak * (step + 1) / warmup
    if schedule == "constant":
        return peak
    return peak * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup))) / 2
