"""Plots of a `Suite` as data URIs, all of one width."""

import base64
import io
import math
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from revision.embeddings.rows import Array
from revision.gap.measure import BEFORE, DRIFT_FACTORS
from revision.gap.metrics import Side
from revision.gap.suite import Suite
from revision.gap.tables import label, order
from revision.geometry.angles import grid

WIDTH = 9.0  # inches
PLANE_POINTS = 2000
COLUMNS = 5
IMAGES, TEXTS, OTHERS = "#000000", "#E69F00", "#BBBBBB"
COLOURS = ("#009E73", "#0072B2", "#D55E00", "#CC79A7", "#56B4E9")  # Okabe and Ito, by rank of the gap
STYLE: Any = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "legend.frameon": False,
    "svg.hashsalt": "revision",  # without a fixed salt and date the same figure would have other bytes in each run
}


@dataclass(frozen=True)
class Plot:
    """A plot as a data URI, with its title, alternative text and caption."""

    title: str
    uri: str
    alt: str
    caption: str


def plots(suite: Suite) -> list[Plot]:
    """Draw the plots that a suite has the data for."""
    with matplotlib.rc_context(STYLE):
        if suite.plane is None:
            return [_distributions(suite)]
        return [_methods(suite), _plane(suite, suite.plane), _distributions(suite), _theory(suite)]


def _figure(height: float) -> Figure:
    return Figure(figsize=(WIDTH, height), layout="constrained")


def _uri(figure: Figure, kind: str = "svg") -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, dpi=160, metadata={"Date": None} if kind == "svg" else {"Software": None})
    mime = "image/svg+xml" if kind == "svg" else "image/png"
    return f"data:{mime};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _methods(suite: Suite) -> Plot:
    panels = {"gap": "centroid gap", "mixing_rate": "k-NN mixing rate", "neighbour_overlap": "neighbours kept"}
    if suite.paired:
        panels |= {"text_to_image_at_1": "text to image R@1", "image_to_text_at_1": "image to text R@1"}
    names = order(suite)
    figure = _figure(0.9 + 0.24 * len(names))
    for axes, (metric, title) in zip(figure.subplots(1, len(panels), sharey=True), panels.items(), strict=True):
        values = [suite.methods[name][metric] for name in names]
        axes.scatter(values, range(len(names)), s=28, color=[TEXTS, *[COLOURS[0]] * (len(names) - 1)], zorder=3)
        if metric == "gap":
            floors = [suite.methods[name]["gap_floor"] for name in names]
            axes.plot([floor or math.nan for floor in floors], range(len(names)), "|", color="black", markersize=9)
            powers = np.log10([value for value in (*values, *floors) if value and value > 0])
            axes.set(xscale="log", xlim=(10.0 ** math.floor(powers.min()), 10.0 ** math.ceil(powers.max())))
            axes.xaxis.set_minor_formatter(NullFormatter())
        else:
            axes.set(xlim=(-0.04, 1.04))
        axes.set_title(title, fontsize=9)
    axes.set(yticks=range(len(names)), yticklabels=[label(name) for name in names], ylim=(len(names) - 0.5, -0.5))
    return Plot(
        "Benefits and costs of closing the gap",
        _uri(figure),
        "One row per aligner, smallest gap first: gap with its sampling floor, mixing rate, neighbours kept, recall.",
        "Black strokes: sampling floor of the gap. " + suite.choices["neighbours"],
    )


def _plane(suite: Suite, plane: tuple[Array, Array]) -> Plot:
    names = order(suite)
    rows = math.ceil(len(names) / COLUMNS)
    figure = _figure(0.2 + 1.9 * rows)
    panels = figure.subplots(rows, COLUMNS, squeeze=False, sharex=True, sharey=True).ravel()
    mean, axes = plane

    def points(sample: Array) -> Array:
        return ((sample[:PLANE_POINTS] - mean) @ axes).T

    for panel, name in zip(panels, names, strict=False):
        images = suite.moved_images.get(name, suite.images).sample
        size = float(np.clip(600 / len(images), 1, 6))
        panel.scatter(*points(images), s=size, color=IMAGES, alpha=0.5, lw=0)
        panel.scatter(*points(suite.sides[name].sample), s=size, color=TEXTS, alpha=0.5, lw=0)
        panel.set_title(label(name), fontsize=9)
        panel.tick_params(labelsize=7)
    for panel in panels[len(names) :]:
        panel.set_axis_off()
    return Plot(
        "Before and after (figure 5)",
        _uri(figure, "png"),
        "Images and texts in the plane of the two leading principal axes: before alignment, then for each aligner.",
        f"Images black, texts orange, at most {PLANE_POINTS} of each. Plane: the two leading principal axes of both "
        "sets together, before alignment.",
    )


def _distributions(suite: Suite) -> Plot:
    figure = _figure(3.4)
    spectra, cosines = figure.subplots(1, 2)
    for name, side, style in _sides(suite):
        values = side.eigenvalues[side.eigenvalues > 0] / side.eigenvalues.sum()
        spectra.loglog(np.arange(1, len(values) + 1), values, label=name, **style)
        cosines.plot(grid(len(side.density)), side.density, **style)
    # The covariance of n rows has rank n - 1: eigenvalues beyond are rounding errors.
    lowest = suite.images.eigenvalues[min(len(suite.images.rows), suite.dimension) - 2] / suite.images.eigenvalues.sum()
    spectra.set(xlabel="rank", ylabel="fraction of the trace", ylim=(max(lowest, 1e-9) / 10, 1))
    cosines.set(xlabel="cosine of two rows of one set", ylabel="density", xlim=(-1, 1), xticks=(-1, -0.5, 0, 0.5, 1))
    handles, labels = spectra.get_legend_handles_labels()
    figure.legend(handles[::-1], labels[::-1], loc="outside right center", fontsize=8)
    return Plot(
        "Spectra and cosines (figure 4)",
        _uri(figure),
        "Left: eigenvalues of the covariances over their sum by rank. Right: densities of the cosines within a set.",
        "Coloured: the smallest gaps; grey: the other aligners. "
        + " ".join(suite.choices[name] for name in ("power law", "cosines") if name in suite.choices),
    )


def _sides(suite: Suite) -> list[tuple[str | None, Side, dict[str, Any]]]:
    """Legend, measurements and line of the images and of the texts: coloured for the smallest gaps, the others grey."""
    aligners = [name for name in order(suite) if name != BEFORE]
    lines: list[tuple[str | None, Side, dict[str, Any]]] = []
    for rank, name in reversed(list(enumerate(aligners))):
        if rank < len(COLOURS):
            lines.append((label(name), suite.sides[name], {"color": COLOURS[rank], "lw": 1.4}))
        else:
            legend = "other aligners" if rank == len(COLOURS) else None
            lines.append((legend, suite.sides[name], {"color": OTHERS, "lw": 0.9}))
    lines.append(("texts before", suite.sides[BEFORE], {"color": TEXTS, "lw": 1.6}))
    return [*lines, ("images", suite.images, {"color": IMAGES, "lw": 1.6})]


def _theory(suite: Suite) -> Plot:
    figure = _figure(3.0)
    overlap, drift = figure.subplots(1, 2)
    sizes = list(suite.overlap_curve)
    overlap.semilogx(sizes, list(suite.overlap_curve.values()), "o-", label="images and texts", color=COLOURS[0])
    overlap.semilogx(sizes, [q / suite.dimension for q in sizes], "--", label="chance, q / d", color="grey")
    overlap.set(xlabel="q", ylabel="overlap of the top q directions", ylim=(0, 1.05))
    residuals = [factor.relative_residual for factor in suite.drift]
    for name, style in (
        ("predicted", {"ls": "--", "color": "grey"}),
        ("measured", {"marker": "o", "color": COLOURS[0]}),
    ):
        drift.loglog(residuals, [np.linalg.norm(getattr(factor, name)) for factor in suite.drift], label=name, **style)
    drift.set(xlabel="RMS residual over length of the mean", ylabel="drift of the mean direction")
    panels: tuple[Axes, Axes] = (overlap, drift)
    for axes in panels:
        axes.legend(fontsize=8)
    factors = ", ".join(f"{factor:g}" for factor in DRIFT_FACTORS)
    return Plot(
        "Shared directions (follow-up paper) and phantom drift (theorem B.14)",
        _uri(figure),
        "Left: overlap of the top q eigenvectors of images and texts before alignment, with chance. Right: drift of "
        "the mean under normalisation, predicted to second order and measured, by the residual.",
        "Left: above the dashed line, both sets vary along common directions. Right: texts after anchor and trace; the "
        f"residual is scaled by {factors}.",
    )
