"""The learning rate of every training: linear warm-up, then half a cosine to zero."""

import math


def learning_rate(step: int, steps: int, warmup_ratio: float, peak: float = 1.0) -> float:
    """Learning rate at `step` of `steps`; warm-up takes the share `warmup_ratio` of the steps, at least one."""
    warmup = max(1, round(steps * warmup_ratio))
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup))) / 2
