"""Each dose changes what it claims to, by the amount it claims, and keeps the rest."""

import numpy as np
import pytest

from revision.dose.doses import gap_dose, residual_covariance, residual_dose, rotation_dose, trace_dose
from revision.errors import DataError

DIM = 12
RNG = np.random.default_rng(0)
TEXT = (RNG.standard_normal((4000, DIM)) * np.linspace(0.2, 1, DIM) + RNG.standard_normal(DIM)).astype(np.float32)
IMAGE = TEXT @ RNG.standard_normal((DIM, DIM)) / DIM + 0.5
MU_X = IMAGE.mean(axis=0, dtype=np.float64)
MU_Y = TEXT.astype(np.float64).mean(axis=0)


def covariance(rows):
    return np.cov(rows.T, bias=True)


@pytest.mark.parametrize("k", [0, 0.5, 1, 8])
def test_gap_dose_scales_the_distance_of_the_means_and_keeps_the_content(k):
    rows = gap_dose(TEXT, MU_X, k)
    np.testing.assert_allclose(rows.mean(axis=0, dtype=np.float64) - MU_X, k * (MU_Y - MU_X), atol=1e-5)
    np.testing.assert_allclose(rows - rows.mean(axis=0, dtype=np.float64), TEXT - MU_Y, atol=1e-5)


def test_gap_dose_1_is_the_text_itself():
    np.testing.assert_allclose(gap_dose(TEXT, MU_X, 1), TEXT, atol=1e-6)


@pytest.mark.parametrize("r", [0.25, 1, 4])
def test_trace_dose_multiplies_the_covariance(r):
    rows = trace_dose(TEXT, MU_X, r)
    np.testing.assert_allclose(rows.mean(axis=0, dtype=np.float64), MU_X, atol=1e-5)
    np.testing.assert_allclose(covariance(rows), r * covariance(TEXT), atol=1e-4)


@pytest.mark.parametrize("degrees", [0, 15, 60, 90])
def test_rotation_dose_turns_every_row_by_the_angle_and_keeps_all_distances(degrees):
    rows = rotation_dose(TEXT, MU_X, degrees).astype(np.float64) - MU_X
    centred = TEXT - MU_Y
    norms = np.linalg.norm(centred, axis=1)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), norms, rtol=1e-5)
    cosines = np.einsum("nd,nd->n", rows, centred) / norms**2
    np.testing.assert_allclose(cosines, np.cos(np.deg2rad(degrees)), atol=1e-5)
    np.testing.assert_allclose(rows[:50] @ rows[:50].T, centred[:50] @ centred[:50].T, atol=1e-4)


def test_rotation_in_an_odd_dimension_keeps_one_direction():
    rows = rotation_dose(TEXT[:, :3], MU_X[:3], 90) - MU_X[:3]
    centred = TEXT[:, :3] - MU_Y[:3]
    rotation = np.linalg.lstsq(centred, rows, rcond=None)[0]
    np.testing.assert_allclose(np.sort_complex(np.linalg.eigvals(rotation)), [-1j, 1j, 1], atol=1e-4)


def test_residual_dose_adds_the_covariance_of_the_residual():
    residual = residual_covariance(IMAGE, TEXT)
    np.testing.assert_allclose(residual, covariance(IMAGE - TEXT), rtol=1e-6)
    for s in (0.5, 2):
        rows = residual_dose(TEXT, MU_X, residual, s, seed=1)
        added = rows - trace_dose(TEXT, MU_X, 1)
        error = np.linalg.norm(covariance(added) - s**2 * residual) / np.linalg.norm(s**2 * residual)
        assert error < 0.1  # 4000 draws
    with pytest.raises(DataError, match="pairs"):
        residual_covariance(IMAGE[:-1], TEXT)


def test_doses_without_effect_are_the_same_rows():
    shifted = gap_dose(TEXT, MU_X, 0)
    residual = residual_covariance(IMAGE, TEXT)
    for rows in (trace_dose(TEXT, MU_X, 1), rotation_dose(TEXT, MU_X, 0), residual_dose(TEXT, MU_X, residual, 0)):
        assert rows.dtype == np.float32 and np.array_equal(rows, shifted)
