"""Self-contained HTML page of a `Suite`: a table and plots as data URIs, without scripts or external requests."""

import base64
import io
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import matplotlib
import numpy as np
from matplotlib.figure import Figure

from revision.embeddings.rows import Array
from revision.gap.measure import BEFORE, DRIFT_FACTORS
from revision.gap.metrics import METRICS, Side
from revision.gap.suite import Suite
from revision.gap.tasks import TASK_METRICS
from revision.geometry.angles import grid

PLANE_POINTS = 2000
COLUMNS = 4


@dataclass(frozen=True)
class Plot:
    """A plot as a data URI, with its title, alternative text and caption."""

    title: str
    uri: str
    alt: str
    caption: str


def label(method: str) -> str:
    """Return the displayed name of a method."""
    return "before" if method == BEFORE else method


def number(value: float | None) -> str:
    """Format a value with four significant digits; None, for a metric that cannot be computed, is empty."""
    return "" if value is None else f"{value:.4g}"


def table(suite: Suite) -> list[dict[str, Any]]:
    """Return the rows of the table of metrics.

    Parameters
    ----------
    suite : Suite
        Results.

    Returns
    -------
    list of dict
        label, reference, needs_pairs and cells (images, then each method), one row per metric.
    """
    return [
        {
            "label": metric.label,
            "reference": metric.reference,
            "needs_pairs": metric.needs_pairs,
            "cells": [number(suite.image.get(name)), *(number(values[name]) for values in suite.methods.values())],
        }
        for name, metric in (METRICS | TASK_METRICS).items()
        if name in suite.methods[BEFORE]
    ]


def render(suite: Suite, title: str) -> str:
    """Render the page.

    Parameters
    ----------
    suite : Suite
        Results.
    title : str
        Name of the two sets.

    Returns
    -------
    str
        HTML, the same for the same results.
    """
    source = Path(__file__).with_name("page.html.j2").read_text(encoding="utf-8")
    template = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined).from_string(source)
    plots = [_spectra(suite), _cosines(suite)]
    if suite.plane is not None:
        plots += [_plane(suite, suite.plane), _trade_off(suite), _overlap(suite), _drift(suite)]
    return template.render(title=title, suite=suite, rows=table(suite), notes=suite.notes, plots=plots) + "\n"


def _uri(figure: Figure, kind: str = "svg") -> str:
    """The figure as a data URI."""
    buffer = io.BytesIO()
    # Without a fixed salt and date the same figure would have other bytes in each run.
    with matplotlib.rc_context({"svg.hashsalt": "revision", "svg.fonttype": "path"}):
        figure.savefig(buffer, format=kind, dpi=110, metadata={"Date": None} if kind == "svg" else {"Software": None})
    mime = "image/svg+xml" if kind == "svg" else "image/png"
    return f"data:{mime};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _colours(suite: Suite) -> dict[str, Any]:
    colormap = matplotlib.colormaps["tab20"]
    return {name: colormap(i % colormap.N) for i, name in enumerate(suite.sides)}


def _axes(width: float = 8.0, height: float = 4.0) -> tuple[Figure, Any]:
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()


def _spectra(suite: Suite) -> Plot:
    figure, axes = _axes()
    for name, side, colour in _with_images(suite):
        values = side.eigenvalues[side.eigenvalues > 0] / side.eigenvalues.sum()
        axes.loglog(np.arange(1, len(values) + 1), values, label=label(name), color=colour, lw=1.2)
    # The covariance of n rows has rank n - 1: eigenvalues beyond are rounding errors.
    lowest = suite.images.eigenvalues[min(len(suite.images.rows), suite.dimension) - 2] / suite.images.eigenvalues.sum()
    axes.set(xlabel="rank", ylabel="fraction of the trace", ylim=(max(lowest, 1e-9) / 10, 1))
    axes.legend(fontsize=7, ncols=2)
    return Plot(
        "Covariance spectra (figure 4a)",
        _uri(figure),
        "Eigenvalues over their sum against rank, both logarithmic, for images, texts before and after each aligner.",
        suite.choices.get("power law", ""),
    )


def _with_images(suite: Suite) -> list[tuple[str, Side, Any]]:
    colours = _colours(suite)
    return [("images", suite.images, "black"), *((name, side, colours[name]) for name, side in suite.sides.items())]


def _cosines(suite: Suite) -> Plot:
    figure, axes = _axes()
    for name, side, colour in _with_images(suite):
        axes.plot(grid(len(side.density)), side.density, label=label(name), color=colour, lw=1.2)
    axes.set(xlabel="cosine of two rows of one set", ylabel="density", xlim=(-1, 1))
    axes.legend(fontsize=7, ncols=2)
    return Plot(
        "Pairwise cosines (figure 4b)",
        _uri(figure),
        "Density of the cosines within the image set and within the texts before and after each aligner.",
        suite.choices.get("cosines", ""),
    )


def _plane(suite: Suite, plane: tuple[Array, Array]) -> Plot:
    count = len(suite.sides)
    rows = math.ceil(count / COLUMNS)
    figure = Figure(figsize=(2.4 * min(count, COLUMNS), 2.4 * rows), layout="constrained")
    panels = figure.subplots(rows, min(count, COLUMNS), squeeze=False, sharex=True, sharey=True).ravel()
    mean, axes = plane

    def points(sample: np.ndarray) -> np.ndarray:
        return ((sample[:PLANE_POINTS] - mean) @ axes).T

    for panel, (name, side) in zip(panels, suite.sides.items(), strict=False):
        panel.scatter(*points(suite.moved_images.get(name, suite.images).sample), s=2, color="black", alpha=0.4, lw=0)
        panel.scatter(*points(side.sample), s=2, color="tab:orange", alpha=0.4, lw=0)
        panel.set_title(label(name), fontsize=8)
        panel.tick_params(labelsize=6)
    for panel in panels[count:]:
        panel.set_axis_off()
    return Plot(
        "Before and after (figure 5)",
        _uri(figure, "png"),
        "Images and texts in the plane of the two leading principal axes: before alignment, then for each aligner.",
        f"Images black, texts orange, at most {PLANE_POINTS} of each; all panels show the plane of both sets before.",
    )


def _trade_off(suite: Suite) -> Plot:
    figure, axes = _axes()
    bars = {"mixing_rate": "k-NN mixing rate", "neighbour_overlap": "k-NN overlap with the texts before"}
    if suite.paired:
        bars |= {"text_to_image_at_1": "text to image R@1", "image_to_text_at_1": "image to text R@1"}
    positions, width = np.arange(len(suite.methods)), 0.8 / len(bars)
    for i, (metric, bar_label) in enumerate(bars.items()):
        heights = [values[metric] for values in suite.methods.values()]
        axes.bar(positions + (i - (len(bars) - 1) / 2) * width, heights, width, label=bar_label)
    axes.set_xticks(positions, [label(name) for name in suite.methods], rotation=30, ha="right", fontsize=8)
    axes.set(ylim=(0, 1), ylabel="fraction")
    axes.legend(fontsize=7, ncols=len(bars), loc="lower center", bbox_to_anchor=(0.5, 1))
    return Plot(
        "Benefits and costs of closing the gap",
        _uri(figure),
        "Bars for each aligner: fraction of image neighbours, of neighbours kept, and recall at 1 if there are pairs.",
        suite.choices["neighbours"] + " " + suite.choices["sample"],
    )


def _overlap(suite: Suite) -> Plot:
    figure, axes = _axes(6, 3.2)
    sizes = list(suite.overlap_curve)
    axes.semilogx(sizes, list(suite.overlap_curve.values()), "o-", label="O_q, images and texts", color="black")
    axes.semilogx(sizes, [q / suite.dimension for q in sizes], "--", label="chance, q / d", color="grey")
    axes.set(xlabel="q", ylim=(0, 1.05))
    axes.legend(fontsize=8)
    return Plot(
        "Shared directions (follow-up paper)",
        _uri(figure),
        "Overlap of the top-q eigenvectors of images and texts before alignment against q, with the chance line q / d.",
        "Above the line, both sets vary along common directions.",
    )


def _drift(suite: Suite) -> Plot:
    figure, axes = _axes(6, 3.2)
    residuals = [drift.relative_residual for drift in suite.drift]
    predicted = [np.linalg.norm(drift.predicted) for drift in suite.drift]
    measured = [np.linalg.norm(drift.measured) for drift in suite.drift]
    axes.loglog(residuals, predicted, "--", label="predicted", color="grey")
    axes.loglog(residuals, measured, "o-", label="measured", color="black")
    axes.set(xlabel="RMS residual over length of the mean", ylabel="drift")
    axes.legend(fontsize=8)
    return Plot(
        "Phantom drift (theorem B.14)",
        _uri(figure),
        "Drift of the mean direction under normalisation, predicted to second order and measured, by residual.",
        "Texts after anchor and trace; the residual is scaled by " + ", ".join(f"{f:g}" for f in DRIFT_FACTORS) + ".",
    )
