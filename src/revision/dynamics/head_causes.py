"""Causes of the gap of trained heads: temperature and false pairs, on the features of captioned images."""

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from revision.config.encoders import HeadSettings
from revision.contrastive.heads import fit_heads, pair_features
from revision.contrastive.pairs import TablePairs
from revision.dynamics.causes import Point, StartEndMonitor
from revision.embeddings.rows import Array
from revision.encoders.pretrained_heads import Heads, Towers


@dataclass(frozen=True)
class FeatureProbe:
    """The towers' features of held-out pairs, of shapes (n, f) and (n, h); no two pairs have the same image."""

    images: Array
    texts: Array
    contents: None = None

    def embed(self, model: Heads) -> tuple[Array, Array]:
        """Embed images and captions with `model`, unit rows of shape (n, d) in float32."""
        with torch.inference_mode():
            images = model.embed_pixels(torch.from_numpy(self.images))
            return images.numpy(), model.embed_tokens(torch.from_numpy(self.texts)).numpy()


class HeadStudy:
    """Train heads and measure them on held-out pairs; the towers' features are computed once.

    Parameters
    ----------
    pairs, probe : path
        Corpus tables of captioned images: training pairs, and held-out pairs with their first captions.
    settings : HeadSettings
        The base settings, whose towers and captions all points share.
    """

    def __init__(self, pairs: str | Path, probe: str | Path, settings: HeadSettings) -> None:
        towers = Towers(settings)
        self.towers = towers.revision
        with tempfile.TemporaryDirectory() as folder:
            self.features = pair_features(TablePairs(pairs), settings, towers, Path(folder) / "pairs.npz")
            one = settings.model_copy(update={"captions": 1})
            held_out = pair_features(TablePairs(probe), one, towers, Path(folder) / "probe.npz")
        self.probe = FeatureProbe(held_out["images"], held_out["texts"][0])

    def __call__(self, point: Point, probe: int, *, seed: int, threads: int = 1) -> dict[str, float]:
        """Train and measure a point on at most `probe` pairs, as `revision.dynamics.causes.measure` does."""
        assert isinstance(point.encoder, HeadSettings)
        torch.set_num_threads(threads)
        pairs = replace(self.probe, images=self.probe.images[:probe], texts=self.probe.texts[:probe])
        monitor, settings = StartEndMonitor(pairs), point.encoder
        every: dict[str, Any] = {"monitor_every": settings.steps, "checkpoint_every": settings.steps}
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "encoder"
            fit_heads(
                self.features, self.towers, settings, out, {"seed": seed}, monitor=monitor, show_progress=False, **every
            )
        return {"gap_start": monitor.start, **monitor.end}
