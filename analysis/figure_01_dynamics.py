"""Figure 1: the gap during contrastive training in a fixed frame, from the files of `revision dynamics`."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from figure_inputs import arguments
from matplotlib.axes import Axes
from style import LEVEL, PAGE, describe, plain_log, run, save, save_table

from revision.geometry.spectrum import EFFECTIVE_ENERGY
from revision.stats.intervals import over_seeds


class Panel(NamedTuple):
    """A panel: title, label and possible range of its values, its curves (metric, label), and the isotropic level."""

    title: str
    label: str
    within: tuple[float, float]
    curves: tuple[tuple[str, str], ...]
    isotropic: str | None = None
    log: bool = False


SHAPE = "effective condition number"
PANELS = (
    Panel(
        "(a) gradients in V",
        "fraction; sine",
        (0, 1),
        (
            ("leak_ref", "fraction of gradients in V"),
            ("sin_theta", r"baseline $\sin\theta(U_t, U)$"),
            ("sin_theta_rms", r"RMS of $\sin\theta$ over angles"),
        ),
        "leak_isotropic",
    ),
    Panel(
        r"(b) mean residual $\gamma$ in V",
        "cosine; fraction",
        (0, 1),
        (("gamma_cosine", "cosine to the step before"), ("gamma_drift", r"relative drift from $t_0$")),
    ),
    Panel(
        r"(c) residual $\delta$ in U",
        SHAPE,
        (1, np.inf),
        (("delta_condition", r"Cov($\delta$)"),),
        "delta_condition_isotropic",
        log=True,
    ),
    Panel(
        r"(c) $\delta$ and gradients in U",
        "correlation",
        (-1, 1),
        (
            ("rho_eig", r"spectra, $\rho_{\mathrm{eig}}$"),
            ("rho_eig_chance", r"$\rho_{\mathrm{eig}}$, isotropic gradients"),
            ("rho_diagonal", "diagonals"),
        ),
    ),
    Panel(
        r"(d) residual $\zeta$ in V",
        SHAPE + r"; $\kappa$",
        (0, np.inf),
        (("zeta_condition", r"Cov($\zeta$)"), ("zeta_kappa", r"concentration $\kappa$ of directions")),
        "zeta_condition_isotropic",
        log=True,
    ),
    Panel(
        r"(d) angle of $\gamma$ and $\zeta$",
        "degrees",
        (0, 90),
        (("gamma_angle", r"$\gamma$ to leading direction of $\zeta$"),),
    ),
)
STYLES = (
    {"color": "black"},
    {"color": "#777777", "linestyle": "--"},
    {"color": "#777777", "linestyle": (0, (1, 1))},
)


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


def curve(axes: Axes, table: pd.DataFrame, metric: str, within: tuple[float, float], **style: Any) -> None:
    """Plot the mean over seeds with the part of its 95% band that is within the possible range."""
    steps = table[table.metric == metric].groupby("step").value
    means = pd.DataFrame({step: over_seeds(part.to_numpy()).ends() for step, part in steps}).T
    axes.plot(means.index, means.value, **style)
    axes.fill_between(
        means.index, *means[["low", "high"]].clip(*within).T.to_numpy(), color=style["color"], alpha=0.15, lw=0
    )


def summarise(summaries: list[dict]) -> pd.DataFrame:
    """One row per metric: mean over the seeds' summaries with its 95% interval."""
    rows = []
    for metric, values in pd.DataFrame(summaries).items():
        rows.append({"metric": metric, **over_seeds(values.to_numpy(dtype=float)).ends(), "seeds": len(values)})
    return pd.DataFrame(rows)


def draw(table: pd.DataFrame, summaries: list[dict], settings: dict, path: Path) -> None:
    """Draw the six panels: the late window shaded, t0 dotted, isotropic levels dash-dotted."""
    figure, grid = plt.subplots(2, 3, figsize=(PAGE, 5.0), sharex=True)
    for index, (panel, axes) in enumerate(zip(PANELS, grid.flat, strict=True)):
        for (metric, label), style in zip(panel.curves, STYLES, strict=False):
            curve(axes, table, metric, panel.within, label=label, **style)
        levels = [summary[panel.isotropic] for summary in summaries] if panel.isotropic else []
        if levels:
            level = over_seeds(np.array(levels)).value
            axes.axhline(level, color="#777777", linestyle="-.", label="isotropic")
        axes.axvline(summaries[0]["frozen_at"], **LEVEL)
        axes.axvspan(settings["monitor"]["late_from"], settings["encoder"]["steps"], color="grey", alpha=0.1, lw=0)
        axes.set_title(panel.title)
        axes.set_ylabel(panel.label)
        if panel.log:
            values = [*levels, *table[table.metric.isin([metric for metric, _ in panel.curves])].value]
            axes.set_yscale("log")
            axes.set_ylim(max(panel.within[0], min(values) / 2), max(values) * 2)
            plain_log(axes.yaxis)
        else:
            low, high = panel.within
            axes.set_ylim(low - 0.03 * (high - low), high + 0.03 * (high - low))
        if index > 2:
            axes.set_xlabel("training step")
        axes.legend(loc="upper left", bbox_to_anchor=(-0.05, -0.05 if index < 3 else -0.3))
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
