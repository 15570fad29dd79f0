"""Figures 9a and 9b: the spectrum after blockwise alignment, and how many neighbours each aligner keeps.

Reads held-out pairs moved by every aligner (`revision measure`).
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from figure_inputs import arguments
from style import COLUMN, PAGE, PAPER, ROW, colour_of, describe, dots, name_of, plain_log, run, save, save_table

from revision.config import read_yaml
from revision.gap.held_out import HeldOut, read_aligner, read_held_out
from revision.geometry.neighbours import neighbour_overlap
from revision.geometry.spectrum import condition_number, covariance_eigenvalues

K = 10
SHOWN = ("image", "realign", "bc_align", "gaussian_ot", "identity")
KEPT = {"bc_align": "blockwise", "realign": "realign"}


def spectra(pairs: HeldOut) -> pd.DataFrame:
    """One row per eigenvalue: method, rank, eigenvalue; the condition number is repeated on every row."""
    tables = []
    for name, rows in {"image": pairs.image, **{name: text for name, (text, _) in pairs.moved.items()}}.items():
        values = covariance_eigenvalues(rows)
        columns = {"rank": np.arange(1, len(values) + 1), "eigenvalue": values}
        tables.append(pd.DataFrame({"method": name, **columns, "condition_number": condition_number(values)}))
    return pd.concat(tables, ignore_index=True)


def overlaps(pairs: HeldOut) -> pd.DataFrame:
    """One row per method: neighbours kept in percent, among all texts and among distinct ones.

    Equal texts stay neighbours under every map without noise. Their embeddings may differ by rounding.
    """
    distinct = np.unique(pairs.text.round(5), axis=0, return_index=True)[1]
    return pd.DataFrame(
        [
            {
                "method": name,
                "k": K,
                "kept_percent": 100 * neighbour_overlap(pairs.text, text, K),
                "kept_distinct_percent": 100 * neighbour_overlap(pairs.text[distinct], text[distinct], K),
                "distinct": len(distinct),
            }
            for name, (text, _) in pairs.moved.items()
        ]
    )


def draw_spectra(table: pd.DataFrame, published: float, path: Path) -> None:
    """Draw eigenvalues against rank on the left, the condition number of every method on the right."""
    conditions = table.drop_duplicates("method").set_index("method").condition_number
    figure, (left, right) = plt.subplots(1, 2, figsize=(PAGE, 0.8 + ROW * len(conditions)), width_ratios=(1.1, 1))
    for name in SHOWN:
        part = table[table.method == name]
        style = {"image": {"linewidth": 2.2}, "identity": {"linestyle": "--"}}.get(name, {})
        left.plot(part["rank"], part.eigenvalue, color=colour_of(name), label=name_of(name), **style)
    left.set(xscale="log", yscale="log", xlabel="rank", ylabel="eigenvalue of the covariance")
    dots(right, conditions.to_dict(), {"identity": published})
    right.set(xscale="log", xlabel="condition number")
    plain_log(left.xaxis, left.yaxis, right.xaxis)
    handles, labels = left.get_legend_handles_labels()
    figure.legend([*handles, plt.Line2D([], [], **PAPER)], [*labels, "paper"], ncols=6, loc="outside upper center")
    save(figure, path)


def draw_kept(kept: pd.Series, published: dict[str, float], path: Path) -> None:
    """Draw one row per method."""
    figure, axes = plt.subplots(figsize=(COLUMN, 0.9 + ROW * len(kept)))
    dots(axes, kept.to_dict(), published)
    axes.set_xlim(-4, 104)
    axes.set_xlabel(f"{K} nearest neighbours kept, %")
    axes.legend(handles=[plt.Line2D([], [], **PAPER)], loc="lower right", bbox_to_anchor=(1, 1))
    save(figure, path)


def main() -> None:
    """Measure, draw and describe."""
    options = arguments(__doc__, "moved", "published")
    out_spectrum, out_overlap = options.out
    published = read_yaml(options.published)["figures"]["fig9"]
    pairs = read_held_out(options.moved)

    table = spectra(pairs)
    save_table(table, out_spectrum)
    draw_spectra(table, published["text_condition_number"], out_spectrum)
    conditions = table.drop_duplicates("method").set_index("method").condition_number
    choices = read_aligner(options.moved, "bc_align").get_params()
    describe(
        out_spectrum,
        {"pairs": pairs.facts, "conditions": conditions, "choices": choices},
        [
            ("condition number of the texts", published["text_condition_number"], conditions["identity"]),
            ("condition number after BC Align", None, conditions["bc_align"]),
        ],
    )

    table = overlaps(pairs)
    save_table(table, out_overlap)
    kept = table.set_index("method").kept_percent.drop("identity")
    paper = {name: published["knn_overlap_percent"][key] for name, key in KEPT.items()}
    draw_kept(kept, paper, out_overlap)
    describe(
        out_overlap,
        {"pairs": pairs.facts, "kept": kept, "distinct": table.set_index("method"), "k": K},
        [(f"neighbours kept in percent, {name_of(name)}", paper[name], kept[name]) for name in KEPT],
    )


if __name__ == "__main__":
    run(main)
