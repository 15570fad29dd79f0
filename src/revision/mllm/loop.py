"""The one training loop: AdamW, warm-up and cosine, over accelerate; it resumes exactly where a killed run stopped."""

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
from revision.training.schedule import learning_rate

Batch = tuple[Tensor | None, ...]
Weights = dict[str, Tensor]


def run_loop(
    model: torch.nn.Module,
    lengths: np.ndarray,
    targets: np.ndarray,
    make_batch: Callable[[np.ndarray], Batch],
    settings: LoopSettings,
    *,
    seed: int,
    state: str | Path,
    validate: Callable[[torch.nn.Module], float] | None = None,
    title: str = "training",
) -> tuple[list[dict[str, Any]], Weights | None]:
    """Train what of `model` wants gradients with the loss `model(*batch)`; return the history, one row a validation.

    `lengths` [n] are the examples' token counts, `targets` [n] the tokens whose mean is the loss; `make_batch(rows)`
    turns row indices into the model's arguments. Processes share each batch, and the gradient is that of the mean over
    the whole batch's target tokens. The state lies at `state` (see `StateFiles`) every `checkpoint_every` steps and is
    removed at the end. History rows: step, loss (mean since the last row), validation_loss, learning_rate.
    The second value is None where `model` itself holds the trained weights; where they were sharded, they are all of
    them on the first process and nothing on the others.
    """
    team = join()
    accelerator = Accelerator(mixed_precision=settings.precision)
    _configure(accelerator, settings)
    optimizer = torch.optim.AdamW(
        _trained(model), lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=settings.fused or None
    )
    model, optimizer = accelerator.prepare(model, optimizer)
    parameters = _trained(model)
    batches = [b for e in range(settings.epochs) for b in batch_plan(lengths, settings.batch_size, seed * 1009 + e)]
    steps, files = len(batches), StateFiles(Path(state), accelerator, model, optimizer)
    progress = files.restore()
    # On a CPU torch's fused attention in bfloat16 takes longer than the matrix products it is made of.
    plain_attention = accelerator.device.type == "cpu" and settings.precision == "bf16"

    def take(part: Part, last: bool) -> Tensor:
        """Backward pass of one part; its share of the loss. Gradients of several parts meet after the last."""
        accelerator.sync_gradients = last
        waits = nullcontext() if last or is_sharded(accelerator) else accelerator.no_sync(model)
        batch = (None if value is None else value.to(accelerator.device) for value in make_batch(part.rows))
        with waits, sdpa_kernel(SDPBackend.MATH) if plain_attention else nullcontext():
            # Gradients are averaged over the processes, so that a share of the whole weighs as many times more.
            loss = model(*batch) * (part.weight * team.num_processes)
            accelerator.backward(loss)
        return loss.detach() / team.num_processes

    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.fields[loss]}"))
    with Bar(TextColumn(f"{title}"), *columns, disable=not accelerator.is_main_process) as bar:
        task = bar.add_task(title, total=steps, completed=progress.step, loss="")
        model.train()
        shown = time.monotonic()
        for step in range(progress.step, steps):
            rate = settings.learning_rate * learning_rate(step, steps, settings.warmup_ratio)
            for group in optimizer.param_groups:
                group["lr"] = rate
            parts = local_parts(
                batches[step], targets, settings.micro_batch_size, team.process_index, team.num_processes
            )
            loss = torch.stack([take(part, part is parts[-1]) for part in parts]).sum()
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
            if progress.step % settings.checkpoint_every == 0 and not last:
                files.store(progress)
            if time.monotonic() - shown > 1 or last:
                shown = time.monotonic()
                bar.update(task, completed=progress.step, loss=f"loss {float(loss):.3f}")
    weights = accelerator.get_state_dict(model) if is_sharded(accelerator) else None
    files.remove()
    return progress.history, weights


def _trained(model: torch.nn.Module) -> list[torch.nn.Parameter]:
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def _configure(accelerator: Accelerator, settings: LoopSettings) -> None:
    """What FSDP and DeepSpeed must be told; ConfigError for what they can't do here."""
    if accelerator.distributed_type == DistributedType.FSDP:
        if not accelerator.is_fsdp2:
            raise ConfigError("FSDP of version 1 is not supported; set fsdp_version: 2 in accelerate's configuration")
        if settings.precision == "bf16":
            from torch.distributed.fsdp import MixedPrecisionPolicy

            # accelerate's own choice would add gradients up and give back the loss in bfloat16.
            accelerator.state.fsdp_plugin.mixed_precision_policy = MixedPrecisionPolicy(
                param_dtype=torch.bfloat16, reduce_dtype=torch.float32, output_dtype=torch.float32
            )
    if accelerator.distributed_type == DistributedType.DEEPSPEED:
        rows = math.ceil(settings.batch_size / accelerator.num_processes)
        own = {"train_micro_batch_size_per_gpu": settings.micro_batch_size or rows}
        accelerator.state.deepspeed_plugin.deepspeed_config.update(own | {"gradient_clipping": settings.clip_norm})
