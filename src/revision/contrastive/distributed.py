"""One InfoNCE batch over several processes (torchrun): embeddings are gathered, gradients averaged."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import Tensor, distributed

# The first process observes and prepares files while the others wait.
PATIENCE = timedelta(hours=2)


@dataclass(frozen=True)
class Group:
    """The processes that share a batch; alone, everything here leaves its argument as it is."""

    rank: int = 0
    size: int = 1

    @classmethod
    def current(cls) -> "Group":
        """The initialised process group, or this process alone."""
        if not (distributed.is_available() and distributed.is_initialized()):
            return cls()
        return cls(distributed.get_rank(), distributed.get_world_size())

    def gather(self, rows: Tensor) -> Tensor:
        """Rows [n, d] of all processes, as many of each: [size n, d] by rank; gradients flow back to the own rows."""
        return rows if self.size == 1 else _Gather.apply(rows, self)

    def average(self, parameters: Iterable[Tensor]) -> None:
        """Average the gradients over the processes, each of which has taken the loss of the whole batch."""
        for parameter in parameters:
            if self.size > 1 and parameter.grad is not None:
                distributed.all_reduce(parameter.grad)
                parameter.grad /= self.size

    def wait(self) -> None:
        """Wait for the other processes."""
        if self.size > 1:
            distributed.barrier()


class _Gather(torch.autograd.Function):
    """Concatenate over processes. All take the same loss, so the sum of a row's gradients is `size` times its own."""

    @staticmethod
    def forward(context, rows: Tensor, group: Group) -> Tensor:
        context.group, context.count = group, len(rows)
        parts = [torch.empty_like(rows) for _ in range(group.size)]
        distributed.all_gather(parts, rows.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(context, gradient: Tensor) -> tuple[Tensor, None]:
        first = context.group.rank * context.count
        return gradient[first : first + context.count] * context.group.size, None


def join() -> torch.device:
    """Join the processes that torchrun started, if any, and say which device this one has."""
    gpu = torch.cuda.is_available()
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        distributed.init_process_group("nccl" if gpu else "gloo", timeout=PATIENCE)
    if not gpu:
        return torch.device("cpu")
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    torch.cuda.set_device(device)
    return device
