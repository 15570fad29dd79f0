"""Two processes (gloo) get the same gradients as a single one with the whole batch."""

import os
import socket

import pytest
import torch
from torch import multiprocessing, nn
from torch.nn import functional

from revision.contrastive.loop import contrastive_loss
from revision.training.processes import average_gradients, gather, join


def gradients(rank: int, size: int) -> list[torch.Tensor]:
    """Gradients of InfoNCE of 12 pairs with respect to two linear maps and the scale."""
    team = join()
    generator = torch.Generator().manual_seed(0)
    left, right = (torch.randn(12, 5, generator=generator)[rank::size] for _ in range(2))
    nets = [nn.Linear(5, 4), nn.Linear(5, 4)]
    for net in nets:
        nn.init.normal_(net.weight, generator=generator)
        nn.init.zeros_(net.bias)
    scale = nn.Parameter(torch.tensor(2.0))
    images, texts = (
        gather(functional.normalize(net(rows)), team) for net, rows in zip(nets, (left, right), strict=True)
    )
    contrastive_loss(images, texts, scale.exp()).backward()
    parameters = [*nets[0].parameters(), *nets[1].parameters(), scale]
    average_gradients(parameters, team)
    return [parameter.grad for parameter in parameters if parameter.grad is not None]


def worker(rank, port, folder):
    """Run a process as torchrun starts it."""
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.save(gradients(rank, 2), folder / f"{rank}.pt")
    assert (join().process_index, join().num_processes) == (rank, 2)
    torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_two_processes_get_the_gradients_of_one(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    multiprocessing.spawn(worker, (port, tmp_path), nprocs=2)
    alone = gradients(0, 1)
    assert len(alone) == 5
    for rank in range(2):
        for distributed, single in zip(torch.load(tmp_path / f"{rank}.pt"), alone, strict=True):
            torch.testing.assert_close(distributed, single, rtol=1e-5, atol=1e-6)


def test_a_single_process_gathers_its_own_rows():
    rows = torch.randn(3, 2)
    assert gather(rows, join()) is rows
