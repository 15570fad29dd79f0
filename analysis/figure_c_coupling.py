"""Appendix C: how well the residual in U predicts the residual in V, by the energy that U holds; reads embeddings."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from figure_inputs import CAPTIONS, arguments, rows
from style import PAGE, colour_of, describe, key, run, save, save_table

from revision.geometry.coupling import RIDGE, explained, ridge_coupling
from revision.geometry.frame import fit_frame
from revision.geometry.gap import decompose

ENERGIES = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
SHOWN = 0.9
R_SQUARED = {
    "r_squared": ("in sample", {"marker": "o", "linestyle": "-"}),
    "r_squared_held_out": ("held out", {"marker": "s", "linestyle": "--"}),
    "r_squared_shuffled": ("shuffled", {"marker": "", "linestyle": ":"}),
}
SEED = 0


def measure(sets: dict[str, tuple[np.ndarray, np.ndarray]]) -> pd.DataFrame:
    """One row per value: caption, energy, rank, metric, value; `sets` has pairs (image, text) by kind of caption.

    L is fitted on half of the pairs and tested on the other half. "shuffled" is the in-sample R^2 with zeta shuffled
    between pairs, which is the level of chance.
    """
    table = []
    for column, (image, text) in sets.items():
        half = len(image) // 2
        order = np.random.default_rng(SEED).permutation(half)
        for energy in ENERGIES:
            frame = fit_frame(image, text, energy=energy)
            if frame.rank == image.shape[1]:
                continue
            parts = decompose(image, text, frame)
            delta, zeta = parts.delta @ frame.U, parts.zeta @ frame.V
            fit = ridge_coupling(delta[:half], zeta[:half])
            values = {
                "norm": fit.norm,
                "r_squared": fit.r_squared,
                "r_squared_held_out": explained(fit.matrix, delta[half:], zeta[half:]),
                "r_squared_shuffled": ridge_coupling(delta[:half], zeta[:half][order]).r_squared,
                "zeta_share": float(np.sum(zeta**2) / (np.sum(zeta**2) + np.sum(delta**2))),
            }
            about = {"caption": column, "energy": energy, "rank": frame.rank}
            table += [about | {"metric": metric, "value": value, "pairs": half} for metric, value in values.items()]
    return pd.DataFrame(table)


def draw(table: pd.DataFrame, path: Path) -> None:
    """Draw |L|_2 on the left, R^2 on the right, against the energy that U holds."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(PAGE, 2.5))
    for column, part in table.groupby("caption", sort=False):
        by_metric = part.pivot(index="energy", columns="metric", values="value")
        colour = colour_of(column)
        left.plot(by_metric.norm, "o-", color=colour)
        for metric, (_, style) in R_SQUARED.items():
            right.plot(by_metric[metric], color=colour, **style)
    left.set(xlabel="fraction of the energy that U holds", ylabel="norm of L", ylim=(0, None))
    right.set(xlabel="fraction of the energy that U holds", ylabel="R²")
    handles = [
        *(key(marker="", linestyle="-", color=colour_of(name), label=f"{name} captions") for name in CAPTIONS),
        *(key(**style, label=label) for label, style in R_SQUARED.values()),
    ]
    figure.legend(handles=handles, ncols=5, loc="outside upper center")
    save(figure, path)


def main() -> None:
    """Measure, draw and describe."""
    options = arguments(__doc__, "short", "image", "long", "long_image")
    (out,) = options.out
    table = measure(
        {
            "short": (rows(options.image), rows(options.short)),
            "long": (rows(options.long_image), rows(options.long)),
        }
    )
    save_table(table, out)
    draw(table, out)
    at = table[table.energy == SHOWN].set_index(["caption", "metric"])
    describe(
        out,
        {
            "ridge": RIDGE,
            "energy": SHOWN,
            "pairs": at.pairs.iloc[0],
            "ranks": {name: at.loc[(name, "norm"), "rank"] for name in CAPTIONS},
            "held_out": {name: at.value[name, "r_squared_held_out"] for name in CAPTIONS},
        },
        [
            (f"{label} at {SHOWN:.0%} energy, {name} captions", None, at.value[name, metric])
            for name in CAPTIONS
            for metric, label in (("norm", "|L|_2"), ("r_squared", "R^2"), ("r_squared_held_out", "R^2 held out"))
        ],
    )


if __name__ == "__main__":
    run(main)
