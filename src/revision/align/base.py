"""The contract of every aligner: scikit-learn's fit / transform on arrays, fit_stream / transform_stream on
embedding sets.

Statistics come from unpaired samples of both modalities, taken to unit length and accumulated in float64; only the
source (text) moves. An aligner implements `_fit`, which returns the transforms that its `transform` runs.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from revision.align.transforms import Pipeline, Shift, Shifts, Transform
from revision.embeddings import EmbeddingSet, EmbeddingWriter
from revision.embeddings.kernels import unit_sum
from revision.embeddings.moments import (
    BLOCK_ROWS,
    ArrayRows,
    Moments,
    Rows,
    bad_row,
    moments,
    numbered_blocks,
)
from revision.errors import ConfigError, DataError
from revision.io.prefetch import ordered_map

CONSTANT = 1e-12  # a trace below this, on unit rows, is rounding: the set has one value


@dataclass(frozen=True)
class Engine:
    """How passes run: threads, rows a block, and who hears of progress (`advance(rows_done)`).

    `known` holds moments of the unit rows that need no pass, by the folder of their set.
    """

    threads: int = 1
    block_rows: int = BLOCK_ROWS
    advance: Callable[[int], Any] | None = field(default=None, compare=False)
    known: Mapping[Path, Moments] = field(default_factory=dict, compare=False)

    def moments(self, rows: Rows, *, covariance: bool = False, transforms: Sequence[Transform] = ()) -> Moments:
        """Moments of the unit rows after `transforms`, in one pass."""
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
        merged: Moments | None = None
        shifts = [transform for transform in transforms if isinstance(transform, Shift)]
        if len(shifts) == len(transforms) and not covariance:
            fused = Shifts(shifts, rows.dim)
            parts = ordered_map(lambda item: _shifted_moments(rows, fused, item), self._items(rows), self.threads)
        else:
            parts = (
                Moments.of(block, covariance=covariance) for block in self.transformed(rows, transforms, "float64")
            )
        for part in parts:
            merged = part if merged is None else merged.merge(part)
            if self.advance is not None:
                self.advance(part.count)
        assert merged is not None
        return merged

    def transformed(self, rows: Rows, transforms: Sequence[Transform], dtype: str) -> Iterator[np.ndarray]:
        """Blocks [k, d] of the unit rows after `transforms`, in order."""

        pipeline = Pipeline(transforms, rows.dim)

        def work(item: tuple[int, np.ndarray]) -> np.ndarray:
            start, block = item
            out = np.empty(block.shape, dtype)
            bad = pipeline.run(block, start, out)
            if bad >= 0:
                raise bad_row(rows, start + bad, block, bad)
            return out

        return ordered_map(work, self._items(rows), self.threads)

    def _items(self, rows: Rows) -> Iterator[tuple[int, np.ndarray]]:
        return numbered_blocks(rows, self.block_rows)


def _shifted_moments(rows: Rows, fused: Shifts, item: tuple[int, np.ndarray]) -> Moments:
    start, block = item
    total = np.zeros(rows.dim)
    bad = unit_sum(block, fused.scales, fused.shifts, total)
    if bad >= 0:
        raise bad_row(rows, start + bad, block, bad)
    mean = total / len(block)
    return Moments(len(block), mean, max(len(block) * (1.0 - float(mean @ mean)), 0.0))


def check_is_fitted(aligner: "Aligner") -> None:
    """Raise scikit-learn's NotFittedError for an aligner that `fit` has not seen."""
    if not hasattr(aligner, "transforms_"):
        from sklearn.exceptions import NotFittedError

        raise NotFittedError(f"{aligner.name}: not fitted; call `fit` or `fit_stream` first")


def array_rows(array: Any, name: str) -> ArrayRows:
    """A [n, d] array of numbers as rows; raises DataError for another shape or kind."""
    from sklearn.utils.validation import check_array  # late: it takes longer to import than 50,000 rows to align

    try:
        table = check_array(
            array, dtype=[np.float64, np.float32, np.float16], ensure_all_finite=False, ensure_min_samples=0
        )
    except (ValueError, TypeError) as error:
        raise DataError(f"{name}: {error}") from error
    return ArrayRows(table, name)


class Aligner:
    """Base of all aligners; subclasses set `name` and implement `_fit`.

    An estimator and transformer by scikit-learn's interface; its base classes are left out because of what they
    import. Fitted attributes: `transforms_` (what a source row goes through), `target_transforms_` (the same for a
    target row; mostly empty) and `n_features_in_`.
    """

    name: ClassVar[str]
    paired: ClassVar[bool] = False  # True: row i of the source belongs to row i of the target
    least_rows: ClassVar[int] = 2

    def _fit(self, source: Rows, target: Rows, engine: Engine) -> list[Transform]:
        raise NotImplementedError

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The constructor's parameters; `deep` is scikit-learn's and changes nothing here."""
        return {name: getattr(self, name) for name in sorted(inspect.signature(type(self)).parameters)}

    def set_params(self, **params: Any) -> Self:
        """Set parameters of the constructor; ConfigError for one that it has not."""
        for name, value in params.items():
            if name not in self.get_params():
                raise ConfigError(
                    f"{self.name}: no parameter {name!r}; it has {', '.join(self.get_params()) or 'none'}"
                )
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.get_params().items())})"

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import Tags, TargetTags, TransformerTags

        return Tags(None, TargetTags(required=False), TransformerTags())

    def fit(self, source: Any, target: Any) -> Self:
        """Fit on two arrays [n, d] and [m, d] (not paired, unless the aligner says so)."""
        return self.fit_stream(array_rows(source, "source"), array_rows(target, "target"))

    def fit_stream(self, source: Rows, target: Rows, engine: Engine | None = None) -> Self:
        """Fit on two embedding sets of any size with flat memory."""
        if source.dim != target.dim:
            raise DataError(
                f"{source.location(0)} has dimension {source.dim}, {target.location(0)} has {target.dim}; "
                "both modalities need embeddings of one space: use one dual encoder"
            )
        for rows in (source, target):
            if rows.count < self.least_rows:
                found = "the set is empty" if rows.count == 0 else f"only {rows.count} row"
                raise DataError(
                    f"{rows.location(0)}: {found}; {self.name} needs at least {self.least_rows} rows of each modality"
                )
        if self.paired and source.count != target.count:
            raise DataError(
                f"{source.location(0)}: {source.count} rows against {target.count}; {self.name} needs pairs, row by row"
            )
        self.n_features_in_ = source.dim
        self.target_transforms_: list[Transform] = []
        self.transforms_ = self._fit(source, target, engine or Engine())
        return self

    def fit_transform(self, X: Any, y: Any = None) -> np.ndarray:
        """`fit` on source `X` and target `y`, named as scikit-learn's pipelines do, then `transform` of the source."""
        return self.fit(X, y).transform(X)

    def transform(self, source: Any) -> np.ndarray:
        """Aligned rows, float32 [n, d], each of length 1."""
        check_is_fitted(self)
        return self._transform(array_rows(source, "source"), self.transforms_)

    def transform_target(self, target: Any) -> np.ndarray:
        """Target rows as this aligner wants them beside aligned source rows: float32 [n, d], each of length 1."""
        check_is_fitted(self)
        return self._transform(array_rows(target, "target"), self.target_transforms_)

    def _transform(self, rows: ArrayRows, transforms: Sequence[Transform]) -> np.ndarray:
        self._check(rows)
        blocks = list(Engine().transformed(rows, transforms, "float32"))
        return np.concatenate(blocks) if blocks else np.empty((0, rows.dim), np.float32)

    def transform_stream(
        self,
        source: EmbeddingSet | ArrayRows,
        folder: str | Path,
        *,
        dtype: str | None = None,
        engine: Engine | None = None,
        about: dict[str, Any] | None = None,
    ) -> EmbeddingSet:
        """Write the aligned rows of `source` to `folder`, in the source's dtype or in `dtype`.

        Ids are kept; those of an array are "<file name>:<row>".
        """
        self._check(source)
        engine = engine or Engine()
        dtype = dtype or source.dtype
        blocks = replace(engine, advance=None).transformed(source, self.transforms_, dtype)
        shard_rows = max(1, source.shards[0].rows) if isinstance(source, EmbeddingSet) and source.shards else None
        facts = {"aligner": self.name, "params": self.get_params()} | (about or {})
        with EmbeddingWriter(folder, source.dim, dtype, shard_rows=shard_rows, about=facts, checked=False) as writer:
            for ids, block in zip(_id_slices(source, engine.block_rows), blocks, strict=True):
                writer.append(ids, block)
                if engine.advance is not None:
                    engine.advance(len(block))
        assert writer.result is not None
        return writer.result

    def _check(self, rows: Rows) -> None:
        check_is_fitted(self)
        if rows.dim != self.n_features_in_:
            raise DataError(
                f"{rows.location(0)}: X has {rows.dim} features, but {type(self).__name__} is expecting "
                f"{self.n_features_in_} features as input; use the encoder that it was fitted on"
            )


def _id_slices(source: EmbeddingSet | ArrayRows, rows: int) -> Iterator[Any]:
    if isinstance(source, ArrayRows):
        stem = Path(source.name).stem
        for start in range(0, source.count, rows):
            yield [f"{stem}:{row}" for row in range(start, min(start + rows, source.count))]
        return
    for batch in source.batches():
        for start in range(0, batch.num_rows, rows):
            yield batch.column("id")[start : start + rows]


def require_positive_trace(rows: Rows, moments: Moments, name: str) -> None:
    """Raise DataError where every row is the same, so that no scale exists."""
    if moments.trace <= CONSTANT:
        raise DataError(
            f"{rows.location(0)}: all {moments.count} rows are equal (T = 0), so {name} has no scale; check the encoder"
        )
