"""Base class of all aligners.

Aligners follow scikit-learn: `fit` and `transform` take arrays, `fit_stream` and `transform_stream` take embedding sets
that need not fit into memory. Statistics come from unpaired samples of both modalities, which are normalised to unit
length and accumulated in float64 (Section 4). Source (text) embeddings are mapped onto target (image) embeddings.
"""

import inspect
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from revision.align.engine import Engine
from revision.align.transforms import Transform
from revision.embeddings import EmbeddingSet, EmbeddingWriter
from revision.embeddings.moments import ArrayRows, Moments, Rows
from revision.errors import ConfigError, DataError

ZERO_TRACE = 1e-12  # on unit rows, a trace below this is a rounding error: all rows are equal


def check_is_fitted(aligner: "Aligner") -> None:
    """Raise scikit-learn's NotFittedError unless the aligner is fitted."""
    if not hasattr(aligner, "transforms_"):
        from sklearn.exceptions import NotFittedError

        raise NotFittedError(f"{aligner.name}: not fitted; call `fit` or `fit_stream` first")


def array_rows(array: Any, name: str) -> ArrayRows:
    """Check an array and wrap it as rows.

    Parameters
    ----------
    array : array-like of shape (n, d)
        Numeric values; NaN and infinity are reported later, with their row.
    name : str
        How error messages refer to the array.

    Returns
    -------
    ArrayRows
        The array in its float type, or in float64 if it is of another numeric type.

    Raises
    ------
    DataError
        If the array has another shape or is not numeric.
    """
    from sklearn.utils.validation import check_array  # imported here, as it takes longer than aligning 50,000 rows

    try:
        table = check_array(
            array, dtype=[np.float64, np.float32, np.float16], ensure_all_finite=False, ensure_min_samples=0
        )
    except (ValueError, TypeError) as error:
        raise DataError(f"{name}: {error}") from error
    return ArrayRows(table, name)


class Aligner:
    """Base class of all aligners.

    An aligner is a scikit-learn estimator and transformer that maps embeddings of a source modality (text) into the
    distribution of a target modality (images). Rows are normalised to unit length before anything else, and the
    result has unit length too.

    Attributes
    ----------
    name : str
        Name of the method in commands and configurations.
    paired : bool
        Whether the aligner is fitted on pairs: row i of the source belongs to row i of the target.
    least_rows : int
        Smallest number of rows of each modality that the aligner can be fitted on.
    transforms_ : list of Transform
        Fitted transforms of source rows.
    target_transforms_ : list of Transform
        Fitted transforms of target rows; empty for most aligners.
    n_features_in_ : int
        Dimension d of the embeddings that the aligner was fitted on.

    Notes
    -----
    A subclass sets `name`, stores the parameters of its constructor under their own names, and implements
    `_fit(source, target, engine)`, which returns the transforms of source rows.

    It does not derive from scikit-learn's base classes, because importing them takes longer than aligning 50,000 rows.

    Examples
    --------
    >>> import numpy as np
    >>> from revision.align import ReAlign
    >>> rng = np.random.default_rng(0)
    >>> text, image = rng.standard_normal((600, 16)) - 1.0, rng.standard_normal((500, 16)) + 1.0
    >>> aligner = ReAlign(steps=2)
    >>> aligner.fit(text, image)
    ReAlign(epsilon=1e-12, steps=2)
    >>> aligner.transform(text).shape
    (600, 16)
    """

    name: ClassVar[str]
    paired: ClassVar[bool] = False
    least_rows: ClassVar[int] = 2

    def _fit(self, source: Rows, target: Rows, engine: Engine) -> list[Transform]:
        """Fit on checked rows of one dimension; returns the transforms of source rows."""
        raise NotImplementedError

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters of the constructor.

        Parameters
        ----------
        deep : bool, default=True
            Ignored; present for compatibility with scikit-learn.

        Returns
        -------
        dict
            Values of the parameters, by name.
        """
        return {name: getattr(self, name) for name in sorted(inspect.signature(type(self)).parameters)}

    def set_params(self, **params: Any) -> Self:
        """Set parameters of the constructor.

        Parameters
        ----------
        **params : Any
            New values, by name.

        Returns
        -------
        Aligner
            The aligner itself.

        Raises
        ------
        ConfigError
            If the constructor has no such parameter.
        """
        for name, value in params.items():
            if name not in self.get_params():
                raise ConfigError(
                    f"{self.name}: unknown parameter {name!r}; it has {', '.join(self.get_params()) or 'none'}"
                )
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.get_params().items())})"

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import Tags, TargetTags, TransformerTags

        return Tags(None, TargetTags(required=False), TransformerTags())

    def fit(self, source: Any, target: Any) -> Self:
        """Fit the aligner on two arrays.

        Parameters
        ----------
        source : array-like of shape (n, d)
            Source (text) embeddings.
        target : array-like of shape (m, d)
            Target (image) embeddings. They need not be paired with the source, unless `paired` is set.

        Returns
        -------
        Aligner
            The fitted aligner itself.

        Raises
        ------
        DataError
            If dimensions differ, rows are too few or all equal, or a row has no direction (zero, NaN, infinity).
        ConfigError
            If a parameter is out of range.
        """
        return self.fit_stream(array_rows(source, "source"), array_rows(target, "target"))

    def fit_stream(self, source: Rows, target: Rows, engine: Engine | None = None) -> Self:
        """Fit the aligner on two embedding sets of any size, with constant memory.

        Parameters
        ----------
        source : Rows
            Source (text) embeddings, such as an `EmbeddingSet`.
        target : Rows
            Target (image) embeddings.
        engine : Engine, optional
            Threads, block size and progress of the passes.

        Returns
        -------
        Aligner
            The fitted aligner itself.

        Raises
        ------
        DataError
            If dimensions differ, rows are too few or all equal, or a row has no direction (zero, NaN, infinity).
        ConfigError
            If a parameter is out of range.
        """
        if source.dim != target.dim:
            raise DataError(
                f"{source.location(0)} has dimension {source.dim}, {target.location(0)} has {target.dim}; "
                "both modalities must be embedded in the same space: use one dual encoder"
            )
        for rows in (source, target):
            if rows.count < self.least_rows:
                problem = "the set is empty" if rows.count == 0 else f"only {rows.count} row"
                raise DataError(
                    f"{rows.location(0)}: {problem}; {self.name} needs at least {self.least_rows} rows of each modality"
                )
        if self.paired and source.count != target.count:
            raise DataError(
                f"{source.location(0)}: {source.count} rows against {target.count}; {self.name} needs pairs: "
                "one target row for each source row"
            )
        self.n_features_in_ = source.dim
        self.target_transforms_: list[Transform] = []
        self.transforms_ = self._fit(source, target, engine or Engine())
        return self

    def fit_transform(self, X: Any, y: Any = None) -> np.ndarray:
        """Fit on a source and a target, then transform the source.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Source (text) embeddings. The names X and y are those that scikit-learn's pipelines use.
        y : array-like of shape (m, d)
            Target (image) embeddings.

        Returns
        -------
        ndarray of shape (n, d)
            Aligned source rows, float32, of unit length.
        """
        return self.fit(X, y).transform(X)

    def transform(self, source: Any) -> np.ndarray:
        """Align source rows.

        Parameters
        ----------
        source : array-like of shape (n, d)
            Source (text) embeddings, of any length; they need not be those of `fit`.

        Returns
        -------
        ndarray of shape (n, d)
            Aligned rows, float32, of unit length.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If the aligner is not fitted.
        DataError
            If the dimension differs from that in `fit`, or a row has no direction (zero, NaN, infinity).
        """
        check_is_fitted(self)
        return self._transform(array_rows(source, "source"), self.transforms_)

    def transform_target(self, target: Any) -> np.ndarray:
        """Transform target rows into the space of aligned source rows.

        Most aligners only normalise target rows; `C3Centred` also moves them.

        Parameters
        ----------
        target : array-like of shape (m, d)
            Target (image) embeddings.

        Returns
        -------
        ndarray of shape (m, d)
            Transformed rows, float32, of unit length.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If the aligner is not fitted.
        DataError
            If the dimension differs from that in `fit`, or a row has no direction (zero, NaN, infinity).
        """
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
        """Align source rows of any number and write them to an embedding set.

        Parameters
        ----------
        source : EmbeddingSet or ArrayRows
            Source (text) embeddings. Ids are kept; rows of an array get ids of the form "<file name>:<row>".
        folder : str or Path
            Where to write the set.
        dtype : {"float16", "float32"}, optional
            Type of the written values; by default that of the source.
        engine : Engine, optional
            Threads, block size and progress of the pass.
        about : dict, optional
            Further facts for the manifest, as JSON values.

        Returns
        -------
        EmbeddingSet
            The written set.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If the aligner is not fitted.
        DataError
            If the dimension differs from that in `fit`, a row has no direction (zero, NaN, infinity), or `folder`
            holds anything but an embedding set.
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
    """The ids of every block of at most `rows` rows."""
    if isinstance(source, ArrayRows):
        stem = Path(source.name).stem
        for start in range(0, source.count, rows):
            yield [f"{stem}:{row}" for row in range(start, min(start + rows, source.count))]
        return
    for batch in source.batches():
        for start in range(0, batch.num_rows, rows):
            yield batch.column("id")[start : start + rows]


def require_positive_trace(rows: Rows, moments: Moments, name: str) -> None:
    """Raise DataError if all rows are equal, so that they have no scale.

    Parameters
    ----------
    rows : Rows
        The rows, for the location in the message.
    moments : Moments
        Moments of the normalised rows.
    name : str
        Name of the aligner, for the message.
    """
    if moments.trace <= ZERO_TRACE:
        raise DataError(
            f"{rows.location(0)}: all {moments.count} rows are equal (T = 0), so {name} has no scale to match; check "
            "the encoder"
        )
