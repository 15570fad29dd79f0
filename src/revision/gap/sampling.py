"""Dependence of the remaining gap on the sample that an aligner is fitted on: figures 3, 6 and 8."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from revision.align import Aligner
from revision.config.variants import AlignerSettings
from revision.embeddings.rows import Array
from revision.gap.held_out import configured
from revision.geometry.gap import centroid_gap, effective_rows, gap_noise

Aligners = Mapping[str, AlignerSettings]
NOISE = "sampling noise"
TRIALS = 5


@dataclass(frozen=True)
class Sample:
    """Embeddings and what they show.

    Attributes
    ----------
    rows : ndarray of shape (n, d)
        Rows of unit length.
    contents : ndarray of shape (n,) or None
        What each row shows, as for `effective_rows`. None: rows share content only if they are exactly equal.
    """

    rows: Array
    contents: Array | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, index: Array) -> "Sample":
        """Return the rows at `index`."""
        return Sample(self.rows[index], None if self.contents is None else self.contents[index])


Pairs = tuple[Sample, ...]  # texts and images


def _fitted(settings: Aligners, texts: Sample, images: Sample) -> dict[str, Aligner]:
    """Aligners that need no pairs, fitted."""
    aligners = {name: configured(setting) for name, setting in settings.items()}
    return {name: aligner.fit(texts.rows, images.rows) for name, aligner in aligners.items() if not aligner.paired}


def _gap(aligner: Aligner, texts: Sample, images: Sample) -> float:
    return centroid_gap(aligner.transform_target(images.rows), aligner.transform(texts.rows))


def _noise(aligner: Aligner, fitted: Pairs, probe: Pairs) -> float:
    """The gap on `probe` due to sampling alone, after an aligner that was fitted on as many rows as `fitted`."""
    texts, images = (effective_rows(sample.rows, sample.contents) for sample in fitted)
    return gap_noise(probe[1].rows, aligner.transform(probe[0].rows), (images, texts), probe[1].contents)


def gap_by_half(
    settings: Aligners,
    texts: Sample,
    images: Sample,
    probe: Pairs,
    seeds: Sequence[int],
    realign: Aligner,
) -> pd.DataFrame:
    """Measure the gap on a random half of the rows, which the aligners are fitted on, and on held-out pairs (figure 3).

    Parameters
    ----------
    settings : mapping of AlignerSettings
        Settings by name; aligners that need pairs are ignored.
    texts, images : Sample
        Unpaired rows.
    probe : tuple of Sample
        Held-out texts and images.
    seeds : sequence of int
        Seeds of the random halves; the sampling noise is that of the last.
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
        half = tuple(part.take(generator.permutation(len(part))[: len(part) // 2]) for part in (texts, images))
        for name, aligner in _fitted(settings, *half).items():
            for sample, pairs in (("fitted", half), ("held-out", probe)):
                rows.append({"method": name, "sample": sample, "seed": seed, "gap": _gap(aligner, *pairs)})
    noise = _noise(realign, half, probe)
    return pd.DataFrame([*rows, {"method": NOISE, "sample": "held-out", "seed": -1, "gap": noise}])


def gap_by_size(settings: Aligners, texts: Sample, images: Sample, probe: Pairs, sizes: Sequence[int]) -> pd.DataFrame:
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
            drawn = tuple(part.take(generator.choice(len(part), size, replace=False)) for part in (texts, images))
            for name, aligner in _fitted(settings, *drawn).items():
                row = {"method": name, "samples": size, "trial": trial}
                rows.append(row | {"gap": _gap(aligner, *probe)})
                if name == "realign" and trial == 0:
                    noise = _noise(aligner, drawn, probe)
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
    unpaired, probes : mapping of tuple of Sample
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
            drawn = tuple(part.take(generator.permutation(len(part))[:size]) for part in pairs)
            for name, aligner in _fitted(settings, *drawn).items():
                for applied, probe in probes.items():
                    row = {"statistics": fitted, "applied_to": applied, "samples": size, "seed": seed}
                    rows.append(row | {"method": name, "gap": _gap(aligner, *probe)})
                    if name == "realign" and fitted == applied:
                        rows.append(row | {"method": NOISE, "gap": _noise(aligner, drawn, probe)})
    return pd.DataFrame(rows)
