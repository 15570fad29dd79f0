"""The state that a killed training resumes from: one file, or a folder of shards where the weights are sharded."""

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
    """Steps done, rows of the history, and the losses since its last row."""

    step: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)
    losses: list[Tensor] = field(default_factory=list)


def is_sharded(accelerator: Accelerator) -> bool:
    """Whether no process holds all weights (FSDP, DeepSpeed)."""
    return accelerator.distributed_type in (DistributedType.FSDP, DistributedType.DEEPSPEED)


class StateFiles:
    """Where the state of one training lies: `place` + ".pt", or shards in the folder `place`; all processes call alike.

    Processes of one training see the same file system. A run may resume with another number of processes unless
    DeepSpeed shards its state.
    """

    def __init__(self, place: Path, accelerator: Accelerator, model: torch.nn.Module, optimizer: Any) -> None:
        self.file, self.folder = place.with_name(f"{place.name}.pt"), place
        self.accelerator, self.model, self.optimizer = accelerator, model, optimizer

    def store(self, progress: Progress) -> None:
        """Write the state; the one before is there until this one is whole."""
        if is_sharded(self.accelerator):
            self._store_shards(progress)
        elif self.accelerator.is_main_process:
            state = {
                "step": progress.step,
                "parameters": [parameter.detach() for parameter in self._parameters()],
                "optimizer": self.optimizer.state_dict(),
                "history": progress.history,
                "losses": progress.losses,
            }
            with atomic_file(self.file) as temporary:
                torch.save(state, temporary)

    def restore(self) -> Progress:
        """Put weights and optimiser where the last state has them; without a state nothing changes."""
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
        return Progress(state["step"], state["history"], self._placed(state["losses"]))

    def remove(self) -> None:
        """Remove the state once training has ended and its result is written."""
        self.accelerator.wait_for_everyone()
        if self.accelerator.is_main_process:
            self.file.unlink(missing_ok=True)
            shutil.rmtree(self.folder, ignore_errors=True)

    def _parameters(self) -> list[Tensor]:
        return [parameter for parameter in self.model.parameters() if parameter.requires_grad]

    def _placed(self, losses: list[Tensor]) -> list[Tensor]:
        return [loss.to(self.accelerator.device) for loss in losses]

    def _trained(self) -> dict[str, Any]:
        weights, optimizer = get_state_dict(self.model, self.optimizer.optimizer, options=TRAINED)
        return {"weights": weights, "optimizer": optimizer}

    def _store_shards(self, progress: Progress) -> None:
        part, whole = self.folder / "part", self.folder / f"step-{progress.step:09d}"
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
            os.replace(part, whole)
            for older in set(self.folder.glob("step-*")) - {whole}:
                shutil.rmtree(older)
        self.accelerator.wait_for_everyone()

    def _restore_shards(self) -> Progress:
        found = [max((str(path) for path in self.folder.glob("step-*")), default=None)]
        broadcast_object_list(found)
        if found[0] is None:
            return Progress()
        if self.accelerator.distributed_type == DistributedType.DEEPSPEED:
            self.accelerator.load_state(found[0])
        else:
            state = self._trained()
            checkpoint.load(state, checkpoint_id=found[0])
            set_state_dict(
                self.model,
                self.optimizer.optimizer,
                model_state_dict=state["weights"],
                optim_state_dict=state["optimizer"],
                options=TRAINED,
            )
        progress = Progress(**load_state(Path(found[0]) / PROGRESS))
        progress.losses = self._placed(progress.losses)
        return progress
