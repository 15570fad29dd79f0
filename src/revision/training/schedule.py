"""Learning rate schedule: linear warm-up, then cosine decay to zero."""

import math


def learning_rate(step: int, steps: int, warmup_ratio: float, peak: float = 1.0) -> float:
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

    Returns
    -------
    float
        The learning rate.
    """
    warmup = max(1, round(steps * warmup_ratio))
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup))) / 2
