"""Shape metrics of the follow-up paper (arXiv:2605.07825) on held-out pairs, before and after every aligner.

Reads held-out pairs moved by every aligner (`revision measure`).
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from figure_inputs import arguments
from matplotlib.ticker import MaxNLocator
from style import (
    LEVEL,
    PAGE,
    PAPER,
    ROW,
    colour_of,
    describe,
    dots,
    name_of,
    run,
    save,
    save_table,
)

from revision.config import read_yaml
from revision.embeddings.rows import measured
from revision.gap.held_out import HeldOut, read_held_out
from revision.geometry.shape import residual, shape_discrepancy, spectral_correlation, subspace_overlap
from revision.geometry.spectrum import eigenvalues

CURVES = ("identity", "realign", "bc_align", "gaussian_ot")
METRICS = {
    "shape_discrepancy": "distance of covariances, G$_S$",
    "spectral_correlation": "spectral correlation",
    "residual_anisotropy": "residual anisotropy, A$_r$",
    "residual_dimension_share": "residual dimension / d",
    "residual_ratio": "residual ratio",
}


def measure(pairs: HeldOut, q: int) -> pd.DataFrame:
    """One row per value: method, metric, q (0 if it has none), value; overlaps for q = 1, 2, 4 ... d and for `q`."""
    d = pairs.image.shape[1]
    sizes = sorted({*(2**power for power in range(int(np.log2(d)) + 1)), q, d})
    table = []
    for name, (text, image) in pairs.moved.items():
        of_image, of_text = (measured(rows, covariance=True).covariance for rows in (image, text))
        rest = residual(image, text)
        values = {
            "shape_discrepancy": shape_discrepancy(of_image, of_text),
            "spectral_correlation": spectral_correlation(eigenvalues(of_image), eigenvalues(of_text)),
            "residual_anisotropy": rest.anisotropy,
            "residual_dimension_share": rest.effective_dimension / d,
            "residual_ratio": rest.ratio,
        }
        table += [{"method": name, "metric": metric, "q": 0, "value": value} for metric, value in values.items()]
        table += [
            {"method": name, "metric": "subspace_overlap", "q": size, "value": value}
            for size, value in subspace_overlap(of_image, of_text, sizes).items()
        ]
    return pd.DataFrame(table)


def draw(table: pd.DataFrame, dim: int, reference: dict, path: Path) -> None:
    """Draw five panels of dots and one of overlap curves against q / d."""
    count = table.method.nunique()
    figure, panels = plt.subplots(2, 3, figsize=(PAGE, 1.6 + 2 * ROW * count))
    for index, (panel, (metric, label)) in enumerate(zip(panels.flat, METRICS.items(), strict=False)):
        values = table[table.metric == metric].set_index("method").value
        dots(panel, values.to_dict(), {"identity": reference.get(metric)})
        panel.set_xlabel(label)
        panel.xaxis.set_major_locator(MaxNLocator(3))
        if index % 3:
            panel.set_yticklabels([])
    curve = panels[1, 2]
    for name in CURVES:
        part = table[(table.metric == "subspace_overlap") & (table.method == name)]
        curve.plot(part.q / dim, part.value, "o-", markersize=3, color=colour_of(name), label=name_of(name))
    curve.plot(part.q / dim, part.q / dim, **LEVEL, label="chance")
    overlap = reference["subspace_overlap"]
    curve.plot(overlap["q"] / reference["dimension"], overlap["value"], **PAPER)
    curve.set(xlabel="q / d", ylabel="overlap of subspaces, O$_q$", xscale="log", ylim=(0, 1.05))
    curve.set_xticks((0.03, 0.1, 0.3, 1), ("0.03", "0.1", "0.3", "1"))
    figure.legend(*curve.get_legend_handles_labels(), ncols=6, loc="outside lower center")
    save(figure, path)


def main() -> None:
    """Measure, draw and describe."""
    options = arguments(__doc__, "moved", "published")
    (out,), reference = options.out, read_yaml(options.published)
    pairs = read_held_out(options.moved)
    d = pairs.image.shape[1]
    overlap = reference["subspace_overlap"]
    q = max(1, round(d * overlap["q"] / reference["dimension"]))
    table = measure(pairs, q)
    save_table(table, out)
    draw(table, d, reference, out)
    before = table[table.method == "identity"].set_index(["metric", "q"]).value
    describe(
        out,
        {
            "pairs": pairs.facts,
            "q": q,
            "paper_q": overlap["q"],
            "paper_dim": reference["dimension"],
            "anisotropy": before["residual_anisotropy", 0],
        },
        [(metric.replace("_", " "), reference.get(metric), before[metric, 0]) for metric in METRICS]
        + [(f"subspace overlap at q / d = {q / d:.2f}", overlap["value"], before["subspace_overlap", q])],
    )


if __name__ == "__main__":
    run(main)
