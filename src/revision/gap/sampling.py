"""Dependence of the remaining gap on the sample that an aligner is fitted on: figures 3, 6 and 8."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from revision.align import Aligner
from revision.config.variants import AlignerSettings
from revision.embeddings.rows import Array
from revision.gap.held_out import configured
from revision.geometry.gap import centroid_gap, gap_noise

Aligners = Mapping[str, AlignerSettings]
Pairs = tuple[Array, Array]  # texts and images, of shape (n, d)
NOISE = "sampling noise"
TRIALS = 5


def _fitted(settings: Aligners, texts: Array, images: Array) -> dict[str, Aligner]:
    """Aligners that need no pairs, fitted."""
    aligners = {name: configured(setting) for name, setting in settings.items()}
    return {name: aligner.fit(texts, images) for name, aligner in aligners.items() if not aligner.paired}


def _gap(aligner: Aligner, texts: Array, images: Array) -> float:
    return centroid_gap(aligner.transform_target(images), aligner.transform(texts))


def gap_by_half(
    settings: Aligners,
    texts: Array,
    images: Array,
    probe: Pairs,
    seeds: Sequence[int],
    realign: Aligner,
) -> pd.DataFrame:
    """Measure the gap on a random half of the rows, which the aligners are fitted on, and on held-out pairs (figure 3).

    Parameters
    ----------
    settings : mapping of AlignerSettings
        Settings by name; aligners that need pairs are ignored.
    texts, images : ndarray of shape (n, d) and (m, d)
        Unpaired rows of unit length.
    probe : tuple of ndarray of shape (p, d)
        Held-out texts and images.
    seeds : sequence of int
        Seeds of the random halves.
    realign : Aligner
        ReAlign fitted on all rows, for the sampling noise.

    Returns
    -------
    pandas.DataFrame
        Tidy: method, sample ("fitted" or "held-out"), seed (-1 for the sampling noise), gap.
    """
    rows = []
    for seed in seeds:
        generator = np.random.default_rng(seed)
        half = tuple(part[generator.permutation(len(part))[: len(part) // 2]] for part in (texts, images))
        for name, aligner in _fitted(settings, *half).items():
            for sample, pairs in (("fitted", half), ("held-out", probe)):
                rows.append({"method": name, "sample": sample, "seed": seed, "gap": _gap(aligner, *pairs)})
    noise = gap_noise(probe[1], realign.transform(probe[0]), (len(images) // 2, len(texts) // 2))
    return pd.DataFrame([*rows, {"method": NOISE, "sample": "held-out", "seed": -1, "gap": noise}])


def gap_by_size(settings: Aligners, texts: Array, images: Array, probe: Pairs, sizes: Sequence[int]) -> pd.DataFrame:
    """Measure the gap on held-out pairs by the number of rows that aligners are fitted on (figure 6).

    Each of TRIALS trials draws its rows without replacement.

    Parameters
    ----------
    settings, texts, images, probe
        As in `gap_by_half`.
    sizes : sequence of int
        Numbers of rows of each modality; those larger than a set are ignored.

    Returns
    -------
    pandas.DataFrame
        Tidy: method, samples, trial (-1 for the sampling noise after ReAlign of the first trial), gap.
    """
    rows = []
    for size in (size for size in sizes if size <= min(len(texts), len(images))):
        for trial in range(TRIALS):
            generator = np.random.default_rng((size, trial))
            drawn = [part[generator.choice(len(part), size, replace=False)] for part in (texts, images)]
            for name, aligner in _fitted(settings, *drawn).items():
                row = {"method": name, "samples": size, "trial": trial}
                rows.append(row | {"gap": _gap(aligner, *probe)})
                if name == "realign" and trial == 0:
                    noise = gap_noise(probe[1], aligner.transform(probe[0]), (size, size))
                    rows.append(row | {"method": NOISE, "trial": -1, "gap": noise})
    return pd.DataFrame(rows)


def gap_by_domain(
    settings: Aligners,
    unpaired: Mapping[str, Pairs],
    probes: Mapping[str, Pairs],
    seeds: Sequence[int],
) -> pd.DataFrame:
    """Measure the gap on held-out pairs of each domain with aligners fitted on each domain (figure 8).

    Parameters
    ----------
    settings : mapping of AlignerSettings
        Settings by name; aligners that need pairs are ignored.
    unpaired, probes : mapping of tuple of ndarray
        Unpaired (texts, images) to fit on, and held-out pairs, by domain.
    seeds : sequence of int
        Seeds of the drawn rows. The same number is drawn of every domain: half of the smallest set.

    Returns
    -------
    pandas.DataFrame
        Tidy: statistics (domain fitted on), applied_to (domain), samples, seed, method, gap.
    """
    size = min(len(rows) for pairs in unpaired.values() for rows in pairs) // 2
    rows = []
    for seed in seeds:
        generator = np.random.default_rng(seed)
        for fitted, pairs in unpaired.items():
            drawn = [part[generator.permutation(len(part))[:size]] for part in pairs]
            for name, aligner in _fitted(settings, *drawn).items():
                for applied, (text, image) in probes.items():
                    row = {"statistics": fitted, "applied_to": applied, "samples": size, "seed": seed}
                    rows.append(row | {"method": name, "gap": _gap(aligner, text, image)})
                    if name == "realign" and fitted == applied:
                        noise = gap_noise(image, aligner.transform(text), (size, size))
                        rows.append(row | {"method": NOISE, "gap": noise})
    return pd.DataFrame(rows)
