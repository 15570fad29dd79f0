"""Budget and optimiser of the language model's training and of the two stages."""

from typing import Literal

from revision.config.base import Count, Fraction, NonNegative, Positive, Settings


class LoopSettings(Settings):
    """Budget and optimiser of one training: the same for every method that a table compares.

    `batch_size` counts the rows of a step over all processes, `micro_batch_size` those of one forward pass of one
    process: it saves memory and does not change the result. `validate_every` and `checkpoint_every` count steps.
    """

    epochs: Count
    batch_size: Count
    learning_rate: Positive
    weight_decay: NonNegative = 0.0
    warmup_ratio: Fraction = 0.03
    clip_norm: Positive = 1.0
    checkpoint_every: Count = 500
    validate_every: Count = 200
    precision: Literal["no", "bf16", "fp16"] = "no"
    fused: bool = False
    micro_batch_size: Count | None = None
