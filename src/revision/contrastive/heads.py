"""Contrastive training of heads on the features of frozen towers, which are computed once."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from revision.config.encoders import HeadSettings
from revision.contrastive.loop import fit
from revision.contrastive.pairs import Pairs
from revision.encoders.efficientnet_lite0 import FEATURES
from revision.encoders.pretrained_heads import Heads, PretrainedEncoder, Towers
from revision.errors import ConfigError
from revision.io.files import atomic_file


def pair_features(pairs: Pairs, settings: HeadSettings, towers: Towers, cache: Path) -> dict[str, np.ndarray]:
    """Compute the towers' features of the training pairs, or read them from a cache.

    Parameters
    ----------
    pairs : Pairs
        Images and captions.
    settings : HeadSettings
        Number of images and captions per image.
    towers : Towers
        The frozen towers.
    cache : Path
        File that holds the features; it is replaced if other settings or towers wrote it.

    Returns
    -------
    dict
        `images`, float16, of shape (n, f), and `texts`, float16, of shape (captions + 1, n, h). The last caption is
        the long one.
    """
    identity = pairs.identity | {"towers": towers.revision}
    identity |= {name: getattr(settings, name) for name in ("images", "captions", "side", "max_tokens")}
    key = json.dumps(identity, sort_keys=True)
    if cache.is_file():
        with np.load(cache) as stored:
            if str(stored["identity"]) == key:
                return {name: stored[name] for name in ("images", "texts")}
    images = [towers.encode_images(block).numpy().astype(np.float16) for block in pairs.images()]
    texts = [
        towers.encode_texts(pairs.captions(variant)).numpy().astype(np.float16)
        for variant in (*range(settings.captions), None)
    ]
    features: dict[str, Any] = {"images": np.concatenate(images), "texts": np.stack(texts)}
    cache.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(cache) as temporary, open(temporary, "wb") as file:
        np.savez(file, identity=np.array(key), **features)
    return features


class FeatureBatches:
    """Training batches of features, each a pure function of its step.

    Parameters
    ----------
    features : dict
        The result of `pair_features`.
    settings : HeadSettings
        Batch size and fractions of false pairs and long captions.
    seed : int
        Seed of order, captions and false pairs.

    Raises
    ------
    ConfigError
        If there are fewer pairs than a batch has.
    """

    def __init__(self, features: dict[str, np.ndarray], settings: HeadSettings, seed: int) -> None:
        self.images, self.texts = features["images"], features["texts"]
        self.settings, self.seed = settings, seed
        if len(self.images) < settings.batch:
            raise ConfigError(
                f"encoder.batch: {settings.batch} is more than the {len(self.images)} training images; lower it"
            )
        self.per_epoch = len(self.images) // settings.batch

    def __call__(self, step: int) -> tuple[Tensor, Tensor]:
        """Return the batch of a training step.

        Parameters
        ----------
        step : int
            Training step, from 0.

        Returns
        -------
        images : Tensor of shape (batch, f), float16
            Image features.
        texts : Tensor of shape (batch, h), float16
            Caption features; a fraction `false_pairs` belongs to other images of the batch.
        """
        epoch, position = divmod(step, self.per_epoch)
        size = self.settings.batch
        order = np.random.default_rng((self.seed, 0, epoch)).permutation(len(self.images))
        rows = order[position * size : (position + 1) * size]
        random = np.random.default_rng((self.seed, 1, step))
        long = len(self.texts) - 1
        kind = long if random.random() < self.settings.long_share else epoch % long
        wrong = random.permutation(size)[: round(size * self.settings.false_pairs)]
        captions = rows.copy()
        captions[wrong] = rows[np.roll(wrong, 1)]
        return torch.from_numpy(self.images[rows]), torch.from_numpy(self.texts[kind][captions])


def train_heads(
    pairs: Pairs,
    settings: HeadSettings,
    out_dir: str | Path,
    *,
    seed: int,
    threads: int = 1,
    show_progress: bool = True,
) -> PretrainedEncoder:
    """Train the heads with InfoNCE and save them, with a manifest, to `out_dir`.

    An interrupted run resumes from its last checkpoint, as with `revision.contrastive.loop.train`.

    Parameters
    ----------
    pairs : Pairs
        Images and captions.
    settings : HeadSettings
        Shape and training of the heads.
    out_dir : path
        Folder of the encoder.
    seed : int
        Seed of initial weights and batches.
    threads : int
        Number of torch threads.
    show_progress : bool
        Whether to show a progress bar.

    Returns
    -------
    PretrainedEncoder
        The trained encoder.

    Raises
    ------
    DataError
        If a package of a tower is not installed, or a checkpoint in `out_dir` is of another configuration.
    ConfigError
        If there are fewer pairs than a batch has.
    """
    torch.set_num_threads(threads)
    out_dir = Path(out_dir)
    towers = Towers(settings)
    features = pair_features(pairs, settings, towers, out_dir.with_name(out_dir.name + ".features.npz"))
    identity = {"encoder": settings.record()} | pairs.identity | {"towers": towers.revision, "seed": seed}
    fit_heads(features, towers.revision, settings, out_dir, identity, show_progress=show_progress)
    return PretrainedEncoder.load(out_dir)


def fit_heads(
    features: dict[str, np.ndarray],
    towers: str,
    settings: HeadSettings,
    out_dir: str | Path,
    identity: dict[str, Any],
    **options: Any,
) -> None:
    """Train the heads on features and save them.

    Parameters
    ----------
    features : dict
        The result of `pair_features`.
    towers : str
        Revision of the towers.
    settings : HeadSettings
        Shape and training of the heads.
    out_dir : path
        Folder of the encoder.
    identity : dict
        Description of the training run, with its "seed".
    **options
        Further arguments of `revision.contrastive.loop.fit`, such as its monitor.

    Raises
    ------
    DataError
        If a checkpoint in `out_dir` is of another configuration.
    ConfigError
        If there are fewer pairs than a batch has.
    """
    seed = identity["seed"]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        heads = Heads(settings, FEATURES, features["texts"].shape[-1])
    heads.towers_revision = towers
    fit(heads, FeatureBatches(features, settings, seed), settings, out_dir, identity, **options)
