"""Figure 1: contrastive training under observation in a fixed frame, and the numbers that its four claims read."""

import json
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from figure_inputs import arguments
from matplotlib.axes import Axes
from style import describe, run, save, save_table

from revision.geometry.spectrum import EFFECTIVE_ENERGY
from revision.stats.intervals import over_seeds

ORANGE, BLUE, GREEN, RED, PURPLE = "#E69F00", "#0072B2", "#009E73", "#D55E00", "#CC79A7"
# Panel, metric, name, colour, dashes, whether on the right axis.
CURVES = (
    ("a", "leak_ref", "leak_ref", BLUE, "-", False),
    ("a", "sin_theta", r"baseline $\sin\theta(U_t, U)$", ORANGE, "-", False),
    ("a", "sin_theta_rms", r"its root mean square angle", ORANGE, "--", False),
    ("b", "gamma_cosine", r"adjacent cosine of $\gamma$", GREEN, "-", False),
    ("b", "gamma_drift", r"drift of $\gamma$ from $t_0$", RED, "-", False),
    ("c", "delta_condition", r"condition number of Cov($\delta$)", BLUE, "-", False),
    ("c", "rho_eig", r"$\rho_{eig}$ with gradients (right)", RED, "-", True),
    ("c", "rho_eig_chance", r"$\rho_{eig}$ by sorting alone (right)", RED, ":", True),
    ("c", "rho_diagonal", "of the diagonals (right)", PURPLE, "--", True),
    ("d", "zeta_condition", r"condition number of Cov($\zeta$)", BLUE, "-", False),
    ("d", "zeta_kappa", r"concentration $\kappa$ of $\zeta$ directions", GREEN, "-", False),
    ("d", "gamma_angle", r"angle of $\gamma$ and leading V direction (right)", RED, "-", True),
)
ISOTROPIC = {"a": "leak_isotropic", "c": "delta_condition_isotropic", "d": "zeta_condition_isotropic"}
TITLES = {"a": "gradient leakage into V", "b": r"stability of $\gamma$", "c": "residual in U", "d": "residual in V"}


def read(manifests: list[Path], series: list[Path], summaries: list[Path]) -> tuple[pd.DataFrame, list[dict], dict]:
    """Tidy series (seed, step, metric, value), the runs' summaries and the settings of the first."""
    facts, numbers = (
        [json.loads(path.read_text(encoding="utf-8")) for path in paths] for paths in (manifests, summaries)
    )
    tables = []
    for fact, path in zip(facts, series, strict=True):
        table = pd.read_csv(path).melt(id_vars="step", var_name="metric").dropna()
        tables.append(table.assign(seed=fact["seed"])[["seed", "step", "metric", "value"]])
    return pd.concat(tables, ignore_index=True), numbers, facts[0]["settings"]


def curve(axes: Axes, table: pd.DataFrame, metric: str, **look: str) -> None:
    """Mean over seeds with its 95% band."""
    found = table[table.metric == metric].groupby("step").value.apply(lambda part: over_seeds(part.to_numpy()))
    axes.plot(found.index, [one.value for one in found], **look)
    axes.fill_between(
        found.index, [one.low for one in found], [one.high for one in found], color=look["color"], alpha=0.18, lw=0
    )


def summarise(summaries: list[dict]) -> pd.DataFrame:
    """One row a metric of the runs' summaries: its mean over seeds with the 95% interval."""
    rows = []
    for metric, values in pd.DataFrame(summaries).items():
        mean = over_seeds(values.to_numpy(dtype=float))
        rows.append({"metric": metric, "value": mean.value, "low": mean.low, "high": mean.high, "seeds": len(values)})
    return pd.DataFrame(rows)


def draw(table: pd.DataFrame, summaries: list[dict], settings: dict, path: Path) -> None:
    """Four panels, the late window shaded, t0 dotted, isotropic levels as grey dashes."""
    figure, grid = plt.subplots(2, 2, figsize=(8.6, 6.0), sharex=True)
    for panel, axes in zip("abcd", grid.flat, strict=True):
        chosen = [one for one in CURVES if one[0] == panel]
        right = axes.twinx() if any(one[5] for one in chosen) else None
        for _, metric, name, colour, dashes, on_right in chosen:
            curve(right if on_right else axes, table, metric, color=colour, linestyle=dashes, label=name)
        if panel in ISOTROPIC:
            level = over_seeds(pd.Series([one[ISOTROPIC[panel]] for one in summaries]).to_numpy()).value
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
        handles = [line for one in (axes, right) if one is not None for line in one.get_legend_handles_labels()[0]]
        below = -0.08 if panel in "ab" else -0.17
        axes.legend(handles=handles, fontsize=7, loc="upper center", bbox_to_anchor=(0.5, below), ncols=2)
        if panel in "cd":
            axes.set_xlabel("training step")
    save(figure, path)


def main() -> None:
    """Measure, draw and describe."""
    a_seed = {"type": Path, "nargs": "+", "help": "files of `revision dynamics`, one a seed"}
    options = arguments(__doc__, "summary", manifests=a_seed, series=a_seed, summaries=a_seed)
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
            "ranks": sorted({one["rank"] for one in summaries}),
            "energy": EFFECTIVE_ENERGY,
            "mean": mean,
        },
        [
            ("late leak_ref", None, mean["leak"]),
            ("adjacent cosine of gamma, mean after t0", None, mean["gamma_cosine"]),
            ("drift of gamma at the end", None, mean["gamma_drift_end"]),
            ("late condition number of Cov(delta)", None, mean["delta_condition"]),
            ("late rho_eig", None, mean["rho_eig"]),
            ("late condition number of Cov(zeta)", None, mean["zeta_condition"]),
            ("late angle of gamma and the leading V direction, degrees", None, mean["gamma_angle"]),
        ],
    )


if __name__ == "__main__":
    run(main)
