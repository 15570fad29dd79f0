"""Metrics of one observation of training in the fixed frame (section 3, appendices A to C, figure 1)."""

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
    """Compute the gradients of InfoNCE with respect to embeddings as free variables.

    The gradient of a row is a linear combination of the rows of the other modality (lemma B.6).

    Parameters
    ----------
    images, texts : Tensor of shape (n, d)
        Unit rows of a batch of pairs.
    scale : Tensor or float
        Inverse temperature.

    Returns
    -------
    image_gradients, text_gradients : ndarray of shape (n, d), float64
        Gradients.
    loss : float
        InfoNCE.
    """
    x, y = (part.detach().clone().requires_grad_() for part in (images, texts))
    scale = scale.detach() if isinstance(scale, Tensor) else scale
    loss = contrastive_loss(x, y, scale)
    loss.backward()
    gradients = [row.grad.double().cpu().numpy() for row in (x, y) if row.grad is not None]
    return gradients[0], gradients[1], loss.item()


def covariance(rows: Array) -> Array:
    """Return the population covariance (d, d) of rows (n, d)."""
    centred = rows - rows.mean(axis=0)
    return centred.T @ centred / len(rows)


def pooled_extra(means: Array) -> Array:
    """Compute the covariance that pooling rows of several steps adds to the mean covariance of the steps (lemma B.9).

    Parameters
    ----------
    means : ndarray of shape (steps, d)
        Means of the steps, each over the same number of rows.

    Returns
    -------
    ndarray of shape (d, d)
        Covariance of the means.
    """
    return covariance(np.asarray(means, dtype=np.float64))


def mean_resultant(concentration: float, dimension: int) -> float:
    """Length of the mean of unit vectors with a von Mises-Fisher distribution, I_{d/2}(kappa) / I_{d/2 - 1}(kappa).

    Parameters
    ----------
    concentration : float
        kappa >= 0.
    dimension : int
        d.

    Returns
    -------
    float
        In [0, 1).
    """
    # Gauss' continued fraction, evaluated from its tail. The Bessel functions of scipy.stats.vonmises_fisher.fit
    # underflow at d >= 512, where it returns a kappa of 1e-8.
    ratio = 0.0
    for order in range(int(concentration) + dimension + ITERATIONS, -1, -1):
        ratio = concentration / (dimension + 2 * order + concentration * ratio)
    return ratio


def directional_concentration(rows: Array) -> float:
    """Maximum-likelihood concentration kappa of a von Mises-Fisher distribution of directions.

    Parameters
    ----------
    rows : ndarray of shape (n, d)
        Vectors with d >= 2, whose lengths are ignored.

    Returns
    -------
    float
        0 for directions that cancel out; about d / sqrt(n) by chance for uniformly distributed ones.

    Raises
    ------
    DataError
        If a row is zero, or all rows have the same direction.
    """
    lengths = np.linalg.norm(rows, axis=1)
    if not lengths.all():
        raise DataError(f"concentration: row {int(np.argmin(lengths))} is zero and has no direction; remove it")
    resultant, dimension = float(np.linalg.norm((rows / lengths[:, None]).mean(axis=0))), rows.shape[1]
    if resultant > 1 - 1e-9:
        raise DataError("concentration: all rows have the same direction; kappa is infinite")
    # Newton's method from the approximation of Banerjee et al. (2005); R' = 1 - R^2 - (d - 1) R / kappa.
    kappa = resultant * (dimension - resultant**2) / (1 - resultant**2)
    for _ in range(ITERATIONS):
        if kappa < 1e-8:
            break
        ratio = mean_resultant(kappa, dimension)
        step = (ratio - resultant) / (1 - ratio**2 - (dimension - 1) * ratio / kappa)
        # A full step can overshoot below zero for small kappa.
        kappa = max(kappa - step, kappa / 10)
        if abs(step) < 1e-10 * kappa:
            break
    return float(kappa)


def leakage_bound(gradients: Array, frame: Frame, current: Array, coupling: Array) -> tuple[float, float, float]:
    """Bound on the leakage of gradients, sin theta + |L|_2 + rho (lemma B.7, appendix C).

    The paper's remainder of a gradient g is computed as P_V (g - h) - L P_U h with h = P_{U_t} g, and rho is its RMS
    length over that of g. With this definition the bound always holds; it is vacuous where it exceeds 1.

    Parameters
    ----------
    gradients : ndarray of shape (n, d)
        Gradients with respect to embeddings.
    frame : Frame
        The fixed frame.
    current : ndarray of shape (d, r)
        Basis U_t of the principal subspace at this step.
    coupling : ndarray of shape (q, r)
        L.

    Returns
    -------
    sine : float
        sin theta(U_t, U).
    rho : float
        Relative remainder.
    bound : float
        sin theta + |L|_2 + rho.
    """
    inside = (gradients @ current) @ current.T
    remainder = (gradients - inside) @ frame.V - (inside @ frame.U) @ coupling.T
    rho = float(np.sqrt(np.sum(remainder**2) / np.sum(gradients**2)))
    sine = float(principal_sines(current, frame.U)[0])
    return sine, rho, sine + float(np.linalg.norm(coupling, 2)) + rho


@lru_cache
def isotropic_eigenvalues(rows: int, dimension: int) -> tuple[float, ...]:
    """Return descending eigenvalues (dimension,) of the covariance of `rows` standard normal rows, a flat spectrum."""
    sample = np.random.default_rng((rows, dimension)).standard_normal((rows, dimension))
    return tuple(eigenvalues(covariance(sample)).tolist())


def correlation(first: Array, second: Array) -> float:
    """Return the Pearson correlation of two vectors."""
    return float(np.corrcoef(first, second)[0, 1])


@dataclass(frozen=True)
class Observation:
    """Measurements of one step.

    Attributes
    ----------
    metrics : dict of float
        Scalar metrics.
    gamma : ndarray of shape (q,)
        Passive orthogonal bias in coordinates of V.
    delta, gradient : ndarray of shape (r, r)
        Covariances in coordinates of U of delta and of gradients, summed over modalities.
    zeta : ndarray of shape (q, q)
        Covariance of zeta in coordinates of V.
    """

    metrics: dict[str, float]
    gamma: Array
    delta: Array
    zeta: Array
    gradient: Array


def observe(frame: Frame, images: Array, texts: Array, gradients: tuple[Array, Array]) -> Observation:
    """Measure pairs and gradients in the fixed frame (figure 1).

    Parameters
    ----------
    frame : Frame
        The fixed frame.
    images, texts : ndarray of shape (n, d)
        Embeddings of held-out pairs.
    gradients : tuple of ndarray of shape (m, d)
        Gradients with respect to embeddings of images and of texts.

    Returns
    -------
    Observation
        Metrics and covariances.
    """
    parts = decompose(images, texts, frame)
    delta, zeta, gamma = parts.delta @ frame.U, parts.zeta @ frame.V, parts.gamma @ frame.V
    lengths = {name: float(np.sqrt(energy)) for name, energy in parts.energy().items()}
    cov_delta, cov_zeta = covariance(delta), covariance(zeta)
    cov_gradient = covariance(gradients[0] @ frame.U) + covariance(gradients[1] @ frame.U)
    both = np.concatenate(gradients)
    current = fit_frame(images, texts, rank=frame.rank).U
    coupling = ridge_coupling(delta, zeta)
    half = len(delta) // 2
    r_squared_held = explained(ridge_coupling(delta[:half], zeta[:half]).matrix, delta[half:], zeta[half:])
    sine, rho, bound = leakage_bound(both, frame, current, coupling.matrix)
    profile = eigenvalues(cov_delta)
    leading = np.linalg.eigh(cov_zeta)[1][:, -1]
    cosine = min(1.0, abs(float(gamma @ leading)) / float(np.linalg.norm(gamma)))
    metrics = {
        "beta": lengths["beta"],
        "gamma": lengths["gamma"],
        "delta": lengths["delta"],
        "zeta": lengths["zeta"],
        "leak_ref": leakage(both, frame),
        "sin_theta": sine,
        "sin_theta_rms": float(np.sqrt(np.mean(principal_sines(current, frame.U) ** 2))),
        "rho": rho,
        "leak_bound": bound,
        "delta_condition": effective_condition_number(profile),
        "zeta_condition": effective_condition_number(eigenvalues(cov_zeta)),
        "rho_eig": correlation(profile, eigenvalues(cov_gradient)),
        "rho_eig_chance": correlation(profile, np.array(isotropic_eigenvalues(len(both), frame.rank))),
        "rho_diagonal": correlation(np.diag(cov_delta), np.diag(cov_gradient)),
        "gamma_angle": float(np.degrees(np.arccos(cosine))),
        "zeta_kappa": directional_concentration(zeta),
        "coupling_norm": coupling.norm,
        "coupling_r_squared": coupling.r_squared,
        "coupling_r_squared_held": r_squared_held,
    }
    return Observation(metrics, gamma, cov_delta, cov_zeta, cov_gradient)
