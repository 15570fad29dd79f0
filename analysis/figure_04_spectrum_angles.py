"""Figures 4a and 4b: decay of the covariance spectrum, and divergence of the pairwise cosines from those of images.

Reads held-out pairs moved by every aligner (`revision measure`).
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from figure_inputs import arguments
from style import PAGE, PAPER, ROW, colour_of, describe, dots, name_of, plain_log, run, save, save_table

from revision.config import read_yaml
from revision.gap.held_out import HeldOut, read_held_out
from revision.geometry.angles import BASE, BINS, cosine_density, grid, jensen_shannon
from revision.geometry.spectrum import FIT_RANGE, covariance_eigenvalues, power_law

SHOWN = ("image", "identity", "c3", "realign", "bc_align")
LINES = {
    "image": {"linewidth": 2.2},
    "identity": {"linestyle": "--", "zorder": 3},
    "realign": {"linewidth": 2.2, "alpha": 0.6},
}


def spectra(pairs: HeldOut) -> pd.DataFrame:
    """One row per eigenvalue: method, rank, fraction of the trace; alpha and its fit are repeated on every row."""
    sets = {"image": pairs.image} | {name: text for name, (text, _) in pairs.moved.items()}
    tables = []
    for name, rows in sets.items():
        values = covariance_eigenvalues(rows)
        fit = power_law(values)
        columns = {"method": name, "rank": np.arange(1, len(values) + 1), "share": values / values.sum()}
        numbers = {"alpha": fit.alpha, "first": fit.first, "last": fit.last, "r_squared": fit.r_squared}
        tables.append(pd.DataFrame(columns | numbers))
    return pd.concat(tables, ignore_index=True)


def cosines(pairs: HeldOut) -> pd.DataFrame:
    """One row per bin: method, cosine, density; the divergence from the images is repeated on every row."""
    image = cosine_density(pairs.image)
    tables = []
    for name, (text, target) in {"image": (pairs.image, pairs.image), **pairs.moved}.items():
        reference = image if target is pairs.image else cosine_density(target)
        density = cosine_density(text)
        divergence = jensen_shannon(density, reference)
        tables.append(pd.DataFrame({"method": name, "cosine": grid(), "density": density, "divergence": divergence}))
    return pd.concat(tables, ignore_index=True)


def draw(table: pd.DataFrame, curve: tuple[str, str], value: str, published: dict) -> tuple:
    """Draw curves of the sets that the paper shows on the left, the value of every method on the right."""
    values = table.drop_duplicates("method").set_index("method")[value]
    values = values if value == "alpha" else values.drop("image")
    figure, (left, right) = plt.subplots(1, 2, figsize=(PAGE, 0.7 + ROW * len(values)), width_ratios=(1.1, 1))
    for name in SHOWN:
        part = table[table.method == name]
        style = {"color": colour_of(name), "label": name_of(name), **LINES.get(name, {})}
        left.plot(part[curve[0]], part[curve[1]], **style)
    dots(right, values.to_dict(), published)
    handles, labels = left.get_legend_handles_labels()
    figure.legend([*handles, plt.Line2D([], [], **PAPER)], [*labels, "paper"], ncols=6, loc="outside upper center")
    return figure, left, right


def main() -> None:
    """Measure, draw and describe."""
    options = arguments(__doc__, "moved", "published")
    out_spectrum, out_angles = options.out
    published = read_yaml(options.published)["figures"]
    pairs = read_held_out(options.moved)

    table = spectra(pairs)
    save_table(table, out_spectrum)
    paper = {"identity": published["fig4a"]["text"], **published["fig4a"]}
    figure, left, right = draw(table, ("rank", "share"), "alpha", paper)
    left.set(xscale="log", yscale="log", xlabel="rank", ylabel="fraction of the trace", ylim=(1e-6, 1))
    plain_log(left.xaxis, left.yaxis)
    right.set(xlabel="power-law exponent")
    save(figure, out_spectrum)
    fits = table.drop_duplicates("method").set_index("method")
    describe(
        out_spectrum,
        {"pairs": pairs.facts, "range": FIT_RANGE, "alpha": fits.alpha, "fit": fits.loc["image"]},
        [
            (f"power-law exponent, {name}", paper[key], fits.alpha[key])
            for key, name in (("identity", "texts"), ("c3", "C3"), ("realign", "ReAlign"), ("image", "images"))
        ],
    )

    table = cosines(pairs)
    save_table(table[table.density > table.density.max() * 1e-6], out_angles)
    paper = {name: values["caption"] for name, values in published["fig4b"].items()}
    figure, left, right = draw(table, ("cosine", "density"), "divergence", paper)
    visible = table[table.method.isin(SHOWN) & (table.density > 0.02)].cosine
    limits = visible.min(), min(1, visible.max() + 0.05)
    left.set(xlabel="cosine of two rows of one set", ylabel="density", xlim=limits)
    right.set_xscale("log")
    plain_log(right.xaxis)
    right.set(xlabel="JS divergence from the images, bits")
    save(figure, out_angles)
    divergence = table.drop_duplicates("method").set_index("method").divergence
    describe(
        out_angles,
        {"pairs": pairs.facts, "divergence": divergence, "bins": BINS, "base": BASE, "published": published["fig4b"]},
        [(f"JS divergence, {name_of(name)}", paper[name], divergence[name]) for name in paper],
    )


if __name__ == "__main__":
    run(main)
