"""Figures 4a and 4b: decay of the covariance spectrum, and divergence of the pairwise cosines from the pictures'."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from figure_inputs import HeldOut, arguments, held_out, read_yaml
from style import colour_of, describe, dots, name_of, save, save_table

from revision.geometry.angles import BASE, BINS, cosine_density, grid, jensen_shannon
from revision.geometry.spectrum import FIT_RANGE, covariance_eigenvalues, power_law

SHOWN = ("image", "identity", "c3", "realign", "bc_align")
LINES = {"image": {"linewidth": 2.2}, "identity": {"linestyle": "--", "zorder": 3}}


def spectra(pairs: HeldOut) -> pd.DataFrame:
    """One row an eigenvalue: method, rank, share of the trace; and alpha with its range, the same on every row."""
    sets = {"image": pairs.image} | {name: text for name, (text, _) in pairs.moved.items()}
    tables = []
    for name, rows in sets.items():
        values = covariance_eigenvalues(rows)
        fit = power_law(values)
        tables.append(
            pd.DataFrame(
                {
                    "method": name, "rank": np.arange(1, len(values) + 1), "share": values / values.sum(),
                    "alpha": fit.alpha, "first": fit.first, "last": fit.last, "r_squared": fit.r_squared,
                }
            )
        )  # fmt: skip
    return pd.concat(tables, ignore_index=True)


def cosines(pairs: HeldOut) -> pd.DataFrame:
    """One row a bin: method, cosine, density; and the divergence from the pictures', the same on every row."""
    image = cosine_density(pairs.image)
    tables = []
    for name, (text, target) in {"image": (pairs.image, pairs.image), **pairs.moved}.items():
        reference = image if target is pairs.image else cosine_density(target)
        density = cosine_density(text)
        tables.append(
            pd.DataFrame(
                {
                    "method": name, "cosine": grid(), "density": density,
                    "divergence": jensen_shannon(density, reference),
                }
            )
        )  # fmt: skip
    return pd.concat(tables, ignore_index=True)


def draw(table: pd.DataFrame, curve: tuple[str, str], value: str, published: dict, path: Path) -> tuple:
    """Curves of the sets that the paper shows on the left, the number of every method on the right."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(7.2, 3.4), width_ratios=(1.2, 1))
    for name in SHOWN:
        part = table[table.method == name]
        style = {"color": colour_of(name), "label": name_of(name), **LINES.get(name, {})}
        left.plot(part[curve[0]], part[curve[1]], **style)
    numbers = table.drop_duplicates("method").set_index("method")[value]
    dots(right, numbers.to_dict() if value == "alpha" else numbers.drop("image").to_dict(), published)
    left.legend(fontsize=7)
    return figure, left, right


if __name__ == "__main__":
    options = arguments(__doc__, "published", "aligners").parse_args()
    out_spectrum, out_angles = options.out
    published = read_yaml(options.published)["figures"]
    pairs = held_out(options.work, "short", options.aligners)

    table = spectra(pairs)
    save_table(table, out_spectrum)
    paper = {"identity": published["fig4a"]["text"], **published["fig4a"]}
    figure, left, right = draw(table, ("rank", "share"), "alpha", paper, out_spectrum)
    left.set(xscale="log", yscale="log", xlabel="rank", ylabel="share of the trace", ylim=(1e-6, 1))
    right.set(xlabel="power-law exponent (diamond: paper)")
    save(figure, out_spectrum)
    fits = table.drop_duplicates("method").set_index("method")
    fit = fits.loc["image"]
    describe(
        out_spectrum,
        "Covariance spectrum",
        "figure 4a",
        "Eigenvalues of the centred covariance over their sum, so traces are matched; short captions. Exponent: least "
        "squares of log eigenvalue on log rank, every rank alike, over ranks {:.0%} to {:.0%} of the eigenvalues "
        "above rounding ({:.0f} to {:.0f} here; R^2 of the pictures' fit {:.3f}). The paper gives no range, and the "
        "exponent "
        "depends on it. {}".format(*FIT_RANGE, fit["first"], fit["last"], fit.r_squared, pairs.fitted),
        "Left: eigenvalues against rank on logarithmic axes. Right: the exponent of every set as a dot.",
        [(f"alpha, {name}", paper[key], fits.alpha[key]) for key, name in
         (("identity", "texts"), ("c3", "C3"), ("realign", "ReAlign"), ("image", "pictures"))],
    )  # fmt: skip

    table = cosines(pairs)
    save_table(table[table.density > table.density.max() * 1e-6], out_angles)
    paper = {name: values["caption"] for name, values in published["fig4b"].items()}
    figure, left, right = draw(table, ("cosine", "density"), "divergence", paper, out_angles)
    seen = table[table.method.isin(SHOWN) & (table.density > 0.02)].cosine
    left.set(xlabel="cosine of two rows of one set", ylabel="density", xlim=(seen.min(), min(1, seen.max() + 0.05)))
    right.set(xlabel="JS divergence, bits (diamond: paper)")
    save(figure, out_angles)
    found = table.drop_duplicates("method").set_index("method").divergence
    describe(
        out_angles,
        "Pairwise cosines",
        "figure 4b",
        f"Density of the cosines of all pairs of rows of one set, short captions: {BINS} equal bins on [-1, 1], a "
        "Gaussian kernel with Scott's bandwidth over the number of pairs. Jensen-Shannon divergence (not its root) "
        f"from the pictures' density, to base {BASE:g}, so at most 1. The paper leaves grid, kernel and base open, "
        "and prints "
        + "; ".join(f"{v['caption']} in the caption and {v['text']} in the text for {name_of(n)}"
                    for n, v in published["fig4b"].items())
        + f". {pairs.fitted}",
        "Left: densities of cosines. Right: the divergence of every method from the pictures as a dot.",
        [(f"JS divergence, {name_of(name)}", paper[name], found[name]) for name in paper],
    )  # fmt: skip
