"""What a fitted aligner does to a row: a chain of transforms, each followed by normalisation to unit length."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np

from revision.embeddings.kernels import unit_rows

NOISE_ROWS = 256


class Transform(Protocol):
    """A step of a fitted aligner: a frozen dataclass of numbers and arrays, which `pack` saves under its `kind`."""

    kind: ClassVar[str]

    def apply(self, rows: np.ndarray, start: int) -> np.ndarray:
        """Move float64 unit rows [k, d]; normalising them again is left to the caller.

        `start` is the index of the first row in its set, so that seeded noise does not depend on the blocks.
        """


@dataclass(frozen=True)
class Shift:
    """e -> unit(scale * e + shift); `shift` is [d]."""

    kind: ClassVar[str] = "shift"
    scale: float
    shift: np.ndarray

    def apply(self, rows: np.ndarray, start: int) -> np.ndarray:
        return self.scale * rows + self.shift


@dataclass(frozen=True)
class Linear:
    """e -> unit(e @ matrix + shift); `matrix` is [d, d], `shift` [d]."""

    kind: ClassVar[str] = "linear"
    matrix: np.ndarray
    shift: np.ndarray

    def apply(self, rows: np.ndarray, start: int) -> np.ndarray:
        return rows @ self.matrix + self.shift


@dataclass(frozen=True)
class Noise:
    """e -> unit(e + deviation * g), g standard normal in every coordinate, addressed by (seed, row)."""

    kind: ClassVar[str] = "noise"
    deviation: float
    seed: int

    def apply(self, rows: np.ndarray, start: int) -> np.ndarray:
        stop = start + len(rows)
        first = start - start % NOISE_ROWS
        parts = [
            np.random.Generator(np.random.Philox(key=[self.seed, chunk])).standard_normal((NOISE_ROWS, rows.shape[1]))
            for chunk in range(first // NOISE_ROWS, -(-stop // NOISE_ROWS))
        ]
        return rows + self.deviation * np.concatenate(parts)[start - first : stop - first]


class Shifts:
    """Consecutive shifts as arrays `scales` [k] and `shifts` [k, d], which the kernels carry out in one visit."""

    def __init__(self, chain: Sequence[Shift], dim: int) -> None:
        self.scales = np.array([step.scale for step in chain], dtype=np.float64)
        self.shifts = np.array([step.shift for step in chain], dtype=np.float64).reshape(-1, dim)


class Pipeline:
    """A chain of transforms, compiled once for all blocks of a set of dimension `dim`: consecutive shifts are fused."""

    def __init__(self, transforms: Sequence[Transform], dim: int) -> None:
        self.steps: list[tuple[Shifts, Transform]] = []
        chain: list[Shift] = []
        for transform in transforms:
            if isinstance(transform, Shift):
                chain.append(transform)
            else:
                self.steps.append((Shifts(chain, dim), transform))
                chain = []
        self.last = Shifts(chain, dim)

    def run(self, block: np.ndarray, start: int, out: np.ndarray) -> int:
        """Write the transformed unit rows of `block` [k, d] to `out`; returns the first bad row of the block, or -1."""
        for fused, transform in self.steps:
            rows = np.empty(block.shape)
            bad = unit_rows(block, fused.scales, fused.shifts, rows)
            if bad >= 0:
                return bad
            block = transform.apply(rows, start)
        return unit_rows(block, self.last.scales, self.last.shifts, out)


def pack(transforms: Sequence[Transform], prefix: str) -> tuple[list[dict[str, Any]], dict[str, np.ndarray]]:
    """Stages as JSON values and named arrays."""
    table: list[dict[str, Any]] = []
    arrays: dict[str, np.ndarray] = {}
    for index, transform in enumerate(transforms):
        values = vars(transform)
        named = {key: value for key, value in values.items() if isinstance(value, np.ndarray)}
        arrays |= {f"{prefix}.{index}.{key}": np.ascontiguousarray(value) for key, value in named.items()}
        table.append({"kind": transform.kind} | {key: value for key, value in values.items() if key not in named})
    return table, arrays


def unpack(
    table: list[dict[str, Any]], arrays: dict[str, np.ndarray], prefix: str, kinds: Mapping[str, type]
) -> list[Transform]:
    """The transforms that `pack` described; `kinds` maps a kind to its class."""
    transforms = []
    for index, values in enumerate(table):
        start = f"{prefix}.{index}."
        own = {key.removeprefix(start): value for key, value in arrays.items() if key.startswith(start)}
        plain = {key: value for key, value in values.items() if key != "kind"}
        transforms.append(kinds[values["kind"]](**plain, **own))
    return transforms
