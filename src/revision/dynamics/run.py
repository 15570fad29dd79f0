"""Train a dual encoder with the gap monitor, on the built-in world or on webdataset shards (figure 1)."""

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
    """Train an encoder on the built-in world and write its observations.

    The same call resumes from the checkpoint after an interruption, and its results have the same bytes.

    Parameters
    ----------
    world : World
        Source of images and captions.
    encoder : EncoderSettings
        Settings of the encoder and its training.
    settings : MonitorSettings
        Settings of the monitor.
    out_dir : path
        Folder for `series.csv` (one row per observation), `summary.json`, `manifest.json`, the encoder, and
        `timing.json`, the time of training and observing in this process, which alone differs between runs.
    seed : int
        Seed of the training.
    threads : int
        Threads of PyTorch.
    checkpoint_every : int
        Steps between checkpoints.
    show_progress : bool
        Whether to display a progress bar.

    Raises
    ------
    ConfigError
        If training ends before the late window.
    DataError
        If the checkpoint has other settings, or the late window has fewer than two observations.
    """
    _check(settings, encoder.steps)
    out_dir = Path(out_dir)
    monitor = GapMonitor(Probe.of_world(world, settings.probe), settings)

    def run() -> None:
        train(
            world,
            encoder,
            out_dir / "encoder",
            seed=seed,
            threads=threads,
            monitor=monitor,
            monitor_every=settings.every,
            checkpoint_every=checkpoint_every,
            show_progress=show_progress,
        )

    seconds = _timed(run)
    write_observations(out_dir, monitor, seconds, {"encoder": encoder.record(), "world": world.settings.record()}, seed)


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
    """Train an encoder on webdataset shards and write its observations, as `observe_training` does.

    In a process group every process calls this function with the same arguments; all must have access to `out_dir` and
    the shards. The tokenizer and the decoded probe images are kept in `out_dir` until training has ended.

    Parameters
    ----------
    shards : sequence of path
        Tar files of image-text pairs, of which `settings.probe` are held out.
    encoder : ClipSettings
        Settings of the encoder and its training.
    settings, out_dir, seed, threads, checkpoint_every, show_progress
        As in `observe_training`.

    Raises
    ------
    ConfigError
        If training ends before the late window, or the batch is not a multiple of the number of processes.
    DataError
        If the shards have too few pairs, the checkpoint has other settings, or the late window has fewer than two
        observations.
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

    def run() -> None:
        fit(
            model,
            batches,
            encoder,
            out_dir / "encoder",
            about | {"seed": seed},
            monitor=monitor,
            monitor_every=settings.every,
            checkpoint_every=checkpoint_every,
            show_progress=show_progress,
        )

    seconds = _timed(run)
    if team.is_main_process:
        write_observations(out_dir, monitor, seconds, about, seed)
        vocabulary.unlink()
        images.unlink()


def write_observations(
    out_dir: Path, monitor: GapMonitor, seconds: dict[str, float], about: dict[str, Any], seed: int
) -> None:
    """Write the series, summary, timing and manifest of a finished training.

    Parameters
    ----------
    out_dir : Path
        Output folder.
    monitor : GapMonitor
        Monitor with all observations.
    seconds : dict of float
        Time of training and observing together, "wall" and "cpu".
    about : dict
        Settings for the manifest.
    seed : int
        Seed of the training.
    """
    with atomic_file(out_dir / SERIES) as temporary:
        pd.DataFrame(monitor.rows).to_csv(temporary, index=False)
    write_json(out_dir / SUMMARY, summarise(monitor))
    write_json(out_dir / TIMING, timing(seconds, monitor.seconds))
    write_manifest(
        out_dir / "manifest.json",
        "dynamics",
        settings=about | {"monitor": monitor.settings.record()},
        inputs={"series": out_dir / SERIES, "summary": out_dir / SUMMARY},
        seed=seed,
    )


def timing(total: dict[str, float], observing: dict[str, float]) -> dict[str, dict[str, float]]:
    """Split the time of a run into training and observing.

    Parameters
    ----------
    total, observing : dict of float
        Seconds of the whole run and of the observations, by clock ("wall" and "cpu").

    Returns
    -------
    dict of dict
        training, observing (seconds) and share (observing over training), by clock.
    """
    return {
        clock: {
            "training": total[clock] - observing[clock],
            "observing": observing[clock],
            "share": observing[clock] / (total[clock] - observing[clock]),
        }
        for clock in total
    }


def _check(settings: MonitorSettings, steps: int) -> None:
    if settings.late_from >= steps:
        raise ConfigError(f"monitor setting late_from: {settings.late_from}, but training has {steps} steps")


def _timed(run: Callable[[], None]) -> dict[str, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    run()
    return {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}


def _decode(image: Callable[[int, int], np.ndarray], rows: np.ndarray, size: int, threads: int, path: Path) -> None:
    """Write the images of `rows`, uint8 (n, size, size, 3), to a .npy file that can be memory-mapped."""
    with atomic_file(path) as temporary:
        target = np.lib.format.open_memmap(temporary, "w+", np.uint8, (len(rows), size, size, 3))
        for index, pixels in enumerate(ordered_map(lambda row: image(row, size), rows, threads)):
            target[index] = pixels
        target.flush()
