"""Passes over embeddings: statistics and transformed blocks of normalised rows, on several threads, in float64."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from revision.align.transforms import Pipeline, Shift, Shifts, Transform
from revision.embeddings import EmbeddingSet
from revision.embeddings.kernels import unit_sum
from revision.embeddings.moments import BLOCK_ROWS, Moments, Rows, bad_row_error, moments, numbered_blocks
from revision.embeddings.statistics import Statistics
from revision.io.prefetch import ordered_map


@dataclass(frozen=True)
class Engine:
    """Settings of passes over embeddings, and the passes themselves.

    Parameters
    ----------
    threads : int, default=1
        Number of threads; results do not depend on it.
    block_rows : int, default=512
        Rows that are processed at a time.
    advance : callable, optional
        Called with the number of rows of each finished block, for example by a progress bar.
    known : mapping of Path to Moments, optional
        Moments of normalised rows that are already known, by the folder of their embedding set; they are not computed
        again.
    """

    threads: int = 1
    block_rows: int = BLOCK_ROWS
    advance: Callable[[int], Any] | None = field(default=None, compare=False)
    known: Mapping[Path, Moments] = field(default_factory=dict, compare=False)

    def moments(self, rows: Rows, *, covariance: bool = False, transforms: Sequence[Transform] = ()) -> Moments:
        """Compute the moments of normalised rows in one pass.

        Parameters
        ----------
        rows : Rows
            The rows; they are normalised first.
        covariance : bool, default=False
            Whether to compute the covariance too.
        transforms : sequence of Transform, default=()
            Transforms that rows go through before they are measured.

        Returns
        -------
        Moments
            Mean, trace and, if requested, covariance, in float64.

        Raises
        ------
        DataError
            If the set is empty or a row has no direction (zero, NaN, infinity); if only its statistics are known, and
            they do not suffice.
        """
        if isinstance(rows, Statistics):
            return _of_statistics(rows, transforms, covariance)
        if not transforms:
            known = self.known.get(rows.folder) if isinstance(rows, EmbeddingSet) else None
            if known is not None and (known.scatter is not None or not covariance):
                return known
            return moments(
                rows,
                unit=True,
                covariance=covariance,
                threads=self.threads,
                block_rows=self.block_rows,
                advance=self.advance,
            )
        shifts = [transform for transform in transforms if isinstance(transform, Shift)]
        if len(shifts) == len(transforms) and not covariance:
            # Sums of shifted rows follow from the kernels without writing the rows.
            fused = Shifts(shifts, rows.dim)
            parts = ordered_map(lambda item: _shifted_moments(rows, fused, item), self._items(rows), self.threads)
        else:
            parts = (
                Moments.of(block, covariance=covariance) for block in self.transformed(rows, transforms, "float64")
            )
        merged: Moments | None = None
        for part in parts:
            merged = part if merged is None else merged.merge(part)
            if self.advance is not None:
                self.advance(part.count)
        assert merged is not None
        return merged

    def transformed(self, rows: Rows, transforms: Sequence[Transform], dtype: str) -> Iterator[np.ndarray]:
        """Normalise and transform rows, block by block.

        Parameters
        ----------
        rows : Rows
            The rows.
        transforms : sequence of Transform
            The transforms; rows are normalised after each.
        dtype : str
            Type of the results, such as ``"float32"``.

        Yields
        ------
        ndarray of shape (k, d)
            The transformed rows, in order.

        Raises
        ------
        DataError
            If a row has no direction (zero, NaN, infinity).
        """
        pipeline = Pipeline(transforms, rows.dim)

        def work(item: tuple[int, np.ndarray]) -> np.ndarray:
            start, block = item
            out = np.empty(block.shape, dtype)
            bad = pipeline.run(block, start, out)
            if bad >= 0:
                raise bad_row_error(rows, start + bad, block, bad)
            return out

        return ordered_map(work, self._items(rows), self.threads)

    def _items(self, rows: Rows) -> Iterator[tuple[int, np.ndarray]]:
        return numbered_blocks(rows, self.block_rows)


def _of_statistics(rows: Statistics, transforms: Sequence[Transform], covariance: bool) -> Moments:
    """Moments of rows of which only the statistics are known, after at most one shift."""
    if not transforms:
        if covariance and rows.moments.scatter is None:
            raise rows.lack("the covariance; add it with `revision stats --covariance --save`")
        return rows.moments
    first, *others = transforms
    if covariance or others or not isinstance(first, Shift):
        raise rows.lack("rows; fit it on the embeddings")
    return rows.shifted(first.scale, first.shift)


def _shifted_moments(rows: Rows, fused: Shifts, item: tuple[int, np.ndarray]) -> Moments:
    start, block = item
    total = np.zeros(rows.dim)
    bad = unit_sum(block, fused.scales, fused.shifts, total)
    if bad >= 0:
        raise bad_row_error(rows, start + bad, block, bad)
    mean = total / len(block)
    # Rows have length 1, so the sum of their squares is their number.
    return Moments(len(block), mean, max(len(block) * (1.0 - float(mean @ mean)), 0.0))
