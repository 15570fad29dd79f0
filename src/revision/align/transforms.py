"""What a fitted aligner does to a row: a chain of stages, each of which ends on the unit sphere.

`Shift` stages run fused in one kernel; any other stage takes and gives float64 unit rows [k, d]. `start` is the index
of the block's first row in its set, so that seeded noise does not depend on how the set is cut into blocks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np

from revision.embeddings.kernels import raw_view, unit_rows

NOISE_ROWS = 256


@dataclass(frozen=True)
class Shift:
    """e -> unit(scale * e + shift); `shift` is [d]."""

    kind: ClassVar[str] = "shift"
    scale: float
    shift: np.ndarray


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


Stage = Any  # Shift, or any of the above and of the aligners' own stages with `kind` and `apply(rows, start)`


def run(block: np.ndarray, stages: Sequence[Stage], start: int, out: np.ndarray) -> int:
    """Write the unit rows of `block` [k, d] after all stages to `out`; returns the first bad row of the block, or
    -1.
    """
    stages, dim = list(stages), block.shape[1]
    while True:
        fused = []
        while stages and isinstance(stages[0], Shift):
            fused.append(stages.pop(0))
        scales = np.array([stage.scale for stage in fused], dtype=np.float64)
        shifts = np.array([stage.shift for stage in fused], dtype=np.float64).reshape(-1, dim)
        last = not stages
        rows = out if last else np.empty(block.shape)
        bad = unit_rows(raw_view(block), scales, shifts, rows.view(np.uint16) if rows.dtype == np.float16 else rows)
        if bad >= 0 or last:
            return bad
        block = stages.pop(0).apply(rows, start)


def pack(stages: Sequence[Stage], prefix: str) -> tuple[list[dict[str, Any]], dict[str, np.ndarray]]:
    """Stages as JSON values and named arrays."""
    table: list[dict[str, Any]] = []
    arrays: dict[str, np.ndarray] = {}
    for index, stage in enumerate(stages):
        values = {field.name: getattr(stage, field.name) for field in fields(stage)}
        named = {key: value for key, value in values.items() if isinstance(value, np.ndarray)}
        arrays |= {f"{prefix}.{index}.{key}": np.ascontiguousarray(value) for key, value in named.items()}
        table.append({"kind": stage.kind} | {key: value for key, value in values.items() if key not in named})
    return table, arrays


def unpack(
    table: list[dict[str, Any]], arrays: dict[str, np.ndarray], prefix: str, kinds: Mapping[str, type]
) -> list[Stage]:
    """The stages that `pack` described; `kinds` maps a kind to its class."""
    stages = []
    for index, values in enumerate(table):
        start = f"{prefix}.{index}."
        own = {key.removeprefix(start): value for key, value in arrays.items() if key.startswith(start)}
        plain = {key: value for key, value in values.items() if key != "kind"}
        stages.append(kinds[values["kind"]](**plain, **own))
    return stages
