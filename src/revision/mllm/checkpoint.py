"""The state that an interrupted training resumes from: one file, or a folder of shards if weights are sharded."""

import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator, DistributedType
from accelerate.utils import broadcast_object_list
from torch import Tensor
from torch.distributed import checkpoint
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_state_dict, set_state_dict

from revision.io.files import atomic_file, load_state

PROGRESS = "progress.pt"
TRAINED = StateDictOptions(ignore_frozen_params=True, strict=False)


@dataclass
class Progress:
    """Progress of a training.

    Attributes
    ----------
    step : int
        Steps completed.
    history : list of dict
        Rows of the history, one per validation.
    losses : list of Tensor
        Losses of the steps since the last row.
    """

    step: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)
    losses: list[Tensor] = field(default_factory=list)


def is_sharded(accelerator: Accelerator) -> bool:
    """Whether the weights are sharded over processes (FSDP, DeepSpeed)."""
    return accelerator.distributed_type in (DistributedType.FSDP, DistributedType.DEEPSPEED)


class StateFiles:
    """Stores and restores the state of one training; all processes call its methods together.

    The processes share a file system. A training may resume with a different number of processes, except under
    DeepSpeed.

    Parameters
    ----------
    path : Path
        The state is the file `path` + ".pt" or, if the weights are sharded, the folder `path`.
    accelerator : accelerate.Accelerator
        The accelerator that prepared `model` and `optimizer`.
    model : torch.nn.Module
        The prepared model; only its trainable parameters are stored.
    optimizer : accelerate.optimizer.AcceleratedOptimizer
        The prepared optimizer.
    """

    def __init__(self, path: Path, accelerator: Accelerator, model: torch.nn.Module, optimizer: Any) -> None:
        self.file, self.folder = path.with_name(f"{path.name}.pt"), path
        self.accelerator, self.model, self.optimizer = accelerator, model, optimizer

    def store(self, progress: Progress) -> None:
        """Write the state; the previous one is kept until this one is complete."""
        if is_sharded(self.accelerator):
            self._store_shards(progress)
        elif self.accelerator.is_main_process:
            state = {
                "step": progress.step,
                "parameters": [parameter.detach() for parameter in self._parameters()],
                "optimizer": self.optimizer.state_dict(),
                "history": progress.history,
                "losses": progress.losses,
                "scaler": None if self.accelerator.scaler is None else self.accelerator.scaler.state_dict(),
            }
            with atomic_file(self.file) as temporary:
                torch.save(state, temporary)

    def restore(self) -> Progress:
        """Load the last state into model and optimiser and return its progress; without one, nothing changes."""
        if is_sharded(self.accelerator):
            return self._restore_shards()
        self.accelerator.wait_for_everyone()
        if not self.file.exists():
            return Progress()
        state = load_state(self.file)
        with torch.no_grad():
            for parameter, value in zip(self._parameters(), state["parameters"], strict=True):
                parameter.copy_(value)
        self.optimizer.load_state_dict(state["optimizer"])
        if self.accelerator.scaler is not None:
            self.accelerator.scaler.load_state_dict(state["scaler"])
        return Progress(state["step"], state["history"], self._to_device(state["losses"]))

    def remove(self) -> None:
        """Remove the state, once training has finished."""
        self.accelerator.wait_for_everyone()
        if self.accelerator.is_main_process:
            self.file.unlink(missing_ok=True)
            shutil.rmtree(self.folder, ignore_errors=True)

    def _parameters(self) -> list[Tensor]:
        return [parameter for parameter in self.model.parameters() if parameter.requires_grad]

    def _to_device(self, losses: list[Tensor]) -> list[Tensor]:
        return [loss.to(self.accelerator.device) for loss in losses]

    def _trained(self) -> dict[str, Any]:
        weights, optimizer = get_state_dict(self.model, self.optimizer.optimizer, options=TRAINED)
        return {"weights": weights, "optimizer": optimizer}

    def _store_shards(self, progress: Progress) -> None:
        # Shards are written to `part`, which is renamed when complete: a folder "step-*" is always whole.
        part, complete = self.folder / "part", self.folder / f"step-{progress.step:09d}"
        main = self.accelerator.is_main_process
        if main:
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir(parents=True)
        self.accelerator.wait_for_everyone()
        if self.accelerator.distributed_type == DistributedType.DEEPSPEED:
            self.accelerator.save_state(str(part))
        else:
            checkpoint.save(self._trained(), checkpoint_id=str(part))
        self.accelerator.wait_for_everyone()
        if main:
            torch.save(vars(progress), part / PROGRESS)
            os.replace(part, complete)
            for older in set(self.folder.glob("step-*")) - {complete}:
                shutil.rmtree(older)
        self.accelerator.wait_for_everyone()

    def _restore_shards(self) -> Progress:
        # The first process decides: another one may still see an older listing of a network file system.
        shared = [max((str(path) for path in self.folder.glob("step-*")), default=None)]
        broadcast_object_list(shared)
        latest = shared[0]
        if latest is None:
            return Progress()
        if self.accelerator.distributed_type == DistributedType.DEEPSPEED:
            self.accelerator.load_state(latest)
        else:
            state = self._trained()
            checkpoint.load(state, checkpoint_id=latest)
            set_state_dict(
                self.model,
                self.optimizer.optimizer,
                model_state_dict=state["weights"],
                optim_state_dict=state["optimizer"],
                options=TRAINED,
            )
        progress = Progress(**load_state(Path(latest) / PROGRESS))
        progress.losses = self._to_device(progress.losses)
        return progress
