"""CapDec (Nukrai et al. 2022, arXiv:2211.00575): Gaussian noise on texts, its level estimated from data.

CapDec assumes that the image of a text is in a ball around the text, adds noise of the radius of the ball to texts, and
leaves images as they are. The radius comes from captions of the same image: the mean maximum norm of the differences of
their embeddings (`caption_spread`). With unpaired texts it is not known which of them share an image; `CapDec` then
uses the nearest other text in place of a second caption.
"""

from itertools import pairwise

import numpy as np

from revision.align.base import Aligner
from revision.align.engine import Engine
from revision.align.transforms import Noise, Transform
from revision.embeddings.moments import Rows
from revision.embeddings.rows import Array, take, unit_rows
from revision.errors import ConfigError, DataError


def caption_spread(text: Array, image_of: Array) -> float:
    """Estimate the noise from captions of the same image, as CapDec does.

    Parameters
    ----------
    text : ndarray of shape (n, d)
        Captions, rows of unit length. CapDec used the captions of 15 images.
    image_of : array-like of shape (n,)
        Id of the image of each caption. Images with one caption are ignored.

    Returns
    -------
    float
        Mean of max_k |a_k - b_k| over all pairs a, b of captions of one image: the standard deviation of the noise in
        each coordinate, as `CapDec(noise=...)` takes it.

    Raises
    ------
    DataError
        If there is not one id per caption, rows are not of unit length, or no image has two captions.
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
    """Gaussian noise on texts: `unit(e + noise * g)` with standard normal `g`; images are not moved.

    Parameters
    ----------
    noise : float, optional
        Standard deviation of the noise in each coordinate; the paper's is sqrt(0.016). None estimates it in `fit`.
    sample : int, default=5000
        Maximum number of texts that the estimate uses.
    seed : int, default=0
        Seed of the sample and of the noise.

    Attributes
    ----------
    noise_ : float
        The standard deviation in use.

    Notes
    -----
    The estimate is the mean over texts of max_k |a_k - b_k| between a text a and the nearest other text b, without
    duplicates. It replaces `caption_spread`, which needs to know the captions of each image. It decreases slowly with
    `sample`, and is too small if the nearest text describes another image.

    As in the authors' code, rows are normalised before and after. The noise of a row depends on the seed and on the
    index of the row only; the paper draws new noise in every epoch. Noise shortens the mean of the texts; it does
    not close the gap.

    References
    ----------
    arXiv:2211.00575.
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
