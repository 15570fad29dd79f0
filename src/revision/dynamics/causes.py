"""Study of the causes of the gap: vary one setting at a time and measure the gap on held-out pairs.

A point of a study changes settings of the encoder or of the world; a point without changes is the base. Points with the
same settings are trained once.
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
from revision.config.encoders import EncoderSettings, HeadSettings
from revision.config.world import WorldSettings
from revision.contrastive.loop import train
from revision.data.scenes import World
from revision.dynamics.monitor import Probe
from revision.errors import DataError
from revision.geometry.gap import effective_rows
from revision.geometry.neighbours import pair_cosine, retrieval
from revision.io.files import atomic_file, write_json
from revision.stats.intervals import over_seeds


@dataclass(frozen=True)
class Point:
    """A setting of a cause.

    Attributes
    ----------
    cause : str
        Name of the study.
    at : str
        Value of the setting, for tables and plots.
    encoder, world : EncoderSettings or HeadSettings, WorldSettings
        Complete settings.
    base : bool
        Whether the point changes nothing.
    """

    cause: str
    at: str
    encoder: EncoderSettings | HeadSettings
    world: WorldSettings
    base: bool


def points(settings: CausesSettings, world: WorldSettings) -> list[Point]:
    """List the points of all studies with their complete settings.

    Parameters
    ----------
    settings : CausesSettings
        Studies.
    world : WorldSettings
        World that points change.

    Returns
    -------
    list of Point
        In the order of the studies.

    Raises
    ------
    ConfigError
        If a point changes a setting that does not exist, or to a value that is not valid.
    """
    return [
        Point(
            study.cause,
            str(point.at),
            settings.encoder(point, f"causes.{study.cause}.{point.at}"),
            parse(WorldSettings, world.record() | point.world, f"causes.{study.cause}.{point.at}.world"),
            base=not (point.encoder or point.world),
        )
        for study in settings.studies
        for point in study.points
    ]


class StartEndMonitor:
    """Monitor of the gap before the first step and after the last (a `revision.contrastive.loop.Monitor`).

    Parameters
    ----------
    probe : Probe or FeatureProbe
        Held-out pairs.
    """

    def __init__(self, probe: Any) -> None:
        self.probe, self.start = probe, float("nan")
        self.end: dict[str, float] = {}

    def __call__(self, step: int, model: Any, batches: Callable[[int], tuple[Tensor, Tensor]]) -> None:
        """Measure the untrained model, then the trained one."""
        images, texts = self.probe.embed(model)
        if step == 0:
            self.start = pair_metrics(images, texts)["gap"]
        else:
            self.end = pair_metrics(images, texts, self.probe.contents) | {
                "temperature": float(np.exp(-model.log_scale.item()))
            }

    def state_dict(self) -> dict[str, Any]:
        """The gap before the first step."""
        return {"start": self.start}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.start = state["start"]


def pair_metrics(images: np.ndarray, texts: np.ndarray, contents: np.ndarray | None = None) -> dict[str, float]:
    """Compute the gap and retrieval of held-out pairs.

    Parameters
    ----------
    images, texts : ndarray of shape (n, d)
        Pairs, rows of unit length.
    contents : ndarray of shape (n,), optional
        What each pair shows, as for `revision.geometry.gap.effective_rows`.

    Returns
    -------
    dict of float
        gap (distance of the centroids), gap_noise (RMS gap of such pairs with equal means), gap_share (squared gap over
        the mean squared distance of pairs), pair_cosine, and recall_at_1 (mean of both directions).
    """
    difference = images.astype(np.float64) - texts
    gap, distance = float(np.linalg.norm(difference.mean(axis=0))), float(np.mean(np.sum(difference**2, axis=1)))
    recall = retrieval(images, texts, at=(1,))
    return {
        "gap": gap,
        "gap_noise": float(np.sqrt(max(distance - gap**2, 0.0) / effective_rows(difference, contents))),
        "gap_share": gap**2 / distance,
        "pair_cosine": float(pair_cosine(images, texts).mean()),
        "recall_at_1": (recall.text_to_image[1] + recall.image_to_text[1]) / 2,
    }


def measure(point: Point, probe: int, *, seed: int, threads: int = 1) -> dict[str, float]:
    """Train an encoder and measure it on held-out pairs.

    Parameters
    ----------
    point : Point
        Settings.
    probe : int
        Number of held-out pairs.
    seed : int
        Seed of the training.
    threads : int
        Threads of PyTorch.

    Returns
    -------
    dict of float
        gap_start (before training), temperature, and `pair_metrics` after training.
    """
    assert isinstance(point.encoder, EncoderSettings)
    world = World(point.world)
    monitor = StartEndMonitor(Probe.of_world(world, probe))
    steps = point.encoder.steps
    with tempfile.TemporaryDirectory() as folder:
        train(
            world,
            point.encoder,
            Path(folder) / "encoder",
            seed=seed,
            threads=threads,
            monitor=monitor,
            monitor_every=steps,
            checkpoint_every=steps,
            show_progress=False,
        )
    return {"gap_start": monitor.start, **monitor.end}


def study_causes(
    settings: CausesSettings,
    world: WorldSettings,
    out: str | Path,
    *,
    seed: int,
    threads: int = 1,
    heads: Callable[..., dict[str, float]] | None = None,
    progress: Callable[[str], Any] = lambda text: None,
) -> pd.DataFrame:
    """Measure every point with a seed and write a tidy table.

    Finished points are kept in `<out>.points` until all are done, so that the same call resumes after an interruption.

    Parameters
    ----------
    settings : CausesSettings
        Studies.
    world : WorldSettings
        World that points change.
    out : path
        CSV to write: cause, at, base, seed, metric, value.
    seed : int
        Seed of all trainings.
    threads : int
        Threads of PyTorch.
    heads : HeadStudy, optional
        Trains and measures each point in place of `measure`, where the encoders are trained heads.
    progress : callable
        Called with a description of each point before it is trained.

    Returns
    -------
    pandas.DataFrame
        The table.

    Raises
    ------
    ConfigError
        If the settings of a point are not valid.
    """
    out = Path(out)
    finished = out.with_name(out.name + ".points")
    rows = []
    for point in points(settings, world):
        identity = [point.encoder.record(), point.world.record(), settings.probe, seed]
        path = finished / f"{hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]}.json"
        if not path.is_file():
            progress(f"seed {seed}, {point.cause} {point.at}")
            write_json(path, (heads or measure)(point, settings.probe, seed=seed, threads=threads))
        metrics = json.loads(path.read_text(encoding="utf-8"))
        rows += [
            {
                "cause": point.cause,
                "at": point.at,
                "base": point.base,
                "seed": seed,
                "metric": metric,
                "value": value,
            }
            for metric, value in metrics.items()
        ]
    table = pd.DataFrame(rows)
    with atomic_file(out) as temporary:
        table.to_csv(temporary, index=False)
    shutil.rmtree(finished)
    return table


def effects(table: pd.DataFrame) -> pd.DataFrame:
    """Average the study over seeds and compare every point with the base of its cause.

    Parameters
    ----------
    table : pandas.DataFrame
        Tables of `study_causes` for all seeds.

    Returns
    -------
    pandas.DataFrame
        One row per cause, point and metric: value (mean over seeds) with low and high, difference from the base (paired
        by seed) with difference_low and difference_high, and clear: whether the interval of the difference excludes 0.

    Raises
    ------
    DataError
        If a cause has no base point.
    """
    rows = []
    for (cause, metric), part in table.groupby(["cause", "metric"], sort=False):
        base = part[part.base].set_index("seed").value
        if base.empty:
            raise DataError(f"causes: {cause!r} has no base point; add one that changes nothing")
        for at, point in part.groupby("at", sort=False):
            values = point.set_index("seed").value
            mean, change = over_seeds(values.to_numpy()), over_seeds((values - base).to_numpy())
            rows.append(
                {
                    "cause": cause,
                    "at": at,
                    "base": bool(point.base.all()),
                    "metric": metric,
                    "seeds": len(values),
                    "value": mean.value,
                    "low": mean.low,
                    "high": mean.high,
                    "difference": change.value,
                    "difference_low": change.low,
                    "difference_high": change.high,
                    "clear": bool(change.low > 0 or change.high < 0),
                }
            )
    return pd.DataFrame(rows)
