"""The one training loop: AdamW, warm-up and cosine, over accelerate; it resumes exactly where a killed run stopped."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from revision.files import atomic_file, load_state
from revision.mllm.prompts import batch_plan

Batch = tuple[torch.Tensor, ...]


@dataclass(frozen=True)
class LoopSettings:
    """Budget and optimiser of one training: the same for every method that a table compares."""

    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float = 0.0
    warmup_ratio: float = 0.03
    clip_norm: float = 1.0
    checkpoint_every: int = 500
    validate_every: int = 200
    precision: str = "no"
    fused: bool = False


def schedule(step: int, steps: int, warmup_ratio: float) -> float:
    """Share of the peak learning rate at `step`: linear warm-up, then half a cosine to zero."""
    warmup = max(1, round(warmup_ratio * steps))
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def run_loop(
    model: torch.nn.Module,
    parameters: Sequence[torch.nn.Parameter],
    lengths: np.ndarray,
    make_batch: Callable[[np.ndarray], Batch],
    settings: LoopSettings,
    *,
    seed: int,
    state_file: str | Path,
    validate: Callable[[], float] | None = None,
    title: str = "training",
) -> list[dict[str, Any]]:
    """Train `parameters` of `model` with the loss `model(*batch)`; return the history, one row a validation.

    `lengths` [n] are the examples' token counts; `make_batch(rows)` turns row indices into the model's arguments.
    `state_file` holds the state every `checkpoint_every` steps and is removed at the end. History rows: step, loss
    (mean since the last row), validation_loss, learning_rate.
    """
    accelerator = Accelerator(mixed_precision=settings.precision)
    optimizer = torch.optim.AdamW(
        parameters, lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=settings.fused or None
    )
    model, optimizer = accelerator.prepare(model, optimizer)
    batches = [b for e in range(settings.epochs) for b in batch_plan(lengths, settings.batch_size, seed * 1009 + e)]
    state_file, steps = Path(state_file), len(batches)
    first, history, losses = _restore(state_file, parameters, optimizer)
    with Progress(
        TextColumn(f"{title}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[loss]}"),
    ) as bar:
        task = bar.add_task(title, total=steps, completed=first, loss="")
        model.train()
        shown = time.monotonic()
        for step in range(first, steps):
            rate = settings.learning_rate * schedule(step, steps, settings.warmup_ratio)
            for group in optimizer.param_groups:
                group["lr"] = rate
            batch = (None if part is None else part.to(accelerator.device) for part in make_batch(batches[step]))
            loss = model(*batch)
            accelerator.backward(loss)
            accelerator.clip_grad_norm_(parameters, settings.clip_norm)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            losses.append(loss.detach())
            last = step + 1 == steps
            if (step + 1) % settings.validate_every == 0 or last:
                mean = float(torch.stack(losses).mean())
                losses = []
                validation = validate() if validate else None
                model.train()
                history.append({"step": step + 1, "loss": mean, "validation_loss": validation, "learning_rate": rate})
            if (step + 1) % settings.checkpoint_every == 0 and not last:
                _store(state_file, step + 1, parameters, optimizer, history, losses)
            if time.monotonic() - shown > 1 or last:
                shown = time.monotonic()
                bar.update(task, completed=step + 1, loss=f"loss {float(loss.detach()):.3f}")
    state_file.unlink(missing_ok=True)
    return history


def _store(path: Path, step: int, parameters: Sequence, optimizer: Any, history: list, losses: list) -> None:
    state = {
        "step": step,
        "parameters": [p.detach() for p in parameters],
        "optimizer": optimizer.state_dict(),
        "history": history,
        "losses": losses,
    }
    with atomic_file(path) as temporary:
        torch.save(state, temporary)


def _restore(path: Path, parameters: Sequence, optimizer: Any) -> tuple[int, list, list]:
    if not path.exists():
        return 0, [], []
    state = load_state(path)
    with torch.no_grad():
        for parameter, value in zip(parameters, state["parameters"], strict=True):
            parameter.copy_(value)
    optimizer.load_state_dict(state["optimizer"])
    return state["step"], state["history"], state["losses"]
