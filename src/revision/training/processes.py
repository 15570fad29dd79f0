"""Data-parallel training in processes that torchrun or accelerate started; a single process is a group of one."""

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

# Long, because one process prepares, saves and validates files while the others wait.
TIMEOUT = timedelta(hours=2)


def join() -> PartialState:
    """Join the process group of the launcher (torchrun, accelerate launch), if any; with gloo if there is no GPU."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return PartialState()
    return PartialState(cpu=not torch.accelerator.is_available(), timeout=TIMEOUT)


def gather(rows: Tensor, team: PartialState) -> Tensor:
    """Concatenate the rows of all processes, with gradients.

    If every process computes the same loss from the result, the gradient of its own rows is the sum of the gradients
    of all processes, hence too large by a factor of the number of processes; `average_gradients` divides by it.

    Parameters
    ----------
    rows : Tensor of shape (n, d)
        Rows of this process; n is the same in all processes.
    team : PartialState
        The processes, from `join`.

    Returns
    -------
    Tensor of shape (processes * n, d)
        Rows of all processes, by rank.
    """
    return rows if team.num_processes == 1 else torch.cat(torch.distributed.nn.all_gather(rows))


def average_gradients(parameters: Iterable[Tensor], team: PartialState) -> None:
    """Average gradients over the processes, in place.

    Parameters
    ----------
    parameters : iterable of Tensor
        Parameters, whose gradients are those of the loss of the whole batch in each process.
    team : PartialState
        The processes, from `join`.
    """
    if team.num_processes == 1:
        return
    for parameter in parameters:
        if parameter.grad is not None:
            torch.distributed.all_reduce(parameter.grad)
            parameter.grad /= team.num_processes


@dataclass(frozen=True)
class Part:
    """Rows of a forward pass.

    Attributes
    ----------
    rows : ndarray of shape (k,)
        Indices of rows of the table.
    weight : float
        Fraction of the target tokens of the whole batch that are in these rows.
    """

    rows: np.ndarray
    weight: float


def local_parts(batch: np.ndarray, targets: np.ndarray, micro_batch: int | None, rank: int, size: int) -> list[Part]:
    """Divide a batch into the forward passes of a process.

    A process gets every `size`-th row, since a batch is sorted by length. All processes get the same number of parts,
    so that their collective operations match; a part that would have no rows is a row of the batch with weight 0.

    Parameters
    ----------
    batch : ndarray of shape (b,)
        Indices of the batch's rows in the table.
    targets : ndarray of shape (n,)
        Number of target tokens of each row of the table.
    micro_batch : int or None
        Largest number of rows in a part; None for no limit.
    rank : int
        Index of the process.
    size : int
        Number of processes.

    Returns
    -------
    list of Part
        The parts of this process. The weights of all parts of all processes add up to 1.
    """
    total = int(targets[batch].sum())
    most = math.ceil(len(batch) / size)
    count = math.ceil(most / (micro_batch or most))
    parts = np.array_split(batch[rank::size], count)
    return [Part(rows, int(targets[rows].sum()) / total) if len(rows) else Part(batch[:1], 0.0) for rows in parts]
