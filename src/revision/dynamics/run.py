"""Train a dual encoder under observation and write what was seen: on the built-in world, or on webdataset shards."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from revision.config.dynamics import ClipSettings, MonitorSettings
from revision.config.encoders import EncoderSettings
from revision.contrastive.loop import fit, train
from revision.data.scenes import World
from revision.dynamics.monitor import GapMonitor, Probe
from revision.dynamics.summary import summarise
from revision.errors import ConfigError
from revision.io.files import atomic_file, write_json
from revision.io.manifest import write_manifest
from revision.io.prefetch import ordered_map
from revision.training.processes import join

SERIES, SUMMARY, TIMING = "series.csv", "summary.json", "timing.json"


def observe_training(
    world: World,
    encoder: EncoderSettings,
    settings: MonitorSettings,
    out_dir: str | Path,
    *,
    seed: int,
    threads: int = 1,
    checkpoint_every: int = 100,
    show_progress: bool = True,
) -> None:
    """Train, and write `series.csv` (one row an observation), `summary.json` and `manifest.json` to `out_dir`.

    The same call after a kill goes on from the encoder's checkpoint and ends with the same bytes. `timing.json` says
    what training and observing cost in this process; it alone differs from run to run. Raises ConfigError if training
    ends before the late window.
    """
    _check(settings, encoder.steps)
    out_dir = Path(out_dir)
    monitor = GapMonitor(Probe.of_world(world, settings.probe), settings)

    def work() -> None:
        train(
            world, encoder, out_dir / "encoder", seed=seed, threads=threads, monitor=monitor,
            monitor_every=settings.every, checkpoint_every=checkpoint_every, show_progress=show_progress,
        )  # fmt: skip

    spent = _timed(work)
    write(out_dir, monitor, spent, {"encoder": encoder.record(), "world": world.settings.record()}, seed)


def observe_shards(
    shards: Sequence[str | Path],
    encoder: ClipSettings,
    settings: MonitorSettings,
    out_dir: str | Path,
    *,
    seed: int,
    threads: int = 1,
    checkpoint_every: int = 100,
    show_progress: bool = True,
) -> None:
    """`observe_training` on the pairs of webdataset shards.

    `settings.probe` pairs are held out. In a process group every process calls this; `out_dir` and the shards are
    shared. Tokenizer and decoded probe images lie in `out_dir` until training has ended.
    """
    from tokenizers import Tokenizer

    from revision.contrastive.clip import ClipEncoder, train_tokenizer
    from revision.contrastive.webdataset import ShardBatches, split
    from revision.data.webdataset import ShardPairs

    _check(settings, encoder.steps)
    out_dir, team = Path(out_dir), join()
    if encoder.batch % team.num_processes:
        raise ConfigError(
            f"encoder setting batch: {encoder.batch} is no multiple of the {team.num_processes} processes"
        )
    torch.set_num_threads(threads)
    pairs = ShardPairs(shards)
    rows, held_out = split(pairs, settings.probe, encoder.batch)
    name = f"{pairs.digest[:12]}-{settings.probe}-{encoder.image_size}-{encoder.vocabulary}"
    vocabulary, images = out_dir / f"tokenizer-{name}.json", out_dir / f"probe-{name}.npy"
    if team.is_main_process:
        if not vocabulary.is_file():
            with atomic_file(vocabulary) as temporary:
                train_tokenizer(map(pairs.text, rows), encoder.vocabulary).save(str(temporary))
        if not images.is_file():
            _decode(pairs.image, held_out, encoder.image_size, threads, images)
    team.wait_for_everyone()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = ClipEncoder(encoder, Tokenizer.from_file(str(vocabulary))).to(team.device)
    batches = ShardBatches(pairs, rows, encoder, model, seed, threads)
    captions = [pairs.text(row) for row in held_out] if team.is_main_process else []
    monitor = GapMonitor(Probe(np.load(images, mmap_mode="r"), captions), settings)
    about = {"encoder": encoder.record(), "shards": pairs.digest, "pairs": len(rows)}

    def work() -> None:
        fit(
            model, batches, encoder, out_dir / "encoder", about | {"seed": seed}, monitor=monitor,
            monitor_every=settings.every, checkpoint_every=checkpoint_every, show_progress=show_progress,
        )  # fmt: skip

    spent = _timed(work)
    if team.is_main_process:
        write(out_dir, monitor, spent, about, seed)
        vocabulary.unlink()
        images.unlink()


def write(out_dir: Path, monitor: GapMonitor, spent: dict[str, float], about: dict[str, Any], seed: int) -> None:
    """Write series, summary, timing and manifest of a finished training."""
    with atomic_file(out_dir / SERIES) as temporary:
        pd.DataFrame(monitor.rows).to_csv(temporary, index=False)
    write_json(out_dir / SUMMARY, summarise(monitor))
    write_json(out_dir / TIMING, timing(spent, monitor.seconds))
    write_manifest(
        out_dir / "manifest.json", "dynamics", settings=about | {"monitor": monitor.settings.record()},
        inputs={"series": out_dir / SERIES, "summary": out_dir / SUMMARY}, seed=seed,
    )  # fmt: skip


def timing(spent: dict[str, float], observing: dict[str, float]) -> dict[str, dict[str, float]]:
    """Seconds of training alone and of observing, and observing over training; by wall clock and by CPU time."""
    return {
        clock: {
            "training": spent[clock] - observing[clock],
            "observing": observing[clock],
            "share": observing[clock] / (spent[clock] - observing[clock]),
        }
        for clock in spent
    }


def _check(settings: MonitorSettings, steps: int) -> None:
    if settings.late_from >= steps:
        raise ConfigError(f"monitor setting late_from: {settings.late_from}, but training has {steps} steps")


def _timed(work: Callable[[], None]) -> dict[str, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}


def _decode(image: Callable[[int, int], np.ndarray], rows: np.ndarray, size: int, threads: int, path: Path) -> None:
    """Images of `rows`, uint8 [n, size, size, 3], into a .npy file that can be memory-mapped."""
    with atomic_file(path) as temporary:
        target = np.lib.format.open_memmap(temporary, "w+", np.uint8, (len(rows), size, size, 3))
        for place, pixels in enumerate(ordered_map(lambda row: image(row, size), rows, threads)):
            target[place] = pixels
        target.flush()
