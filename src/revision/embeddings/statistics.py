"""Statistics of an embedding set in one small file that can be shared: count, mean, trace and covariance.

The file is in the safetensors format: `mean` (d,), float64, and optionally `covariance` (d, d), float32; its metadata
has the count, the trace, the dimension, the encoder and a checksum of the embeddings. Aligners are fitted on it as on
the embeddings, if they need no rows.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file
from xxhash import xxh3_128_hexdigest

from revision.embeddings.moments import ArrayRows, Moments
from revision.embeddings.reader import EmbeddingSet
from revision.errors import DataError
from revision.io.files import atomic_file, digest

FORMAT = "revision-statistics-1"
SUFFIX = ".safetensors"
FIX = "name a file written by `revision stats --save FILE.safetensors`"


@dataclass(frozen=True)
class Statistics:
    """Statistics of normalised rows; implements `Rows`, except that there are no rows to read.

    Attributes
    ----------
    moments : Moments
        Moments of the normalised rows.
    facts : dict
        As `facts_of` returns them.
    name : str
        How error messages refer to the statistics.
    """

    moments: Moments
    facts: dict[str, Any]
    name: str = "statistics"

    @property
    def count(self) -> int:
        """Number of rows n."""
        return self.moments.count

    @property
    def dim(self) -> int:
        """Dimension d."""
        return len(self.moments.mean)

    def blocks(self, rows: int) -> Iterator[np.ndarray]:
        """Raise DataError, as statistics have no rows."""
        raise self.lack("rows; fit it on the embeddings")

    def location(self, row: int) -> str:
        """Return the name in error messages."""
        return self.name

    def lack(self, what: str) -> DataError:
        """Return the error that the aligner needs what statistics do not have."""
        return DataError(f"{self.name}: these are statistics, and the aligner needs {what}")

    def shifted(self, scale: float, shift: np.ndarray) -> Moments:
        """Predict the moments of `unit(scale * e + shift)` from mean and covariance, for the third step of ReAlign.

        As |e| = 1, the squared length of `scale * e + shift` is exactly q + 2 a . (e - mu) with a = scale * shift. With
        the moved mean m, the covariance S and v = a S a / q^2, the mean is (m (1 + 3/2 v) - scale S a / q) / sqrt(q),
        up to third moments of a . (e - mu) / q.

        Parameters
        ----------
        scale : float
            Factor of the rows.
        shift : ndarray of shape (d,)
            Vector that is added.

        Returns
        -------
        Moments
            Mean and trace, without covariance.

        Raises
        ------
        DataError
            If there is no covariance.
        """
        if self.moments.scatter is None:
            raise self.lack("the covariance; add it with `revision stats --covariance --save`")
        moved = scale * self.moments.mean + shift
        square = scale**2 + shift @ shift + 2 * scale * (shift @ self.moments.mean)
        change = self.moments.covariance @ (scale * shift) / square
        variance = scale * (shift @ change) / square
        mean = (moved * (1 + 1.5 * variance) - scale * change) / np.sqrt(square)
        return Moments(self.count, mean, self.count * max(0.0, 1 - float(mean @ mean)))


def facts_of(rows: "EmbeddingSet | ArrayRows | Statistics") -> dict[str, Any]:
    """Return what identifies embeddings without naming a path: count, dimension, encoder and checksum."""
    if isinstance(rows, Statistics):
        return rows.facts
    if isinstance(rows, EmbeddingSet):
        checksum = xxh3_128_hexdigest("".join(shard.xxh3_128 for shard in rows.shards).encode())
        encoder = rows.about.get("encoder") or {}
    else:
        checksum, encoder = digest(rows.name), {}
    return {"count": rows.count, "dimension": rows.dim, "encoder": encoder.get("name", ""), "digest": checksum}


def save_statistics(path: str | Path, moments: Moments, facts: Sequence[dict[str, Any]], encoder: str = "") -> None:
    """Write the statistics of one or more sets.

    Parameters
    ----------
    path : str or Path
        The file to write, which ends in .safetensors.
    moments : Moments
        Moments of the normalised rows of all sets together.
    facts : sequence of dict
        Of each set, as `facts_of` returns them.
    encoder : str, optional
        Name of the encoder. Default: the name that the sets store.
    """
    tensors = {"mean": moments.mean}
    if moments.scatter is not None:
        tensors["covariance"] = moments.covariance.astype(np.float32)
    names = dict.fromkeys(encoder or part["encoder"] for part in facts)
    metadata = {
        "format": FORMAT,
        "count": str(moments.count),
        "dimension": str(len(moments.mean)),
        "trace": repr(moments.trace if moments.count else 0.0),
        "encoder": ", ".join(name for name in names if name),
        "digest": " ".join(part["digest"] for part in facts),
    }
    with atomic_file(path) as temporary:
        save_file(tensors, temporary, metadata)


def load_statistics(path: str | Path) -> Statistics:
    """Read statistics that `save_statistics` wrote.

    Parameters
    ----------
    path : str or Path
        The file.

    Returns
    -------
    Statistics
        The statistics.

    Raises
    ------
    DataError
        If the file holds no statistics, or their parts do not fit each other.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name).astype(np.float64) for name in file.keys()}  # noqa: SIM118
        if metadata.get("format") != FORMAT:
            raise DataError(f"{path}: no statistics here; {FIX}")
        count, dimension, trace = int(metadata["count"]), int(metadata["dimension"]), float(metadata["trace"])
        mean, covariance = tensors["mean"], tensors.get("covariance")
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise DataError(f"{path}: no statistics here ({type(error).__name__}: {error}); {FIX}") from error
    fits = count > 0 and mean.shape == (dimension,) and bool(np.isfinite(mean).all()) and 0 <= trace <= 1 + 1e-6
    if fits and covariance is not None:
        fits = covariance.shape == (dimension, dimension) and abs(np.trace(covariance) - trace) < 1e-3
    if not fits:
        raise DataError(f"{path}: count, mean, trace and covariance do not fit each other; {FIX}")
    facts = {
        "count": count,
        "dimension": dimension,
        "encoder": metadata.get("encoder", ""),
        "digest": metadata.get("digest", ""),
    }
    scatter = None if covariance is None else count * covariance
    return Statistics(Moments(count, mean, count * trace, scatter), facts, str(path))
