"""Figure 1: the gap during contrastive training in a fixed frame, from the files of `revision dynamics`."""

import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from figure_inputs import arguments
from matplotlib.axes import Axes
from style import describe, run, save, save_table

from revision.geometry.spectrum import EFFECTIVE_ENERGY
from revision.stats.intervals import over_seeds

ORANGE, BLUE, GREEN, RED, PURPLE = "#E69F00", "#0072B2", "#009E73", "#D55E00", "#CC79A7"
# Panel, metric, label, colour, line style, whether on the right axis.
CURVES = (
    ("a", "leak_ref", "gradient leakage into V", BLUE, "-", False),
    ("a", "sin_theta", r"baseline $\sin\theta(U_t, U)$", ORANGE, "-", False),
    ("a", "sin_theta_rms", r"baseline, root mean square over angles", ORANGE, "--", False),
    ("b", "gamma_cosine", r"adjacent cosine of $\gamma$", GREEN, "-", False),
    ("b", "gamma_drift", r"drift of $\gamma$ from $t_0$", RED, "-", False),
    ("c", "delta_condition", r"condition number of Cov($\delta$)", BLUE, "-", False),
    ("c", "rho_eig", r"$\rho_{eig}$ with gradients (right)", RED, "-", True),
    ("c", "rho_eig_chance", r"$\rho_{eig}$ with isotropic gradients (right)", RED, ":", True),
    ("c", "rho_diagonal", "correlation of the diagonals (right)", PURPLE, "--", True),
    ("d", "zeta_condition", r"condition number of Cov($\zeta$)", BLUE, "-", False),
    ("d", "zeta_kappa", r"concentration $\kappa$ of $\zeta$ directions", GREEN, "-", False),
    ("d", "gamma_angle", r"angle of $\gamma$ and leading V direction (right)", RED, "-", True),
)
ISOTROPIC = {"a": "leak_isotropic", "c": "delta_condition_isotropic", "d": "zeta_condition_isotropic"}
TITLES = {"a": "gradient leakage into V", "b": r"stability of $\gamma$", "c": "residual in U", "d": "residual in V"}


def read(manifests: list[Path], series: list[Path], summaries: list[Path]) -> tuple[pd.DataFrame, list[dict], dict]:
    """Tidy series (seed, step, metric, value), the summaries of the runs and the settings of the first run."""
    runs, values = (
        [json.loads(path.read_text(encoding="utf-8")) for path in paths] for paths in (manifests, summaries)
    )
    tables = []
    for manifest, path in zip(runs, series, strict=True):
        table = pd.read_csv(path).melt(id_vars="step", var_name="metric").dropna()
        tables.append(table.assign(seed=manifest["seed"])[["seed", "step", "metric", "value"]])
    return pd.concat(tables, ignore_index=True), values, runs[0]["settings"]


def curve(axes: Axes, table: pd.DataFrame, metric: str, **style: str) -> None:
    """Plot the mean over seeds with its 95% band."""
    steps = table[table.metric == metric].groupby("step").value
    means = pd.DataFrame({step: over_seeds(part.to_numpy()).ends() for step, part in steps}).T
    axes.plot(means.index, means.value, **style)
    axes.fill_between(means.index, means.low, means.high, color=style["color"], alpha=0.18, lw=0)


def summarise(summaries: list[dict]) -> pd.DataFrame:
    """One row per metric: mean over the seeds' summaries with its 95% interval."""
    rows = []
    for metric, values in pd.DataFrame(summaries).items():
        rows.append({"metric": metric, **over_seeds(values.to_numpy(dtype=float)).ends(), "seeds": len(values)})
    return pd.DataFrame(rows)


def draw(table: pd.DataFrame, summaries: list[dict], settings: dict, path: Path) -> None:
    """Draw the four panels: the late window shaded, t0 dotted, isotropic levels dashed in grey."""
    figure, grid = plt.subplots(2, 2, figsize=(8.6, 6.0), sharex=True)
    for panel, axes in zip("abcd", grid.flat, strict=True):
        curves = [row[1:] for row in CURVES if row[0] == panel]
        right = axes.twinx() if any(on_right for *_, on_right in curves) else None
        for metric, label, colour, line, on_right in curves:
            curve(right if on_right else axes, table, metric, color=colour, linestyle=line, label=label)
        if panel in ISOTROPIC:
            level = over_seeds(np.array([summary[ISOTROPIC[panel]] for summary in summaries])).value
            axes.axhline(level, color="grey", linestyle="--", linewidth=1, label="isotropic")
        axes.axvline(summaries[0]["frozen_at"], color="black", linestyle=":", linewidth=1)
        axes.axvspan(settings["monitor"]["late_from"], settings["encoder"]["steps"], color="grey", alpha=0.1, lw=0)
        axes.set_title(f"({panel}) {TITLES[panel]}", fontsize=9)
        if panel in "ab":
            axes.set_ylim(-0.03, 1.08)
        else:
            axes.set_yscale("log")
            axes.set_ylim(bottom=1 if panel == "c" else 0.2, top=axes.get_ylim()[1] * 1.3)
            axes.set_ylabel("effective condition number" + (r"; $\kappa$" if panel == "d" else ""))
        if right is not None:
            right.spines["right"].set_visible(True)
            right.grid(False)
            right.set_ylim(*((0, 95) if panel == "d" else (-0.05, 1.05)))
            right.set_ylabel("degrees" if panel == "d" else "correlation")
        handles = [line for side in (axes, right) if side for line in side.get_legend_handles_labels()[0]]
        below = -0.08 if panel in "ab" else -0.17
        axes.legend(handles=handles, fontsize=7, loc="upper center", bbox_to_anchor=(0.5, below), ncols=2)
        if panel in "cd":
            axes.set_xlabel("training step")
    save(figure, path)


def main() -> None:
    """Measure, draw and describe."""
    files = {"type": Path, "nargs": "+", "help": "files of `revision dynamics`, one per seed"}
    options = arguments(__doc__, "summary", manifests=files, series=files, summaries=files)
    (out,) = options.out
    table, summaries, settings = read(options.manifests, options.series, options.summaries)
    mean = pd.DataFrame(summaries).mean().to_dict()
    save_table(table, out)
    save_table(summarise(summaries), options.summary)
    draw(table, summaries, settings, out)
    describe(
        out,
        {
            "encoder": settings["encoder"],
            "monitor": settings["monitor"],
            "world": "world" in settings,
            "seeds": len(summaries),
            "frozen_at": summaries[0]["frozen_at"],
            "ranks": sorted({summary["rank"] for summary in summaries}),
            "energy": EFFECTIVE_ENERGY,
            "mean": mean,
        },
        [
            (label, None, mean[metric])
            for metric, label in (
                ("leak", "gradient leakage into V, late"),
                ("sin_theta", "sine of the largest principal angle of U_t and U, late"),
                ("sin_theta_rms", "root mean square sine of the principal angles, late"),
                ("leak_bound", "bound of appendix C on the leakage (at most 1 by definition)"),
                ("gamma_cosine", "cosine between gamma at adjacent steps, mean after t0"),
                ("gamma_drift_end", "relative drift of gamma at the end"),
                ("delta_condition", "condition number of Cov(delta), late"),
                ("rho_eig", "correlation of the spectra of residual and gradients in U, late"),
                ("zeta_condition", "condition number of Cov(zeta), late"),
                (
                    "zeta_pooled_extra",
                    "fraction that pooling the late window adds to the trace of Cov(zeta) (lemma B.9)",
                ),
                ("zeta_kappa", "concentration kappa of the directions of zeta"),
                ("zeta_kappa_chance", "the same for random directions"),
                ("gamma_angle", "angle between gamma and the leading direction in V, late, degrees"),
                ("coupling_norm", "norm of the linear map from delta to zeta"),
                ("coupling_r_squared_held", "R^2 of that map on held-out pairs"),
            )
        ],
    )


if __name__ == "__main__":
    run(main)
