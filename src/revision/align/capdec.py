"""CapDec (Nukrai et al. 2022, arXiv:2211.00575): Gaussian noise on texts, its level estimated from data.

A text's image is taken to lie within a ball around the text, so noise of the ball's radius is added to text embeddings
and images stay. CapDec takes the radius from captions that share an image: the mean maximum norm of the differences of
their embeddings. `caption_spread` is that estimate. Unpaired texts do not say which of them share an image; the aligner
then takes the nearest other text for a second caption of the same image, which `CapDec` describes.
"""

from itertools import pairwise

import numpy as np

from revision.align.base import Aligner, Engine
from revision.align.transforms import Noise, Transform
from revision.embeddings.moments import Rows
from revision.embeddings.rows import Array, take, unit_rows
from revision.errors import ConfigError, DataError


def caption_spread(text: Array, image_of: Array) -> float:
    """CapDec's estimate of the noise from captions that share an image.

    Parameters
    ----------
    text
        Captions [n, d], unit rows. CapDec used the captions of 15 images.
    image_of
        Which image a caption belongs to, ids [n] of any one type. Images with one caption count for nothing.

    Returns
    -------
    float
        Mean of max_k |a_k - b_k| over all pairs a, b of captions of one image: the standard deviation of a coordinate's
        noise, as `CapDec(noise=...)` takes it.

    Raises
    ------
    DataError
        Ids that do not fit the rows, rows that are not of unit length, or no image with two captions.
    """
    rows, image_of = unit_rows(text, "text"), np.asarray(image_of)
    if image_of.shape != (len(rows),):
        raise DataError(f"capdec: ids of shape {image_of.shape} for {len(rows)} captions; give one id a row")
    order = np.argsort(image_of, kind="stable")
    bounds = np.flatnonzero(image_of[order][1:] != image_of[order][:-1]) + 1
    total, count = 0.0, 0
    for start, stop in pairwise([0, *bounds, len(rows)]):
        captions = rows[order[start:stop]].astype(np.float64)
        for index in range(len(captions) - 1):
            total += float(np.abs(captions[index + 1 :] - captions[index]).max(axis=1).sum())
            count += len(captions) - index - 1
    if not count:
        raise DataError("capdec: no image has two captions, so they have no spread; give `noise` as a number")
    return total / count


class CapDec(Aligner):
    """Texts with Gaussian noise: unit(e + noise * g), g standard normal in each coordinate. Unpaired; images stay.

    As in the authors' code, rows are taken to unit length before and after. Row i of a set gets the same noise whatever
    the blocks and threads; the paper draws anew in every epoch. The gap between the means stays, but for the shorter
    mean that noise leaves.

    Parameters
    ----------
    noise
        Standard deviation of a coordinate's noise; the paper's is sqrt(0.016). None estimates it in `fit` from at most
        `sample` texts: the mean over texts of max_k |a_k - b_k| between a text and the nearest other one, duplicates
        taken once. Without ids this stands for CapDec's estimate (`caption_spread`). It shrinks slowly as `sample`
        grows, and it is too small where a text's nearest neighbour says the same of another image.
    sample
        Number of texts that the estimate is made on.
    seed
        Seed of the sample and of the noise.

    Attributes
    ----------
    noise_ : float
        The standard deviation in use.
    """

    name = "capdec"
    least_rows = 1

    def __init__(self, noise: float | None = None, sample: int = 5000, seed: int = 0) -> None:
        self.noise = noise
        self.sample = sample
        self.seed = seed

    def _fit(self, source: Rows, target: Rows, engine: Engine) -> list[Transform]:
        self.noise_ = self._estimate(source) if self.noise is None else self._given(self.noise)
        return [Noise(self.noise_, int(self.seed))] if self.noise_ else []

    def _given(self, noise: float) -> float:
        if not isinstance(noise, int | float) or not noise >= 0:
            raise ConfigError(
                f"{self.name}: noise must be a number of at least 0, or None to estimate it, got {noise!r}"
            )
        return float(noise)

    def _estimate(self, source: Rows) -> float:
        from revision.geometry.neighbours import nearest_within  # late: it imports numba

        if self.sample < 2:
            raise ConfigError(f"{self.name}: sample must be at least 2, got {self.sample!r}")
        rows = np.unique(take(source, drawn_rows(source.count, self.sample, self.seed), "source"), axis=0)
        if len(rows) < 2:
            fault = f"all texts that {self.name} drew are equal, so they have no spread"
            raise DataError(f"{source.location(0)}: {fault}; give `noise` as a number")
        nearest = nearest_within(rows, 1)[1][:, 0]
        return float(np.mean(np.abs(rows - rows[nearest]).max(axis=1), dtype=np.float64))


def drawn_rows(count: int, most: int, seed: int) -> Array:
    """Ascending indices of at most `most` of `count` rows, drawn without replacement."""
    return np.sort(np.random.default_rng(seed).permutation(count)[:most])
