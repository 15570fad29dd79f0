"""One look for every figure: colour-blind safe (Okabe and Ito), vector and PNG, the paper's value a black diamond."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from revision.files import atomic_file

COLOURS = {
    "blind": "#999999",
    "identity": "#E69F00",
    "no_align": "#E69F00",
    "original": "#E69F00",
    "c3": "#56B4E9",
    "realign": "#009E73",
    "revision": "#009E73",
    "paired": "#CC79A7",
}
NAMES = {
    "blind": "Blind",
    "no_align": "No Align",
    "identity": "No Align",
    "c3": "C3",
    "realign": "ReAlign",
    "revision": "ReVision",
    "paired": "Paired (oracle)",
}
PAPER = {"marker": "D", "color": "black", "linestyle": "none", "markersize": 5, "label": "paper", "zorder": 5}

plt.rcParams.update(
    {
        "figure.constrained_layout.use": True,
        "figure.dpi": 120,
        "savefig.dpi": 160,
        "font.size": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.grid.axis": "y",
        "grid.alpha": 0.3,
        "legend.frameon": False,
        "pdf.fonttype": 42,
        "svg.hashsalt": "revision",
    }
)


def name_of(method: str) -> str:
    """How a method is called in figures and tables."""
    return NAMES.get(method, method.replace("_", " "))


def colour_of(method: str) -> str:
    """The colour of a method, the same in every figure."""
    return COLOURS.get(method, "#0072B2")


def save(figure: Figure, table: Path) -> None:
    """Write the figure as PNG and PDF beside the CSV file `table`."""
    for ending, metadata in ((".png", {"Software": None}), (".pdf", {"CreationDate": None})):
        with atomic_file(table.with_suffix(ending)) as temporary:
            figure.savefig(temporary, metadata=metadata)
    plt.close(figure)


def save_table(frame, path: Path) -> None:  # type: ignore[no-untyped-def]
    """Write the tidy table behind a figure as CSV."""
    with atomic_file(path) as temporary:
        frame.to_csv(temporary, index=False)
