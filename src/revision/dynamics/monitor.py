"""Monitor of an encoder's training: probe embeddings and gradients in a frame fixed at step t0 (section 3)."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from revision.config.dynamics import MonitorSettings
from revision.data.scenes import World
from revision.dynamics.observation import Observation, embedding_gradients, observe
from revision.embeddings.rows import Array
from revision.errors import DataError
from revision.geometry.frame import Frame, fit_frame
from revision.geometry.neighbours import pair_cosine

PROBE = "probe"


@dataclass(frozen=True)
class Probe:
    """Held-out pairs.

    Attributes
    ----------
    pixels : ndarray of shape (n, size, size, 3), uint8
        Images.
    captions : list of str
        Their captions.
    contents : ndarray of shape (n,) or None
        What each pair shows, as for `revision.geometry.gap.effective_rows`.
    """

    pixels: Array
    captions: list[str]
    contents: Array | None = None

    @classmethod
    def of_world(cls, world: World, count: int) -> "Probe":
        """Return the first `count` scenes of split "probe" with short captions."""
        scenes = world.scenes(PROBE, 0, count)
        return cls(world.images(scenes), world.captions(scenes), np.array([scene.content().hex() for scene in scenes]))

    def embed(self, model: Any) -> tuple[Array, Array]:
        """Embed images and captions with `model`, unit rows of shape (n, d) in float32."""
        return model.encode_pixels(self.pixels), model.encode_texts(self.captions)


@dataclass
class LateWindow:
    """Sums over the observations of the late window (lemma B.9).

    Attributes
    ----------
    count : int
        Number of observations.
    delta, gradient : ndarray of shape (r, r)
        Sums of the covariances in U of delta and of gradients.
    zeta : ndarray of shape (q, q)
        Sum of the covariances of zeta in V.
    gammas : list of ndarray of shape (q,)
        gamma of each observation.
    """

    count: int
    delta: Array
    zeta: Array
    gradient: Array
    gammas: list[Array]


class GapMonitor:
    """Monitor of the geometry of the gap (a `revision.contrastive.loop.Monitor`).

    Parameters
    ----------
    probe : Probe
        Held-out pairs.
    settings : MonitorSettings
        Steps at which the frame is fixed and the late window starts, and numbers of pairs and batches.

    Attributes
    ----------
    rows : list of dict
        Metrics of each observation.
    frame : Frame or None
        The fixed frame, from step `settings.freeze_at` on.
    late : LateWindow or None
        Sums over the observations from step `settings.late_from` on.
    seconds : dict of float
        Time spent on observations in this process, "wall" and "cpu".
    """

    def __init__(self, probe: Probe, settings: MonitorSettings) -> None:
        self.settings = settings
        self.probe = probe
        self.rows: list[dict[str, float]] = []
        self.frame: Frame | None = None
        self.late: LateWindow | None = None
        self.gamma_first: Array | None = None
        self.gamma_last: Array | None = None
        self.seconds: dict[str, float] = {"wall": 0.0, "cpu": 0.0}

    def __call__(self, step: int, model: Any, batches: Callable[[int], tuple[Tensor, Tensor]]) -> None:
        """Observe the model after `step` steps.

        Parameters
        ----------
        step : int
            Number of finished steps.
        model : DualEncoder or ClipEncoder
            The encoder in training.
        batches : callable
            Returns the pixels and tokens of the batch of a step.

        Raises
        ------
        DataError
            If U or V of the frame has fewer than two dimensions.
        """
        wall, cpu = time.perf_counter(), time.process_time()
        images, texts = self.probe.embed(model)
        images, texts = images.astype(np.float64), texts.astype(np.float64)
        row = {
            "step": step,
            "gap": float(np.linalg.norm((images - texts).mean(axis=0))),
            "pair_cosine": float(pair_cosine(images, texts).mean()),
            "temperature": float(torch.exp(-model.log_scale.detach())),
        }
        if self.frame is None and step >= self.settings.freeze_at:
            self.frame = self._frozen(step, images, texts)
        if self.frame is not None:
            row |= self._observe(self.frame, step, images, texts, model, batches)
        self.rows.append(row)
        self.seconds["wall"] += time.perf_counter() - wall
        self.seconds["cpu"] += time.process_time() - cpu

    def _frozen(self, step: int, images: Array, texts: Array) -> Frame:
        frame = fit_frame(images, texts, energy=self.settings.energy)
        if min(frame.rank, frame.V.shape[1]) < 2:
            raise DataError(
                f"frame at step {step}: U has {frame.rank} of {len(frame.U)} dimensions at energy"
                f" {self.settings.energy}; both U and V need two; change the monitor setting energy or freeze_at"
            )
        return frame

    def _observe(
        self,
        frame: Frame,
        step: int,
        images: Array,
        texts: Array,
        model: Any,
        batches: Callable[[int], tuple[Tensor, Tensor]],
    ) -> dict[str, float]:
        gradients = []
        for batch in range(self.settings.gradient_batches):
            pixels, tokens = batches(step + batch)
            with torch.no_grad():
                rows = model.embed_pixels(pixels), model.embed_tokens(tokens)
            gradients.append(embedding_gradients(*rows, model.log_scale.exp()))
        of_images, of_texts, losses = zip(*gradients, strict=True)
        observation = observe(frame, images, texts, (np.concatenate(of_images), np.concatenate(of_texts)))
        if self.gamma_first is None:
            self.gamma_first = observation.gamma
        scale = max(float(np.linalg.norm(self.gamma_first)), np.finfo(np.float64).eps)
        metrics = observation.metrics | {
            "loss": float(np.mean(losses)),
            "gamma_drift": float(np.linalg.norm(observation.gamma - self.gamma_first)) / scale,
        }
        if self.gamma_last is not None:
            lengths = float(np.linalg.norm(observation.gamma) * np.linalg.norm(self.gamma_last))
            metrics["gamma_cosine"] = float(observation.gamma @ self.gamma_last) / lengths
        self.gamma_last = observation.gamma
        if step >= self.settings.late_from:
            self._add_to_late_window(observation)
        return metrics

    def _add_to_late_window(self, observation: Observation) -> None:
        if self.late is None:
            self.late = LateWindow(0, 0 * observation.delta, 0 * observation.zeta, 0 * observation.gradient, [])
        self.late.count += 1
        self.late.delta = self.late.delta + observation.delta
        self.late.zeta = self.late.zeta + observation.zeta
        self.late.gradient = self.late.gradient + observation.gradient
        self.late.gammas.append(observation.gamma)

    def state_dict(self) -> dict[str, Any]:
        """Return all observations as tensors and plain containers, without the time they took."""
        return {
            "settings": self.settings.record(),
            "rows": [dict(row) for row in self.rows],
            "frame": None if self.frame is None else _tensors(vars(self.frame)),
            "late": None if self.late is None else _tensors(vars(self.late)),
            "gammas": _tensors({"first": self.gamma_first, "last": self.gamma_last}),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned; raise DataError if it has other settings."""
        if state["settings"] != self.settings.record():
            raise DataError(
                "checkpoint: written with other monitor settings; delete the folder encoder.checkpoint to start again"
            )
        self.rows = [dict(row) for row in state["rows"]]
        self.frame = None if state["frame"] is None else Frame(**_arrays(state["frame"]))
        self.late = None if state["late"] is None else LateWindow(**_arrays(state["late"]))
        gammas = _arrays(state["gammas"])
        self.gamma_first, self.gamma_last = gammas["first"], gammas["last"]


def _tensors(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return torch.from_numpy(np.ascontiguousarray(value)).clone()
    if isinstance(value, dict):
        return {name: _tensors(part) for name, part in value.items()}
    return [_tensors(part) for part in value] if isinstance(value, list) else value


def _arrays(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.numpy().copy()
    if isinstance(value, dict):
        return {name: _arrays(part) for name, part in value.items()}
    return [_arrays(part) for part in value] if isinstance(value, list) else value
