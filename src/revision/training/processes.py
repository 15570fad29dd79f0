"""Several processes under one batch, started by torchrun or accelerate; a process alone is a group of one."""

import math
import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import torch
import torch.distributed.nn
from accelerate import PartialState
from torch import Tensor

# One process prepares, saves and validates files while the others wait.
PATIENCE = timedelta(hours=2)


def join() -> PartialState:
    """Join the processes that a launcher (torchrun, accelerate launch) started, if any; gloo where there is no GPU."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return PartialState()
    return PartialState(cpu=not torch.accelerator.is_available(), timeout=PATIENCE)


def gather(rows: Tensor, team: PartialState) -> Tensor:
    """Rows [n, d] of all processes, as many of each: [processes n, d] by rank; gradients flow back to every process.

    Where all processes take the same loss, the gradient of a process's rows is as many times their own.
    """
    return rows if team.num_processes == 1 else torch.cat(torch.distributed.nn.all_gather(rows))


def average_gradients(parameters: Iterable[Tensor], team: PartialState) -> None:
    """Average the gradients over the processes, each of which has taken the loss of the whole batch."""
    if team.num_processes == 1:
        return
    for parameter in parameters:
        if parameter.grad is not None:
            torch.distributed.all_reduce(parameter.grad)
            parameter.grad /= team.num_processes


@dataclass(frozen=True)
class Part:
    """Rows of one forward pass of one process; `weight` is their share of the batch's target tokens."""

    rows: np.ndarray
    weight: float


def share(batch: np.ndarray, targets: np.ndarray, micro_batch: int | None, rank: int, size: int) -> list[Part]:
    """The parts of `batch` that the process `rank` of `size` takes, at most `micro_batch` rows each.

    `targets` [n] are the target tokens of every row of the table. Each process gets every `size`-th row, since a batch
    is sorted by length, and all get as many parts: one without rows is a row of the batch with weight 0.
    The weights of all parts of all processes add up to 1.
    """
    total, mine = int(targets[batch].sum()), batch[rank::size]
    most = math.ceil(len(batch) / size)
    count = math.ceil(most / (micro_batch or most))
    parts = np.array_split(mine, count)
    return [Part(rows, int(targets[rows].sum()) / total) if len(rows) else Part(batch[:1], 0.0) for rows in parts]
