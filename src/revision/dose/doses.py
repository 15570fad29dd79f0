"""Doses: text embeddings that differ from the images in one respect by a known amount, and in nothing else.

Texts have the mean mu_y and images the mean mu_x. Every dose except that of the gap moves the texts' mean to mu_x, so
that a dose without effect (trace 1, rotation 0, residual 0) is the gap dose 0. Rows are not normalised afterwards, as
the projector does not need unit length: normalising would mix the doses. Moments are in float64.
"""

import numpy as np

from revision.embeddings.moments import Moments
from revision.embeddings.rows import Array, same_shape


def gap_dose(text: Array, target_mean: Array, k: float) -> Array:
    """Set the distance of the centroids to `k` times what it was; content, trace and spectrum are kept.

    Parameters
    ----------
    text : ndarray of shape (n, d)
        Text embeddings.
    target_mean : ndarray of shape (d,)
        Mean of the images, mu_x.
    k : float
        0 moves the mean of the texts to mu_x, 1 leaves the texts as they are.

    Returns
    -------
    ndarray of shape (n, d)
        `mu_x + k (mu_y - mu_x) + (y - mu_y)`, float32.
    """
    mean, centred = _centred(text)
    return _rows(target_mean + k * (mean - target_mean), centred)


def trace_dose(text: Array, target_mean: Array, r: float) -> Array:
    """Multiply the trace of the texts' covariance by `r`; directions and the shape of the spectrum are kept.

    Parameters
    ----------
    text : ndarray of shape (n, d)
        Text embeddings.
    target_mean : ndarray of shape (d,)
        Mean of the images, mu_x, which becomes that of the texts.
    r : float
        Factor of the trace. ReAlign's second step is `r = T_x / T_y`.

    Returns
    -------
    ndarray of shape (n, d)
        `mu_x + sqrt(r) (y - mu_y)`, float32.
    """
    return _rows(target_mean, np.sqrt(r) * _centred(text)[1])


def rotation_dose(text: Array, target_mean: Array, degrees: float, seed: int = 0) -> Array:
    """Turn every centred row by the same angle; distances and angles among texts, trace and spectrum are kept.

    The rotation is exp(theta A) with a random skew-symmetric A that turns d/2 random orthogonal planes equally. As
    A^2 = -I, this is `cos(theta) I + sin(theta) A`, which turns every vector by exactly theta. If d is odd, one random
    direction stays fixed.

    Parameters
    ----------
    text : ndarray of shape (n, d)
        Text embeddings.
    target_mean : ndarray of shape (d,)
        Mean of the images, mu_x, which becomes that of the texts.
    degrees : float
        The angle theta.
    seed : int, default=0
        Seed of the planes.

    Returns
    -------
    ndarray of shape (n, d)
        `mu_x + exp(theta A) (y - mu_y)`, float32.
    """
    centred, theta = _centred(text)[1], np.deg2rad(degrees)
    dim = centred.shape[1]
    basis, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((dim, dim)))
    first, second = basis[:, 0 : dim - 1 : 2], basis[:, 1:dim:2]
    planes = first @ first.T + second @ second.T
    rotation = np.eye(dim) + (np.cos(theta) - 1) * planes + np.sin(theta) * (second @ first.T - first @ second.T)
    return _rows(target_mean, centred @ rotation.T)


def residual_dose(text: Array, target_mean: Array, covariance: Array, s: float, seed: int = 0) -> Array:
    """Add Gaussian noise with the covariance of the paired residual; what is left of the content becomes less certain.

    Parameters
    ----------
    text : ndarray of shape (n, d)
        Text embeddings.
    target_mean : ndarray of shape (d,)
        Mean of the images, mu_x, which becomes that of the texts, up to the mean of the noise.
    covariance : ndarray of shape (d, d)
        Covariance C of the paired residual (`residual_covariance`).
    s : float
        Standard deviation of the noise, in those of the residual: its covariance is `s^2 C`.
    seed : int, default=0
        Seed of the noise.

    Returns
    -------
    ndarray of shape (n, d)
        `mu_x + (y - mu_y) + s C^(1/2) g` with standard normal g, float32.
    """
    centred = _centred(text)[1]
    values, vectors = np.linalg.eigh(covariance)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    noise = np.random.default_rng(seed).standard_normal(centred.shape) @ root
    return _rows(target_mean, centred + s * noise)


def residual_covariance(image: Array, text: Array) -> Array:
    """Compute the covariance of the paired residual, image minus text minus their mean difference.

    Parameters
    ----------
    image, text : ndarray of shape (n, d)
        Embeddings of pairs.

    Returns
    -------
    ndarray of shape (d, d)
        Population covariance, float64.

    Raises
    ------
    DataError
        If the shapes differ.
    """
    same_shape(image, text)
    return Moments.of(np.asarray(image, dtype=np.float64) - text, covariance=True).covariance


def _centred(text: Array) -> tuple[Array, Array]:
    """Return the mean and the centred rows in float64."""
    rows = np.asarray(text, dtype=np.float64)
    mean = rows.mean(axis=0)
    return mean, rows - mean


def _rows(mean: Array, centred: Array) -> Array:
    """Return rows with this mean as float32."""
    return (mean + centred).astype(np.float32)
