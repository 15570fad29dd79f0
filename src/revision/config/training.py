"""Projector, budget and optimiser of language model training and of the two stages."""

from typing import Literal

from revision.config.base import Count, Fraction, NonNegative, Positive, Settings

Schedule = Literal["cosine", "constant"]


class ProjectorSettings(Settings):
    """Visual tokens that the projector makes of one embedding.

    Attributes
    ----------
    tokens : int
        Different visual tokens; the projector's second layer has this many outputs.
    copies : int
        How often these tokens are repeated. The authors' code repeats one token 576 times; the paper does not say so.
    """

    tokens: Count = 1
    copies: Count = 1


class LoopSettings(Settings):
    """Budget and optimiser of one training, the same for all methods that a table compares (Appendix H).

    Attributes
    ----------
    epochs : int
        Passes over the data.
    batch_size : int
        Rows of a step, over all processes.
    learning_rate, weight_decay : float
        Peak learning rate and weight decay of AdamW.
    warmup_ratio : float
        Fraction of the steps that warm up linearly.
    schedule : {"cosine", "constant"}
        Learning rate after the warm-up: cosine decay to zero, or constant, so that a step does not depend on how many
        follow.
    clip_norm : float
        Largest norm of the gradient.
    checkpoint_every, validate_every : int
        Steps between stored states, and between validations.
    precision : {"no", "bf16", "fp16"}
        Mixed precision of accelerate; "no" is float32.
    fused : bool
        Whether to use torch's fused AdamW.
    micro_batch_size : int, optional
        Rows of one forward pass of one process; saves memory and does not change the result.
    """

    epochs: Count
    batch_size: Count
    learning_rate: Positive
    weight_decay: NonNegative = 0.0
    warmup_ratio: Fraction = 0.03
    schedule: Schedule = "cosine"
    clip_norm: Positive = 1.0
    checkpoint_every: Count = 500
    validate_every: Count = 200
    precision: Literal["no", "bf16", "fp16"] = "no"
    fused: bool = False
    micro_batch_size: Count | None = None
