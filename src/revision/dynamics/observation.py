"""One observation of training in the fixed frame: arrays in, numbers out (section 3, appendices A to C, figure 1)."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from torch import Tensor

from revision.contrastive.loop import contrastive_loss
from revision.embeddings.rows import Array
from revision.errors import DataError
from revision.geometry.coupling import explained, ridge_coupling
from revision.geometry.frame import Frame, fit_frame, leakage, principal_sines
from revision.geometry.gap import decompose
from revision.geometry.spectrum import effective_condition_number, eigenvalues

ITERATIONS = 100


def embedding_gradients(images: Tensor, texts: Tensor, scale: Tensor | float) -> tuple[Array, Array, float]:
    """Gradients float64 [n, d] of InfoNCE with respect to the unit rows of images and of texts, and the loss.

    The rows count as free variables: a row's gradient is a combination of the other modality's rows (lemma B.6).
    """
    x, y = (part.detach().clone().requires_grad_() for part in (images, texts))
    scale = scale.detach() if isinstance(scale, Tensor) else scale
    loss = contrastive_loss(x, y, scale)
    loss.backward()
    gradients = [row.grad.double().cpu().numpy() for row in (x, y) if row.grad is not None]
    return gradients[0], gradients[1], loss.item()


def covariance(rows: Array) -> Array:
    """Population covariance [d, d] of rows [n, d]."""
    centred = rows - rows.mean(axis=0)
    return centred.T @ centred / len(rows)


def pooled_extra(means: Array) -> Array:
    """What pooling equally many rows of several steps adds to the mean of the steps' covariances (lemma B.9).

    means [steps, d]; returns the covariance [d, d] of the means over steps.
    """
    return covariance(np.asarray(means, dtype=np.float64))


def mean_resultant(concentration: float, dimension: int) -> float:
    """Length of the mean of unit vectors in R^d under von Mises-Fisher: I_{d/2}(k) / I_{d/2 - 1}(k).

    By Gauss' continued fraction from its tail.
    """
    # Not scipy.stats.vonmises_fisher.fit: its Bessel functions underflow at d >= 512 and it returns 1e-8 there.
    ratio = 0.0
    for order in range(int(concentration) + dimension + ITERATIONS, -1, -1):
        ratio = concentration / (dimension + 2 * order + concentration * ratio)
    return ratio


def directional_concentration(rows: Array) -> float:
    """Maximum-likelihood kappa of a von Mises-Fisher distribution of the directions of rows [n, d], d >= 2.

    0 for directions that cancel out. n directions without preference give about d / sqrt(n) by chance. DataError for a
    zero row, or if all rows have one direction.
    """
    lengths = np.linalg.norm(rows, axis=1)
    if not lengths.all():
        raise DataError(f"concentration: row {int(np.argmin(lengths))} is zero and has no direction; leave it out")
    resultant, dimension = float(np.linalg.norm((rows / lengths[:, None]).mean(axis=0))), rows.shape[1]
    if resultant > 1 - 1e-9:
        raise DataError("concentration: all rows have the same direction; kappa is infinite")
    # Banerjee et al. (2005) as the start of Newton's method; R' = 1 - R^2 - (d - 1) R / k.
    kappa = resultant * (dimension - resultant**2) / (1 - resultant**2)
    for _ in range(ITERATIONS):
        if kappa < 1e-8:
            break
        ratio = mean_resultant(kappa, dimension)
        step = (ratio - resultant) / (1 - ratio**2 - (dimension - 1) * ratio / kappa)
        kappa = max(kappa - step, kappa / 10)
        if abs(step) < 1e-10 * kappa:
            break
    return float(kappa)


def leakage_bound(gradients: Array, frame: Frame, current: Array, coupling: Array) -> tuple[float, float, float]:
    """sin theta, rho and the bound sin theta + |L|_2 + rho on the leakage of gradients [n, d] (lemma B.7, appendix C).

    current [d, r] is the basis U_t re-estimated at this step, coupling [q, r] is L. With h = P_{U_t} g, the paper's
    remainder is taken as P_V (g - h) - L P_U h and rho is its RMS length over that of g; so the bound always holds,
    and says nothing where it exceeds 1.
    """
    inside = (gradients @ current) @ current.T
    rest = (gradients - inside) @ frame.V - (inside @ frame.U) @ coupling.T
    rho = float(np.sqrt(np.sum(rest**2) / np.sum(gradients**2)))
    sine = float(principal_sines(current, frame.U)[0])
    return sine, rho, sine + float(np.linalg.norm(coupling, 2)) + rho


@lru_cache
def isotropic_eigenvalues(rows: int, dimension: int) -> tuple[float, ...]:
    """Descending eigenvalues of the covariance of `rows` standard normal rows: what a flat spectrum looks like."""
    sample = np.random.default_rng((rows, dimension)).standard_normal((rows, dimension))
    return tuple(eigenvalues(covariance(sample)).tolist())


def correlation(first: Array, second: Array) -> float:
    """Pearson correlation of two vectors."""
    return float(np.corrcoef(first, second)[0, 1])


@dataclass(frozen=True)
class Observation:
    """Numbers of one step, gamma [q] in V, and covariances of delta [r, r], zeta [q, q] and gradients in U [r, r]."""

    numbers: dict[str, float]
    gamma: Array
    delta: Array
    zeta: Array
    gradient: Array


def observe(frame: Frame, images: Array, texts: Array, gradients: tuple[Array, Array]) -> Observation:
    """Measure pairs images[i], texts[i], [n, d] each, and gradients [m, d] for images and for texts in `frame`."""
    parts = decompose(images, texts, frame)
    delta, zeta, gamma = parts.delta @ frame.U, parts.zeta @ frame.V, parts.gamma @ frame.V
    energy = {name: float(np.sqrt(value)) for name, value in parts.energy().items()}
    cov_delta, cov_zeta = covariance(delta), covariance(zeta)
    cov_gradient = covariance(gradients[0] @ frame.U) + covariance(gradients[1] @ frame.U)
    both = np.concatenate(gradients)
    current = fit_frame(images, texts, rank=frame.rank).U
    coupling = ridge_coupling(delta, zeta)
    half = len(delta) // 2
    held = explained(ridge_coupling(delta[:half], zeta[:half]).matrix, delta[half:], zeta[half:])
    sine, rho, bound = leakage_bound(both, frame, current, coupling.matrix)
    profile = eigenvalues(cov_delta)
    leading = np.linalg.eigh(cov_zeta)[1][:, -1]
    cosine = min(1.0, abs(float(gamma @ leading)) / float(np.linalg.norm(gamma)))
    numbers = {
        "beta": energy["beta"], "gamma": energy["gamma"], "delta": energy["delta"], "zeta": energy["zeta"],
        "leak_ref": leakage(both, frame), "sin_theta": sine,
        "sin_theta_rms": float(np.sqrt(np.mean(principal_sines(current, frame.U) ** 2))),
        "rho": rho, "leak_bound": bound,
        "delta_condition": effective_condition_number(profile),
        "zeta_condition": effective_condition_number(eigenvalues(cov_zeta)),
        "rho_eig": correlation(profile, eigenvalues(cov_gradient)),
        "rho_eig_chance": correlation(profile, np.array(isotropic_eigenvalues(len(both), frame.rank))),
        "rho_diagonal": correlation(np.diag(cov_delta), np.diag(cov_gradient)),
        "gamma_angle": float(np.degrees(np.arccos(cosine))),
        "zeta_kappa": directional_concentration(zeta),
        "coupling_norm": coupling.norm, "coupling_r_squared": coupling.r_squared, "coupling_r_squared_held": held,
    }  # fmt: skip
    return Observation(numbers, gamma, cov_delta, cov_zeta, cov_gradient)
