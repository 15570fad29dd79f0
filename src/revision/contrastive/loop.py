"""Contrastive training (InfoNCE) of dual encoders. A resumed run ends with the same bytes as an uninterrupted one.

No gap is added to the embeddings. If a modality gap arises, it is due to incomplete captions, the fixed temperature,
false pairs and the cone in which each network starts.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from rich.progress import Progress
from torch import Tensor, nn
from torch.nn import functional

from revision.config.encoders import EncoderSettings
from revision.data.scenes import World
from revision.encoders.scenes_encoder import CONFIG, WEIGHTS, DualEncoder
from revision.errors import DataError
from revision.io.files import atomic_file, atomic_folder, load_state
from revision.io.manifest import write_manifest
from revision.training.processes import average_gradients, gather, join
from revision.training.reproducible import reproducible
from revision.training.schedule import learning_rate

CHECKPOINT = "checkpoint.pt"


def contrastive_loss(images: Tensor, texts: Tensor, scale: Tensor | float) -> Tensor:
    """Compute the symmetric InfoNCE loss.

    Parameters
    ----------
    images, texts : Tensor of shape (n, d)
        Paired embeddings of unit length.
    scale : Tensor or float
        Inverse temperature.

    Returns
    -------
    Tensor
        Scalar: mean of the image-to-text and the text-to-image cross-entropy.
    """
    logits = scale * images @ texts.T
    target = torch.arange(len(logits), device=logits.device)
    return (functional.cross_entropy(logits, target) + functional.cross_entropy(logits.T, target)) / 2


class Batches:
    """Training batches of the built-in world, each a pure function of its step.

    The images are drawn once. Each epoch visits all of them in a new order and with new captions.

    Parameters
    ----------
    world : World
        Source of images and captions.
    settings : EncoderSettings
        Batch size, number of images and fractions of false pairs, long captions and scans.
    model : DualEncoder
        Tokenizer of the captions.
    seed : int
        Seed of order, captions and false pairs.
    """

    def __init__(self, world: World, settings: EncoderSettings, model: DualEncoder, seed: int) -> None:
        self.world, self.settings, self.model, self.seed = world, settings, model, seed
        scans = round(settings.images * settings.scan_share)
        self.scenes = world.scenes("encoder", 0, settings.images - scans) + world.scenes("encoder", 0, scans, "scan")
        self.pixels = torch.from_numpy(world.images(self.scenes))
        self.per_epoch = settings.images // settings.batch
        self._order: tuple[int, np.ndarray] | None = None

    def __call__(self, step: int) -> tuple[Tensor, Tensor]:
        """Return the batch of a training step.

        Parameters
        ----------
        step : int
            Training step, from 0.

        Returns
        -------
        pixels : Tensor of shape (batch, s, s, 3), uint8
            Images.
        tokens : Tensor of shape (batch, length)
            Token ids of the captions; a fraction `false_pairs` belongs to other images of the batch.
        """
        epoch, position = divmod(step, self.per_epoch)
        if self._order is None or self._order[0] != epoch:
            self._order = epoch, np.random.default_rng((self.seed, 0, epoch)).permutation(len(self.scenes))
        size = self.settings.batch
        rows = self._order[1][position * size : (position + 1) * size]
        random = np.random.default_rng((self.seed, 1, step))
        kind = "long" if random.random() < self.settings.long_share else "short"
        captions = self.world.captions([self.scenes[row] for row in rows], kind, variant=epoch)
        wrong = random.permutation(size)[: round(size * self.settings.false_pairs)]
        others = dict(zip(wrong, np.roll(wrong, 1), strict=True))
        captions = [captions[others.get(row, row)] for row in range(size)]
        return self.pixels[torch.from_numpy(rows)], self.model.tokens(captions)


class Monitor(Protocol):
    """Observer of a training run, called before the first step, at regular intervals and after the last step.

    Its state is part of the checkpoints, so a resumed run makes the same observations as an uninterrupted one.
    """

    def __call__(self, step: int, model: Any, batches: Callable[[int], tuple[Tensor, Tensor]]) -> None:
        """Observe the model after `step` steps; `batches(step)` returns the images and token ids of a step."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Return the observations as tensors and plain containers."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the observations in `state`."""
        ...


def train(
    world: World,
    settings: EncoderSettings,
    out_dir: str | Path,
    *,
    seed: int,
    threads: int = 1,
    monitor: Monitor | None = None,
    monitor_every: int = 20,
    checkpoint_every: int = 100,
    show_progress: bool = True,
) -> DualEncoder:
    """Train a dual encoder on the built-in world and save it, with a manifest, to `out_dir`.

    To resume an interrupted run, repeat the call: it continues from the checkpoint in `<out_dir>.checkpoint` and ends
    with the same bytes as an uninterrupted run.

    Parameters
    ----------
    world : World
        Source of images and captions.
    settings : EncoderSettings
        Shape and training of the encoder.
    out_dir : path
        Folder of the encoder.
    seed : int
        Seed of initial weights and batches.
    threads : int
        Number of torch threads.
    monitor : Monitor, optional
        Observer of the training run.
    monitor_every, checkpoint_every : int
        Steps between two observations and between two checkpoints.
    show_progress : bool
        Whether to show a progress bar.

    Returns
    -------
    DualEncoder
        The trained encoder.

    Raises
    ------
    DataError
        If the checkpoint is of another configuration or seed.
    """
    torch.set_num_threads(threads)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = DualEncoder(settings, world.vocabulary(), world.settings.image_size)
    batches = Batches(world, settings, model, seed)
    if settings.centred_start:
        model.centre(*batches(0))
    identity = {"encoder": settings.record(), "world": world.settings.record(), "seed": seed}
    fit(
        model,
        batches,
        settings,
        out_dir,
        identity,
        monitor=monitor,
        monitor_every=monitor_every,
        checkpoint_every=checkpoint_every,
        show_progress=show_progress,
    )
    return DualEncoder.load(out_dir)


def fit(
    model: Any,
    batches: Any,
    settings: Any,
    out_dir: str | Path,
    identity: dict[str, Any],
    *,
    monitor: Monitor | None = None,
    monitor_every: int = 20,
    checkpoint_every: int = 100,
    show_progress: bool = True,
) -> None:
    """Train a dual encoder with InfoNCE and AdamW, and save it, with a manifest, to `out_dir`.

    With several processes (`revision.training.processes`), each trains on `batches.local(rank, processes)`, and the
    main process alone observes and writes.

    Parameters
    ----------
    model : nn.Module
        Dual encoder with `embed_pixels`, `embed_tokens`, `log_scale` and `save`.
    batches : callable
        `batches(step)` returns the images and token ids of a step, as a pure function of the step.
    settings : Settings
        Settings with `steps`, `peak_lr`, `weight_decay` and `warmup_share`.
    out_dir : path
        Folder of the encoder; checkpoints are in `<out_dir>.checkpoint`.
    identity : dict
        Description of the training run, with its "seed"; a checkpoint is resumed only if it has the same.
    monitor : Monitor, optional
        Observer of the training run.
    monitor_every, checkpoint_every : int
        Steps between two observations and between two checkpoints.
    show_progress : bool
        Whether to show a progress bar.

    Raises
    ------
    DataError
        If the checkpoint is of another configuration or seed.
    """
    out_dir = Path(out_dir)
    checkpoint = out_dir.with_name(out_dir.name + ".checkpoint") / CHECKPOINT
    team = join()
    local = batches if team.num_processes == 1 else batches.local(team.process_index, team.num_processes)
    monitor = monitor if team.is_main_process else None
    optimizer = torch.optim.AdamW(
        [parameter for parameter in model.parameters() if parameter.requires_grad],
        lr=settings.peak_lr,
        weight_decay=settings.weight_decay,
        foreach=True,
    )
    start = _resume(checkpoint, identity, model, optimizer, monitor)
    losses: list[float] = []
    with (
        Progress(disable=not (show_progress and team.is_main_process), transient=True) as progress,
        reproducible(model.log_scale.device),
    ):
        bar = progress.add_task("training the encoder", total=settings.steps, completed=start)
        for step in range(start, settings.steps):
            if monitor is not None and step % monitor_every == 0:
                monitor(step, model, batches)
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(step, settings.steps, settings.warmup_share, settings.peak_lr)
            pixels, tokens = local(step)
            # InfoNCE contrasts each row with the whole batch, so every process needs the rows of all others.
            images, texts = gather(model.embed_pixels(pixels), team), gather(model.embed_tokens(tokens), team)
            loss = contrastive_loss(images, texts, model.log_scale.exp())
            optimizer.zero_grad()
            loss.backward()
            average_gradients(model.parameters(), team)
            optimizer.step()
            losses.append(loss.item())
            progress.update(bar, completed=step + 1, description=f"training the encoder, loss {losses[-1]:.3f}")
            if (step + 1) % checkpoint_every == 0 and step + 1 < settings.steps and team.is_main_process:
                _save(checkpoint, identity, step + 1, model, optimizer, monitor)
    if monitor is not None:
        monitor(settings.steps, model, batches)
    if team.is_main_process:
        with atomic_folder(out_dir) as folder:
            model.save(folder)
            write_manifest(
                folder / "manifest.json",
                "encoder",
                settings=identity,
                inputs={"weights": folder / WEIGHTS, "config": folder / CONFIG},
                seed=identity["seed"],
                final_loss=losses[-1],
            )
        checkpoint.unlink(missing_ok=True)
        if checkpoint.parent.is_dir():
            checkpoint.parent.rmdir()
    team.wait_for_everyone()


def _save(
    path: Path,
    identity: dict,
    step: int,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    monitor: Monitor | None,
) -> None:
    state = {"identity": identity, "step": step, "model": model.state_dict(), "optimizer": optimizer.state_dict()}
    with atomic_file(path) as temporary:
        torch.save(state | {"monitor": None if monitor is None else monitor.state_dict()}, temporary)


def _resume(
    path: Path, identity: dict, model: nn.Module, optimizer: torch.optim.Optimizer, monitor: Monitor | None
) -> int:
    if not path.is_file():
        return 0
    state = load_state(path)
    if state["identity"] != identity:
        raise DataError(
            f"{path}: the checkpoint is of other settings or another seed; delete {path.parent} to start again"
        )
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    if monitor is not None and state["monitor"] is not None:
        monitor.load_state_dict(state["monitor"])
    return state["step"]
