"""The training loop of all stages: AdamW with warm-up and a schedule on accelerate; resumes exactly."""

import math
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator, DistributedType
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from revision.config.training import LoopSettings
from revision.errors import ConfigError
from revision.mllm.checkpoint import StateFiles, is_sharded
from revision.mllm.prompts import batch_plan
from revision.training.processes import Part, join, local_parts
from revision.training.reproducible import reproducible
from revision.training.schedule import learning_rate
from revision.training.tracking import finish, tracked

Batch = tuple[Tensor | None, ...]
Weights = dict[str, Tensor]


def run_loop(
    model: torch.nn.Module,
    lengths: np.ndarray,
    targets: np.ndarray,
    make_batch: Callable[[np.ndarray, int], Batch],
    settings: LoopSettings,
    *,
    seed: int,
    state: str | Path,
    validate: Callable[[torch.nn.Module], float] | None = None,
    observe: Callable[[torch.nn.Module, int], None] | None = None,
    title: str = "training",
    tracker: str | None = None,
) -> tuple[list[dict[str, Any]], Weights | None]:
    """Train the parameters of `model` that require gradients, with the loss `model(*batch)`.

    The processes of a launcher share each batch; the gradient is that of the mean over the target tokens of the whole
    batch. The state is stored every `checkpoint_every` steps; the same call resumes from it and removes it at the end.

    Parameters
    ----------
    model : torch.nn.Module
        Returns the mean loss over the target tokens of a batch.
    lengths : ndarray of shape (n,)
        Tokens of each example.
    targets : ndarray of shape (n,)
        Target tokens of each example, over which the loss is a mean.
    make_batch : callable
        Maps row indices and the index of the step to the arguments of `model`.
    settings : LoopSettings
        Budget and optimiser.
    seed : int
        Seed of the batch order.
    state : str or Path
        Path of the stored state (see `StateFiles`).
    validate : callable, optional
        Maps the prepared model to its validation loss.
    observe : callable, optional
        Called with the prepared model and the number of steps done, before the first step and after each.
    title : str, default "training"
        Title of the progress bar.
    tracker : str, optional
        Experiment tracker that also receives the losses (`revision.training.tracking.tracked`).

    Returns
    -------
    history : list of dict
        One row per validation: step, loss (mean since the last row), validation_loss, learning_rate.
    weights : dict of str to Tensor, or None
        None if `model` itself has the trained weights. If they were sharded, all of them on the first process and an
        empty dict on the others.

    Raises
    ------
    ConfigError
        If accelerate is configured for FSDP of version 1, or the tracker is unknown or not installed.
    DataError
        If the stored state is not readable.
    """
    team = join()
    accelerator = Accelerator(mixed_precision=settings.precision, **tracked(tracker, Path(state).with_suffix(".logs")))
    accelerator.init_trackers("revision", {"training": str(state), "title": title, "seed": seed} | settings.record())
    _configure(accelerator, settings)
    optimizer = torch.optim.AdamW(
        _trained(model), lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=settings.fused or None
    )
    model, optimizer = accelerator.prepare(model, optimizer)
    parameters = _trained(model)
    batches: list[np.ndarray] = []
    for epoch in range(settings.epochs):
        batches += batch_plan(lengths, settings.batch_size, seed * 1009 + epoch)
    steps, files = len(batches), StateFiles(Path(state), accelerator, model, optimizer)
    progress = files.restore()
    # On a CPU, torch's fused attention in bfloat16 is slower than plain matrix products.
    plain_attention = accelerator.device.type == "cpu" and settings.precision == "bf16"

    def backward(part: Part, last: bool) -> Tensor:
        """Accumulate the gradients of one part and return its contribution to the loss."""
        accelerator.sync_gradients = last
        # Processes synchronise gradients only after the last part, except where shards need it after each.
        sync = nullcontext() if last or is_sharded(accelerator) else accelerator.no_sync(model)
        batch = (
            None if value is None else value.to(accelerator.device) for value in make_batch(part.rows, progress.step)
        )
        with sync, sdpa_kernel(SDPBackend.MATH) if plain_attention else nullcontext():
            # Synchronisation averages gradients over processes; the factor turns the average into a sum.
            loss = model(*batch) * (part.weight * team.num_processes)
            accelerator.backward(loss)
        return loss.detach() / team.num_processes

    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.fields[loss]}"))
    shown_by_main = Bar(TextColumn(title), *columns, disable=not accelerator.is_main_process)
    with shown_by_main as bar, reproducible(accelerator.device):
        task = bar.add_task(title, total=steps, completed=progress.step, loss="")
        if observe and progress.step == 0:
            observe(model, 0)
        model.train()
        shown = time.monotonic()
        for step in range(progress.step, steps):
            rate = settings.learning_rate * learning_rate(
                step, steps, settings.warmup_ratio, schedule=settings.schedule
            )
            for group in optimizer.param_groups:
                group["lr"] = rate
            parts = local_parts(
                batches[step], targets, settings.micro_batch_size, team.process_index, team.num_processes
            )
            loss = torch.stack([backward(part, part is parts[-1]) for part in parts]).sum()
            loss = accelerator.reduce(loss, "sum")
            accelerator.clip_grad_norm_(parameters, settings.clip_norm)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            progress.step, last = step + 1, step + 1 == steps
            progress.losses.append(loss)
            if progress.step % settings.validate_every == 0 or last:
                mean = float(torch.stack(progress.losses).mean())
                progress.losses = []
                row = {"step": progress.step, "loss": mean, "validation_loss": validate(model) if validate else None}
                model.train()
                progress.history.append(row | {"learning_rate": rate})
                accelerator.log(
                    {name: row[name] for name in ("loss", "validation_loss") if row[name] is not None}, row["step"]
                )
            if observe:
                observe(model, progress.step)
                model.train()
            if progress.step % settings.checkpoint_every == 0 and not last:
                files.store(progress)
            # float(loss) waits for the accelerator, therefore at most once a second.
            if time.monotonic() - shown > 1 or last:
                shown = time.monotonic()
                bar.update(task, completed=progress.step, loss=f"loss {float(loss):.3f}")
                accelerator.log({"loss_of_step": float(loss), "learning_rate": rate}, progress.step)
    finish(accelerator)
    weights = accelerator.get_state_dict(model) if is_sharded(accelerator) else None
    files.remove()
    return progress.history, weights


def _trained(model: torch.nn.Module) -> list[torch.nn.Parameter]:
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def _configure(accelerator: Accelerator, settings: LoopSettings) -> None:
    """Set the options of FSDP and DeepSpeed that follow from `settings`."""
    if accelerator.distributed_type == DistributedType.FSDP:
        if not accelerator.is_fsdp2:
            raise ConfigError("FSDP of version 1 is not supported; set fsdp_version: 2 in accelerate's configuration")
        if settings.precision == "bf16":
            from torch.distributed.fsdp import MixedPrecisionPolicy

            # By default accelerate would sum gradients, and return the loss, in bfloat16.
            accelerator.state.fsdp_plugin.mixed_precision_policy = MixedPrecisionPolicy(
                param_dtype=torch.bfloat16, reduce_dtype=torch.float32, output_dtype=torch.float32
            )
    if accelerator.distributed_type == DistributedType.DEEPSPEED:
        rows = math.ceil(settings.batch_size / accelerator.num_processes)
        own = {"train_micro_batch_size_per_gpu": settings.micro_batch_size or rows}
        accelerator.state.deepspeed_plugin.deepspeed_config.update(own | {"gradient_clipping": settings.clip_norm})
