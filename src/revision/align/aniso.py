"""AnisoAlign (arXiv:2605.07825): bounded correction of radius and phase inside the dominant subspace.

The paper fixes a dominant subspace, writes rows there in blockwise polar form, learns a periodic prior of the phases
on the target modality alone, and moves source rows towards it by a bounded amount. It trains networks for the last
two steps; this file keeps the four ideas and solves them in closed form. Choices made here, each of which the paper
leaves open or does otherwise:

1. Start: ReAlign's anchor and trace steps. 2. Subspace: top eigenvectors of Cov(target) + Cov(started source) with
`energy` of the trace, an even number of them. 3. Blocks: planes of two consecutive eigenvectors, origin at the
target's mean. 4. Prior: the Fejér-smoothed Fourier series of the phase density with `harmonics` terms (never
negative), one a plane. 5. Correction of the phase: the optimal transport on the circle from the source's density to
the target's, cut to +-`max_angle` radians. 6. Correction of the radius: the ratio of both modalities' RMS radii, cut
to [1 / `max_gain`, `max_gain`]. 7. The complement stays. 8. Unit length, then the centroid step.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from revision.align.base import Engine
from revision.align.blockwise import centroid_step
from revision.align.covariance import frame
from revision.align.realign import ReAlign
from revision.align.transforms import Transform
from revision.embeddings.moments import Rows
from revision.errors import ConfigError

GRID = 128


@dataclass(frozen=True)
class Polar:
    """Turns and scales the [k, 2p] coordinates (e - centre) @ basis, plane by plane.

    `basis` [d, 2p], `centre` [d], `gains` [p], `turns` [p, GRID + 1]: angle added at GRID + 1 phases from -pi to pi.
    """

    kind: ClassVar[str] = "polar"
    basis: np.ndarray
    centre: np.ndarray
    gains: np.ndarray
    turns: np.ndarray

    def apply(self, rows: np.ndarray, start: int) -> np.ndarray:
        planes = to_planes(rows, self.basis, self.centre)
        position = (np.angle(planes) + np.pi) * (self.turns.shape[1] - 1) / (2 * np.pi)
        low = np.minimum(position.astype(np.int64), self.turns.shape[1] - 2)
        index = np.arange(planes.shape[1])
        step = position - low
        turn = (1 - step) * self.turns[index, low] + step * self.turns[index, low + 1]
        change = planes * (self.gains * np.exp(1j * turn) - 1)
        return rows + change.view(np.float64) @ self.basis.T


def to_planes(rows: np.ndarray, basis: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Rows as complex numbers [k, p], one a plane of two consecutive columns of `basis` [d, 2p]."""
    return np.ascontiguousarray((rows - centre) @ basis).view(np.complex128)


def phase_density_integral(moments: np.ndarray) -> np.ndarray:
    """Distribution function [p, GRID + 1] on the phases -pi .. pi of the Fejér-smoothed density with E[exp(i h
    phase)] [p, H].
    """
    orders = np.arange(1, moments.shape[1] + 1)
    phases = np.linspace(-np.pi, np.pi, GRID + 1)
    weights = (1 - orders / (len(orders) + 1)) * np.conj(moments)
    waves = (np.exp(1j * np.outer(orders, phases)) - np.exp(-1j * np.pi * orders)[:, None]) / (1j * orders[:, None])
    return (phases + np.pi) / (2 * np.pi) + (weights @ waves).real / np.pi


def circular_transport(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Angle to add at the grid's phases so that the source's distribution function [GRID + 1] becomes the target's.

    The monotone map with the cut that costs least in the mean squared angle (Delon, Salomon and Sobolevski 2010).
    """
    phases = np.linspace(-np.pi, np.pi, GRID + 1)
    levels = np.concatenate([target[:-1] - 1, target[:-1], target + 1])
    angles = np.concatenate([phases[:-1] - 2 * np.pi, phases[:-1], phases + 2 * np.pi])
    mass = np.diff(source)
    turns = [np.interp(source + cut, levels, angles) - phases for cut in np.linspace(-0.5, 0.5, GRID + 1)]
    return min(turns, key=lambda turn: float(mass @ ((turn[:-1] + turn[1:]) / 2) ** 2))


class AnisoAlign(ReAlign):
    """AnisoAlign in closed form; the module's docstring states every choice. Unpaired."""

    name = "aniso_align"
    steps = 2

    def __init__(
        self,
        energy: float = 0.9,
        harmonics: int = 4,
        max_angle: float = 0.5,
        max_gain: float = 2.0,
        epsilon: float = 1e-12,
    ) -> None:
        self.energy = energy
        self.harmonics = harmonics
        self.max_angle = max_angle
        self.max_gain = max_gain
        self.epsilon = epsilon

    def _fit(self, source: Rows, target: Rows, engine: Engine) -> list[Transform]:
        if self.harmonics < 1 or not 0 <= self.max_angle <= np.pi or not self.max_gain >= 1:
            raise ConfigError(f"{self.name}: needs harmonics >= 1, max_angle in [0, pi] and max_gain >= 1")
        if source.dim < 2:
            raise ConfigError(f"{self.name}: needs a dimension of at least 2")
        start: list[Transform] = [self._affine(source, target, engine)]
        of_target = engine.moments(target, covariance=True)
        started = engine.moments(source, transforms=start, covariance=True)
        vectors, rank = frame(of_target.covariance + started.covariance, self.energy)
        self.planes_ = min((rank + 1) // 2, source.dim // 2)
        basis = np.ascontiguousarray(vectors[:, : 2 * self.planes_])
        target_square, source_square = (
            self._plane_squares(found.covariance, found.mean - of_target.mean, basis) for found in (of_target, started)
        )
        gains = np.sqrt(target_square / np.maximum(source_square, np.finfo(np.float64).tiny))
        distributions = [
            phase_density_integral(self._phase_moments(rows, transforms, basis, of_target.mean, engine))
            for rows, transforms in ((source, start), (target, []))
        ]
        turns = np.array([circular_transport(*pair) for pair in zip(*distributions, strict=True)])
        turns = np.clip(turns, -self.max_angle, self.max_angle)
        gains = np.clip(gains, 1 / self.max_gain, self.max_gain)
        transforms = [*start, Polar(basis, of_target.mean, gains, turns)]
        return transforms + centroid_step(source, of_target.mean, transforms, engine)

    @staticmethod
    def _plane_squares(covariance: np.ndarray, offset: np.ndarray, basis: np.ndarray) -> np.ndarray:
        squares = np.einsum("ij,ik,kj->j", basis, covariance, basis, optimize=True) + (offset @ basis) ** 2
        return squares.reshape(-1, 2).sum(axis=1)

    def _phase_moments(
        self, rows: Rows, transforms: list[Transform], basis: np.ndarray, centre: np.ndarray, engine: Engine
    ) -> np.ndarray:
        total = np.zeros((basis.shape[1] // 2, self.harmonics), np.complex128)
        for block in engine.transformed(rows, transforms, "float64"):
            turns = np.exp(1j * np.angle(to_planes(block, basis, centre)))
            wave = np.ones_like(turns)
            for order in range(self.harmonics):
                wave = wave * turns
                total[:, order] += wave.sum(axis=0)
        return total / rows.count
