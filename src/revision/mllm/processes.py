"""Several processes under one batch: who takes which rows, and what each row weighs in the mean over target tokens."""

import math
import os
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import torch
from accelerate import PartialState

# One process loads, saves and validates files while the others wait.
PATIENCE = timedelta(hours=2)


def join() -> PartialState:
    """Join the processes that a launcher (torchrun, accelerate launch) started, if any; gloo where there is no GPU."""
    on_cpu = int(os.environ.get("WORLD_SIZE", "1")) > 1 and not torch.accelerator.is_available()
    return PartialState(cpu=on_cpu, timeout=PATIENCE) if int(os.environ.get("WORLD_SIZE", "1")) > 1 else PartialState()


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
