"""Trainings on an accelerator that give the same bytes each time."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


@contextmanager
def reproducible(device: torch.device) -> Iterator[None]:
    """Let an accelerator compute the same bytes each time, as a CPU does by itself.

    By default the backward passes of fused attention and of convolutions add in any order. The same bytes are
    guaranteed on the same kind of device with the same versions only.

    Parameters
    ----------
    device : torch.device
        Device of the training; on a CPU nothing changes.

    Raises
    ------
    RuntimeError
        Within the block, by torch, from an operation that has no deterministic kernel: with `warn_only`, attention
        would stay as it is.
    """
    if device.type == "cpu":
        yield
        return
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    memory: Any = torch.utils.deterministic  # its properties have no types
    fill = memory.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True)
    memory.fill_uninitialized_memory = False  # a check for reads of empty memory, which takes time
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        memory.fill_uninitialized_memory = fill
