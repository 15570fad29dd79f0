"""AnisoAlign (arXiv:2605.07825): bounded correction of radius and phase inside the dominant subspace.

The paper fixes a dominant subspace, writes rows there in blockwise polar form, learns a periodic prior of the phases
on the target modality alone, and moves source rows towards it by a bounded amount. It trains networks for the last
two steps; this module keeps the four ideas and solves them in closed form. The following choices are not stated in
the paper or differ from it:

1. Start: the anchor and trace steps of ReAlign.
2. Subspace: the top eigenvectors of Cov(target) + Cov(source after the start) with `energy` of the trace, rounded up
   to an even number of them.
3. Blocks: planes of two consecutive eigenvectors, with the origin at the target's mean.
4. Prior: for each plane, the Fejér-smoothed Fourier series of the phase density with `harmonics` terms. Fejér's
   weights keep it from becoming negative.
5. Phase correction: the optimal transport on the circle from the source's density to the target's, clipped to
   `max_angle` radians in either direction.
6. Radius correction: the ratio of the RMS radii of both modalities, clipped to the range from 1 / `max_gain` to
   `max_gain`.
7. The complement of the subspace is unchanged.
8. Rows are normalised to unit length, and ReAlign's centroid step follows.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from revision.align.blockwise import centroid_step
from revision.align.covariance import frame
from revision.align.engine import Engine
from revision.align.realign import ReAlign
from revision.align.transforms import Transform
from revision.embeddings.moments import Rows
from revision.errors import ConfigError

GRID = 128  # intervals into which phases are divided


@dataclass(frozen=True)
class Polar:
    """Rotate and scale the coordinates `(e - centre) @ basis`, plane by plane.

    Parameters
    ----------
    basis : ndarray of shape (d, 2p)
        Orthonormal columns; two consecutive ones span a plane.
    centre : ndarray of shape (d,)
        Origin of the planes.
    gains : ndarray of shape (p,)
        Factor of the radius in each plane.
    turns : ndarray of shape (p, GRID + 1)
        Angle to add, in radians, at GRID + 1 phases from -pi to pi; linear in between.
    """

    kind: ClassVar[str] = "polar"
    basis: np.ndarray
    centre: np.ndarray
    gains: np.ndarray
    turns: np.ndarray

    def apply(self, rows: np.ndarray, start: int) -> np.ndarray:
        """Transform rows of shape (k, d)."""
        planes = to_planes(rows, self.basis, self.centre)
        position = (np.angle(planes) + np.pi) * (self.turns.shape[1] - 1) / (2 * np.pi)
        low = np.minimum(position.astype(np.int64), self.turns.shape[1] - 2)
        index = np.arange(planes.shape[1])
        fraction = position - low
        turn = (1 - fraction) * self.turns[index, low] + fraction * self.turns[index, low + 1]
        change = planes * (self.gains * np.exp(1j * turn) - 1)
        return rows + change.view(np.float64) @ self.basis.T


def to_planes(rows: np.ndarray, basis: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Express rows as complex coordinates in planes.

    Parameters
    ----------
    rows : ndarray of shape (k, d)
        The rows, float64.
    basis : ndarray of shape (d, 2p)
        Orthonormal columns; two consecutive ones span a plane.
    centre : ndarray of shape (d,)
        Origin of the planes.

    Returns
    -------
    ndarray of shape (k, p)
        Complex coordinates; their angle is the phase in the plane.
    """
    return np.ascontiguousarray((rows - centre) @ basis).view(np.complex128)


def phase_density_integral(moments: np.ndarray) -> np.ndarray:
    """Integrate the Fejér-smoothed density of phases.

    Parameters
    ----------
    moments : ndarray of shape (p, H)
        Trigonometric moments `E[exp(i h phase)]` for h = 1 to H, in each of p planes.

    Returns
    -------
    ndarray of shape (p, GRID + 1)
        Distribution function at GRID + 1 phases from -pi to pi; it rises from 0 to 1.
    """
    orders = np.arange(1, moments.shape[1] + 1)
    phases = np.linspace(-np.pi, np.pi, GRID + 1)
    weights = (1 - orders / (len(orders) + 1)) * np.conj(moments)
    waves = (np.exp(1j * np.outer(orders, phases)) - np.exp(-1j * np.pi * orders)[:, None]) / (1j * orders[:, None])
    return (phases + np.pi) / (2 * np.pi) + (weights @ waves).real / np.pi


def circular_transport(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Compute the optimal transport between two distributions on the circle.

    On a circle, the optimal map is monotone after the circle is cut at some level of the distribution function. The
    cut with the least mean squared angle is found by search over a grid (Delon, Salomon and Sobolevski, 2010).

    Parameters
    ----------
    source, target : ndarray of shape (GRID + 1,)
        Distribution functions at GRID + 1 phases from -pi to pi.

    Returns
    -------
    ndarray of shape (GRID + 1,)
        Angle to add at each phase, in radians.
    """
    phases = np.linspace(-np.pi, np.pi, GRID + 1)
    levels = np.concatenate([target[:-1] - 1, target[:-1], target + 1])
    angles = np.concatenate([phases[:-1] - 2 * np.pi, phases[:-1], phases + 2 * np.pi])
    mass = np.diff(source)
    turns = [np.interp(source + cut, levels, angles) - phases for cut in np.linspace(-0.5, 0.5, GRID + 1)]
    return min(turns, key=lambda turn: float(mass @ ((turn[:-1] + turn[1:]) / 2) ** 2))


class AnisoAlign(ReAlign):
    """AnisoAlign in closed form, fitted on unpaired data; the docstring of the module lists the choices made.

    Parameters
    ----------
    energy : float, default=0.9
        Fraction of the trace that the dominant subspace holds, in (0, 1].
    harmonics : int, default=4
        Terms of the Fourier series of each phase density; at least 1.
    max_angle : float, default=0.5
        Largest phase correction in radians, between 0 and pi.
    max_gain : float, default=2.0
        Largest factor by which a radius is multiplied or divided; at least 1.
    epsilon : float, default=1e-12
        Added to the source's trace, to avoid division by zero.

    Attributes
    ----------
    planes_ : int
        Number of planes p in the dominant subspace.
    source_mean_, target_mean_ : ndarray of shape (d,)
        Means of the normalised rows of each modality.
    source_trace_, target_trace_ : float
        Traces of the covariances of each modality.
    scale_ : float
        The factor of the trace step.

    References
    ----------
    arXiv:2605.07825.
    """

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
        of_started = engine.moments(source, transforms=start, covariance=True)
        vectors, rank = frame(of_target.covariance + of_started.covariance, self.energy)
        self.planes_ = min((rank + 1) // 2, source.dim // 2)
        basis = np.ascontiguousarray(vectors[:, : 2 * self.planes_])
        target_square, source_square = (
            self._plane_squares(moments.covariance, moments.mean - of_target.mean, basis)
            for moments in (of_target, of_started)
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
        """Mean squared radius in each plane, of shape (p,)."""
        squares = np.einsum("ij,ik,kj->j", basis, covariance, basis, optimize=True) + (offset @ basis) ** 2
        return squares.reshape(-1, 2).sum(axis=1)

    def _phase_moments(
        self, rows: Rows, transforms: list[Transform], basis: np.ndarray, centre: np.ndarray, engine: Engine
    ) -> np.ndarray:
        """Trigonometric moments `E[exp(i h phase)]` in each plane, of shape (p, harmonics)."""
        total = np.zeros((basis.shape[1] // 2, self.harmonics), np.complex128)
        for block in engine.transformed(rows, transforms, "float64"):
            phasors = np.exp(1j * np.angle(to_planes(block, basis, centre)))
            wave = np.ones_like(phasors)
            for order in range(self.harmonics):
                wave = wave * phasors
                total[:, order] += wave.sum(axis=0)
        return total / rows.count
