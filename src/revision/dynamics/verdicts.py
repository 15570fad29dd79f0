"""Verdicts on the four claims of figure 1, each a test that was written down before any result was seen.

The paper prints curves and no numbers, so the thresholds below are this project's reading of its words. They are never
loosened afterwards. A part holds if its whole 95% interval over seeds lies on the stated side of its threshold, fails
if the whole interval lies on the other side, and is inconclusive otherwise, so with one seed always.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from revision.errors import DataError
from revision.stats.intervals import Interval, over_seeds

SUPPORTED, CONTRADICTED, INCONCLUSIVE = "supported", "contradicted", "inconclusive"


@dataclass(frozen=True)
class Part:
    """One number of a summary (see `revision.dynamics.summary`) and the side of `threshold` the claim puts it on."""

    metric: str
    side: str
    threshold: float
    criterion: str

    def verdict(self, found: Interval) -> str:
        """Supported, contradicted or inconclusive for the mean and interval of the metric over seeds."""
        if not np.isfinite([found.low, found.high]).all():
            return INCONCLUSIVE
        if self.side == "below":
            good, bad = found.high < self.threshold, found.low > self.threshold
        else:
            good, bad = found.low > self.threshold, found.high < self.threshold
        return SUPPORTED if good else CONTRADICTED if bad else INCONCLUSIVE


@dataclass(frozen=True)
class Claim:
    """A claim of figure 1: the panel, the paper's statement and the parts that must all hold."""

    panel: str
    statement: str
    parts: tuple[Part, ...]


CLAIMS = (
    Claim(
        "a",
        "late gradient leakage into V is low and tracks the baseline sin theta(U_t, U)",
        (
            Part(
                "leak_over_isotropic", "below", 0.5,
                "low: late mean of leak_ref is less than half of sqrt(q / d), which gradients without direction give",
            ),
            Part(
                "leak_baseline_distance", "below", 0.1,
                "tracks, in level: late mean of |leak_ref - sin theta| is less than 0.1",
            ),
            Part(
                "leak_baseline_correlation", "above", 0.5,
                "tracks, in time: correlation of leak_ref and sin theta over the observations after t0 exceeds 0.5",
            ),
        ),
    ),
    Claim(
        "b",
        "gamma(t) keeps an adjacent-step cosine near 1 while its relative drift from gamma(t0) grows slowly",
        (
            Part("gamma_cosine", "above", 0.95, "near 1: mean adjacent-step cosine after t0 exceeds 0.95"),
            Part("gamma_drift_end", "below", 0.5, "slowly: relative drift at the last step is less than 0.5"),
        ),
    ),
    Claim(
        "c",
        "effective condition number of the U residual stays high; the correlation of its eigenvalue profile with that"
        " of the gradient covariance rises early and stays high",
        (
            Part(
                "delta_condition_ratio", "above", 3.0,
                "high: effective condition number of the late mean of Cov(delta) is more than 3 times that of an"
                " isotropic sample of the same size",
            ),
            Part(
                "delta_condition_ratio_min", "above", 3.0,
                "stays: so is the smallest one of a single late observation",
            ),
            Part("rho_eig_early", "above", 0.8, "rises early: mean rho_eig before the late window exceeds 0.8"),
            Part("rho_eig", "above", 0.8, "stays high: late mean of rho_eig exceeds 0.8"),
            Part(
                "rho_eig_over_chance", "above", 0.0,
                "says something: late mean of rho_eig exceeds what sorting alone gives, the correlation with the"
                " eigenvalues of isotropic gradients",
            ),
        ),
    ),
    Claim(
        "d",
        "V residual condition number above the isotropic baseline; the angle between gamma and the leading V direction"
        " stays near 90 degrees",
        (
            Part(
                "zeta_condition_ratio", "above", 1.0,
                "above: effective condition number of the late mean of Cov(zeta) exceeds that of an isotropic sample"
                " of the same size",
            ),
            Part("gamma_angle", "above", 80.0, "near 90 degrees: late mean angle exceeds 80 degrees"),
        ),
    ),
)  # fmt: skip


def verdicts(summaries: Sequence[Mapping[str, float]], claims: Sequence[Claim] = CLAIMS) -> pd.DataFrame:
    """One row a part: panel, statement, criterion, value with its 95% interval over seeds, verdict.

    `summaries` holds one mapping of metrics a seed. `claim_verdict` is supported if all parts are, contradicted if one
    is, inconclusive otherwise. Raises DataError for a metric that a summary lacks.
    """
    rows = []
    for claim in claims:
        parts = []
        for part in claim.parts:
            missing = [index for index, summary in enumerate(summaries) if part.metric not in summary]
            if missing:
                raise DataError(f"summary {missing[0]}: no metric {part.metric!r}; run `revision dynamics` again")
            found = over_seeds(np.array([summary[part.metric] for summary in summaries]))
            parts.append((part, found, part.verdict(found)))
        outcomes = [outcome for _, _, outcome in parts]
        whole = (
            CONTRADICTED if CONTRADICTED in outcomes
            else SUPPORTED if all(outcome == SUPPORTED for outcome in outcomes)
            else INCONCLUSIVE
        )  # fmt: skip
        rows += [
            {
                "claim": f"figure_1{claim.panel}", "statement": claim.statement, "claim_verdict": whole,
                "metric": part.metric, "criterion": part.criterion, "threshold": part.threshold,
                "value": found.value, "low": found.low, "high": found.high, "seeds": len(summaries),
                "verdict": outcome,
            }
            for part, found, outcome in parts
        ]  # fmt: skip
    return pd.DataFrame(rows)
