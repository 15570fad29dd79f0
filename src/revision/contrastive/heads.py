"""Training of contrastive heads on frozen towers, which see each image and caption once; then only heads train."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from revision.config.encoders import HeadSettings
from revision.contrastive.loop import fit
from revision.data.scenes import World
from revision.encoders.efficientnet_lite0 import FEATURES
from revision.encoders.pretrained_heads import Heads, PretrainedEncoder, Towers
from revision.io.files import atomic_file

BLOCK = 1024


def pair_features(world: World, settings: HeadSettings, towers: Towers, cache: Path) -> dict[str, np.ndarray]:
    """Features float16 of the training pairs: `images` [n, f] and, by caption variant, `texts` [captions + 1, n, h].

    The last variant is the long caption. They are kept at `cache`; one that other settings made is made again.
    """
    identity = {"world": world.settings.record(), "towers": towers.revision}
    identity |= {name: getattr(settings, name) for name in ("images", "captions", "side", "max_tokens")}
    key = json.dumps(identity, sort_keys=True)
    if cache.is_file():
        with np.load(cache) as stored:
            if str(stored["identity"]) == key:
                return {name: stored[name] for name in ("images", "texts")}
    scenes = world.scenes("encoder", 0, settings.images)
    pixels = world.images(scenes)
    images = [
        towers.see([Image.fromarray(one) for one in pixels[start : start + BLOCK]]).numpy().astype(np.float16)
        for start in range(0, len(scenes), BLOCK)
    ]
    kinds = [("short", variant) for variant in range(settings.captions)] + [("long", 0)]
    texts = [
        towers.read(world.captions(scenes, kind, variant=variant)).numpy().astype(np.float16) for kind, variant in kinds
    ]
    features: dict[str, Any] = {"images": np.concatenate(images), "texts": np.stack(texts)}
    cache.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(cache) as temporary, open(temporary, "wb") as file:
        np.savez(file, identity=np.array(key), **features)
    return features


class FeatureBatches:
    """Batches of features, each a pure function of its step."""

    def __init__(self, features: dict[str, np.ndarray], settings: HeadSettings, seed: int) -> None:
        self.images, self.texts = features["images"], features["texts"]
        self.settings, self.seed = settings, seed
        self.per_epoch = settings.images // settings.batch

    def __call__(self, step: int) -> tuple[Tensor, Tensor]:
        """Features of images [batch, f] and of their captions [batch, h], a share of which are another image's."""
        epoch, place = divmod(step, self.per_epoch)
        size = self.settings.batch
        order = np.random.default_rng((self.seed, 0, epoch)).permutation(len(self.images))
        rows = order[place * size : (place + 1) * size]
        random = np.random.default_rng((self.seed, 1, step))
        kind = len(self.texts) - 1 if random.random() < self.settings.long_share else epoch % (len(self.texts) - 1)
        wrong = random.permutation(size)[: round(size * self.settings.false_pairs)]
        captions = rows.copy()
        captions[wrong] = rows[np.roll(wrong, 1)]
        return torch.from_numpy(self.images[rows]), torch.from_numpy(self.texts[kind][captions])


def train_heads(
    world: World,
    settings: HeadSettings,
    out_dir: str | Path,
    *,
    seed: int,
    threads: int = 1,
    show_progress: bool = True,
) -> PretrainedEncoder:
    """Train the heads with InfoNCE and save them, with a manifest, to `out_dir`; resumable as `train.train` is.

    Raises DataError if a package is missing.
    """
    torch.set_num_threads(threads)
    out_dir = Path(out_dir)
    towers = Towers(settings)
    features = pair_features(world, settings, towers, out_dir.with_name(out_dir.name + ".features.npz"))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        heads = Heads(settings, FEATURES, towers.text_features)
    heads.towers_revision = towers.revision
    identity = {"encoder": settings.record(), "world": world.settings.record(), "towers": towers.revision, "seed": seed}
    fit(heads, FeatureBatches(features, settings, seed), settings, out_dir, identity, show_progress=show_progress)
    return PretrainedEncoder.load(out_dir)
