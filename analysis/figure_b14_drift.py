"""Theorem B.14: predicted and measured drift of the mean direction under normalisation, as the residual grows.

Reads embeddings and the fitted aligner of the steps before normalisation (`revision measure`).
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from figure_inputs import arguments, rows
from style import PAGE, colour_of, describe, key, plain_log, run, save, save_table

from revision.gap.held_out import read_aligner
from revision.gap.measure import DRIFT_FACTORS
from revision.geometry.drift import drift_sweep

COLOURS = {"texts": colour_of("realign_12"), "isotropic": "black"}
MARKS = {
    "texts": {"color": COLOURS["texts"], "marker": "o", "linestyle": "none"},
    "isotropic": {
        "color": COLOURS["isotropic"],
        "marker": "o",
        "linestyle": "none",
        "markersize": 7,
        "fillstyle": "none",
    },
}
SEED = 0


def measure(anchored: np.ndarray) -> pd.DataFrame:
    """One row per residual and factor: relative residual; predicted and measured drift, tangential parts, error.

    "isotropic" has the mean and trace of the texts, and a residual drawn from an isotropic Gaussian.
    """
    mean = anchored.mean(axis=0)
    deviation = np.sqrt(np.mean((anchored - mean) ** 2))
    noise = np.random.default_rng(SEED).standard_normal(anchored.shape) * deviation
    table = []
    for name, cloud in (("texts", anchored), ("isotropic", mean + noise - noise.mean(axis=0))):
        for factor, drift in zip(DRIFT_FACTORS, drift_sweep(cloud, list(DRIFT_FACTORS)), strict=True):
            predicted, measured = drift.tangential()
            table.append(
                {
                    "residual": name,
                    "factor": factor,
                    "relative_residual": drift.relative_residual,
                    "predicted": np.linalg.norm(drift.predicted),
                    "measured": np.linalg.norm(drift.measured),
                    "predicted_tangential": predicted,
                    "measured_tangential": measured,
                    "error": drift.error,
                }
            )
    return pd.DataFrame(table)


def draw(table: pd.DataFrame, path: Path) -> None:
    """Draw the whole drift on the left, its tangential part on the right, both on logarithmic axes."""
    figure, panels = plt.subplots(1, 2, figsize=(PAGE, 2.6))
    for panel, ending, title in zip(panels, ("", "_tangential"), ("whole drift", "tangential part"), strict=True):
        for name, part in table.groupby("residual", sort=False):
            panel.plot(part.relative_residual, part[f"predicted{ending}"], "--", color=COLOURS[name])
            panel.plot(part.relative_residual, part[f"measured{ending}"], **MARKS[name])
            if not ending:
                panel.plot(part.relative_residual, part.error, ":", color=COLOURS[name])
        panel.set(xscale="log", yscale="log", xlabel="RMS residual over length of the mean", title=title)
        plain_log(panel.xaxis, panel.yaxis)
    panels[0].set_ylabel("drift of the mean direction")
    handles = [
        *(plt.Line2D([], [], **MARKS[name], label=f"{name}, measured") for name in MARKS),
        key(marker="", linestyle="--", label="predicted"),
        key(marker="", linestyle=":", label="|measured − predicted|"),
    ]
    figure.legend(handles=handles, ncols=4, loc="outside upper center")
    save(figure, path)


def main() -> None:
    """Measure, draw and describe."""
    options = arguments(__doc__, "text", "moved")
    (out,), texts = options.out, rows(options.text)
    step = read_aligner(options.moved, "realign_12").transforms_[0]
    table = measure(step.scale * texts.astype(np.float64) + step.shift)
    save_table(table, out)
    draw(table, out)
    own = table[table.residual == "texts"]
    full = own[own.factor == 1].iloc[0]
    order = np.polyfit(np.log(own.relative_residual), np.log(own.error), 1)[0]
    describe(
        out,
        {"texts": len(texts), "factors": DRIFT_FACTORS, "order": order, "full": full},
        [
            ("drift predicted at the full residual", None, full.predicted),
            ("drift measured at the full residual", None, full.measured),
            ("order of the error", None, order),
        ],
    )


if __name__ == "__main__":
    run(main)
