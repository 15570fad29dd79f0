"""Why does the gap stay? One cause varied at a time from a common base, and what is left of the gap on held-out pairs.

A point of a study changes settings of the encoder or of the world; one without changes is the base. Settings that
several points share are trained once.
"""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from torch import Tensor

from revision.config import parse
from revision.config.dynamics import CausesSettings
from revision.config.encoders import EncoderSettings
from revision.config.world import WorldSettings
from revision.contrastive.loop import train
from revision.data.scenes import World
from revision.dynamics.monitor import Probe
from revision.encoders.scenes_encoder import DualEncoder
from revision.errors import DataError
from revision.geometry.neighbours import pair_cosine, retrieval
from revision.io.files import atomic_file, write_json
from revision.stats.intervals import over_seeds


@dataclass(frozen=True)
class Point:
    """One setting of one cause."""

    cause: str
    at: str
    encoder: EncoderSettings
    world: WorldSettings
    base: bool


def points(settings: CausesSettings, world: WorldSettings) -> list[Point]:
    """All points of the studies, each with whole settings."""
    return [
        Point(
            study.cause,
            str(point.at),
            parse(EncoderSettings, settings.base | point.encoder, f"causes.{study.cause}.{point.at}.encoder"),
            parse(WorldSettings, world.record() | point.world, f"causes.{study.cause}.{point.at}.world"),
            base=not (point.encoder or point.world),
        )
        for study in settings.studies
        for point in study.points
    ]


class Ends:
    """Satisfies `revision.contrastive.loop.Monitor`: the gap before the first step and after the last."""

    def __init__(self, probe: Probe) -> None:
        self.probe, self.start = probe, float("nan")
        self.end: dict[str, float] = {}

    def __call__(self, step: int, model: DualEncoder, batches: Callable[[int], tuple[Tensor, Tensor]]) -> None:
        """Measure the untrained model, then the trained one."""
        images, texts = self.probe.embed(model)
        if step == 0:
            self.start = held_out(images, texts)["gap"]
        else:
            self.end = held_out(images, texts) | {"temperature": float(np.exp(-model.log_scale.item()))}

    def state_dict(self) -> dict[str, Any]:
        """The gap before the first step."""
        return {"start": self.start}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up `state` again."""
        self.start = state["start"]


def held_out(images: np.ndarray, texts: np.ndarray) -> dict[str, float]:
    """Gap and retrieval of held-out pairs images[i], texts[i], unit rows [n, d].

    gap: distance of the centroids; gap_noise: what as many pairs without a gap would show; gap_share: the gap's square
    over the mean squared distance of pairs; recall_at_1: mean of both ways.
    """
    difference = images.astype(np.float64) - texts
    gap, distance = float(np.linalg.norm(difference.mean(axis=0))), float(np.mean(np.sum(difference**2, axis=1)))
    found = retrieval(images, texts, at=(1,))
    return {
        "gap": gap,
        "gap_noise": float(np.sqrt(max(distance - gap**2, 0.0) / len(difference))),
        "gap_share": gap**2 / distance,
        "pair_cosine": float(pair_cosine(images, texts).mean()),
        "recall_at_1": (found.text_to_image[1] + found.image_to_text[1]) / 2,
    }


def measure(point: Point, probe: int, *, seed: int, threads: int = 1) -> dict[str, float]:
    """Train one encoder with the settings of `point` and measure it on held-out pairs."""
    world = World(point.world)
    monitor = Ends(Probe.of_world(world, probe))
    steps = point.encoder.steps
    with tempfile.TemporaryDirectory() as folder:
        train(
            world, point.encoder, Path(folder) / "encoder", seed=seed, threads=threads, monitor=monitor,
            monitor_every=steps, checkpoint_every=steps, show_progress=False,
        )  # fmt: skip
    return {"gap_start": monitor.start, **monitor.end}


def study_causes(
    settings: CausesSettings,
    world: WorldSettings,
    out: str | Path,
    *,
    seed: int,
    threads: int = 1,
    progress: Callable[[str], Any] = lambda text: None,
) -> pd.DataFrame:
    """Measure every point with one seed and write the tidy CSV `out`: cause, at, base, seed, metric, value.

    Finished points lie in `<out>.points` until all are done, so that the same call after a kill goes on.
    """
    out = Path(out)
    done = out.with_name(out.name + ".points")
    rows = []
    for point in points(settings, world):
        identity = [point.encoder.record(), point.world.record(), settings.probe, seed]
        cell = done / f"{hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]}.json"
        if not cell.is_file():
            progress(f"seed {seed}, {point.cause} {point.at}")
            write_json(cell, measure(point, settings.probe, seed=seed, threads=threads))
        numbers = json.loads(cell.read_text(encoding="utf-8"))
        rows += [
            {
                "cause": point.cause, "at": point.at, "base": point.base, "seed": seed, "metric": metric, "value": value
            }
            for metric, value in numbers.items()
        ]  # fmt: skip
    table = pd.DataFrame(rows)
    with atomic_file(out) as temporary:
        table.to_csv(temporary, index=False)
    shutil.rmtree(done)
    return table


def effects(table: pd.DataFrame) -> pd.DataFrame:
    """One row a cause, point and metric: mean over seeds with its 95% interval, and the difference from the base.

    The difference is paired by seed; its interval leaves out 0 where `clear`. Raises DataError for a cause without a
    base point.
    """
    rows = []
    for (cause, metric), part in table.groupby(["cause", "metric"], sort=False):
        base = part[part.base].set_index("seed").value
        if base.empty:
            raise DataError(f"causes: {cause!r} has no base point: give it one that changes nothing")
        for at, found in part.groupby("at", sort=False):
            values = found.set_index("seed").value
            mean, change = over_seeds(values.to_numpy()), over_seeds((values - base).to_numpy())
            rows.append(
                {
                    "cause": cause, "at": at, "base": bool(found.base.all()), "metric": metric, "seeds": len(values),
                    "value": mean.value, "low": mean.low, "high": mean.high,
                    "difference": change.value, "difference_low": change.low, "difference_high": change.high,
                    "clear": bool(change.low > 0 or change.high < 0),
                }
            )  # fmt: skip
    return pd.DataFrame(rows)
