"""Summary of an observed training for the claims of figure 1, from the time series and the late window."""

import numpy as np
import pandas as pd
from scipy.special import gammaln

from revision.dynamics.monitor import GapMonitor
from revision.dynamics.observation import correlation, isotropic_eigenvalues, pooled_extra
from revision.embeddings.rows import Array
from revision.errors import DataError
from revision.geometry.spectrum import effective_condition_number, eigenvalues


def condition_ratio(values: Array, rows: int) -> float:
    """Effective condition number relative to that of an isotropic sample.

    Parameters
    ----------
    values : ndarray of shape (d,)
        Eigenvalues of a covariance.
    rows : int
        Number of rows behind the covariance, and of the isotropic sample.

    Returns
    -------
    float
        About 1 for isotropic rows.
    """
    flat = np.array(isotropic_eigenvalues(rows, len(values)))
    return effective_condition_number(values) / effective_condition_number(flat)


def chance_angle(dimension: int) -> float:
    """Angle in degrees between a direction and a random line: that of the expected absolute cosine.

    Parameters
    ----------
    dimension : int
        Dimension q.

    Returns
    -------
    float
        arccos(Gamma(q / 2) / (sqrt(pi) Gamma((q + 1) / 2))), about arccos(sqrt(2 / (pi q))).
    """
    cosine = np.exp(gammaln(dimension / 2) - gammaln((dimension + 1) / 2)) / np.sqrt(np.pi)
    return float(np.degrees(np.arccos(min(cosine, 1.0))))


def summarise(monitor: GapMonitor) -> dict[str, float]:
    """Summarise an observed training.

    Parameters
    ----------
    monitor : GapMonitor
        Monitor after training.

    Returns
    -------
    dict of float
        Metrics; unless their names end in start, end, early or min, they are means over the late window or from its
        covariances.

    Raises
    ------
    DataError
        If there are fewer than two observations in the late window.
    """
    frame, late, settings = monitor.frame, monitor.late, monitor.settings
    if frame is None or late is None or late.count < 2:
        raise DataError(
            f"monitor: {0 if late is None else late.count} observations from step late_from = {settings.late_from} on;"
            " two are needed: observe more often, train longer or lower late_from"
        )
    series = pd.DataFrame(monitor.rows)
    framed = series[series.leak_ref.notna()]
    after, early = framed.iloc[1:], framed[framed.step < settings.late_from]
    end = framed[framed.step >= settings.late_from]
    dimension, rank = len(frame.U), frame.rank
    rest = dimension - rank
    flat_delta = effective_condition_number(np.array(isotropic_eigenvalues(settings.probe, rank)))
    flat_zeta = effective_condition_number(np.array(isotropic_eigenvalues(settings.probe, rest)))
    delta, zeta, gradient = (part / late.count for part in (late.delta, late.zeta, late.gradient))
    isotropic = float(np.sqrt(rest / dimension))
    extra = pooled_extra(np.stack(late.gammas))
    return {
        "dimension": dimension,
        "rank": rank,
        "frozen_at": int(framed.step.iloc[0]),
        "late_observations": late.count,
        "gap_start": float(series.gap.iloc[0]),
        "gap_end": float(series.gap.iloc[-1]),
        "gamma_share_end": float(framed.gamma.iloc[-1] ** 2 / framed.gap.iloc[-1] ** 2),
        "leak": float(end.leak_ref.mean()),
        "leak_isotropic": isotropic,
        "leak_over_isotropic": float(end.leak_ref.mean()) / isotropic,
        "sin_theta": float(end.sin_theta.mean()),
        "sin_theta_rms": float(end.sin_theta_rms.mean()),
        "leak_bound": float(end.leak_bound.mean()),
        "leak_baseline_distance": float((end.leak_ref - end.sin_theta).abs().mean()),
        "leak_baseline_correlation": correlation(after.leak_ref, after.sin_theta),
        "gamma_cosine": float(after.gamma_cosine.mean()),
        "gamma_cosine_min": float(after.gamma_cosine.min()),
        "gamma_drift_end": float(framed.gamma_drift.iloc[-1]),
        "delta_condition": effective_condition_number(eigenvalues(delta)),
        "delta_condition_isotropic": flat_delta,
        "delta_condition_ratio": condition_ratio(eigenvalues(delta), settings.probe),
        "delta_condition_ratio_min": float(end.delta_condition.min()) / flat_delta,
        "rho_eig_early": float(early.rho_eig.mean()),
        "rho_eig": float(end.rho_eig.mean()),
        "rho_eig_over_chance": float((end.rho_eig - end.rho_eig_chance).mean()),
        "rho_eig_of_means": correlation(eigenvalues(delta), eigenvalues(gradient)),
        "rho_diagonal": float(end.rho_diagonal.mean()),
        "zeta_condition": effective_condition_number(eigenvalues(zeta)),
        "zeta_condition_isotropic": flat_zeta,
        "zeta_condition_ratio": condition_ratio(eigenvalues(zeta), settings.probe),
        "zeta_pooled_extra": float(np.trace(extra) / np.trace(zeta)),
        "gamma_angle": float(end.gamma_angle.mean()),
        "gamma_angle_min": float(end.gamma_angle.min()),
        "gamma_angle_chance": chance_angle(rest),
        "gamma_angle_over_chance": float(end.gamma_angle.mean()) - chance_angle(rest),
        "zeta_kappa": float(end.zeta_kappa.mean()),
        "zeta_kappa_chance": rest / float(np.sqrt(settings.probe)),
        "coupling_norm": float(end.coupling_norm.mean()),
        "coupling_r_squared_held": float(end.coupling_r_squared_held.mean()),
    }
