"""What all scripts share: names, colours and number formats, and how figures, tables and sidecars are written.

Figures have the width of one or of both columns of a paper and one size of letters. Colours are safe for colour-blind
readers (after Okabe and Ito, and Tol); a method has the same one in every figure. Open black diamonds are the paper's
values.
"""

import math
import sys
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from PIL import Image

from revision.errors import RevisionError
from revision.io.files import atomic_file, write_json

SUPERSCRIPTS = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")

# Methods of one family share a hue. Sets of images and captions are no methods, and have colours of their own.
COLOURS = {
    "blind": "#999999",
    "identity": "#E69F00",
    "no_align": "#E69F00",
    "original": "#E69F00",
    "no_align_corrected": "#B57A00",
    "mean_shift": "#C2A500",
    "unicorn": "#C2A500",
    "c3": "#56B4E9",
    "c3_centred": "#0072B2",
    "centred": "#00406B",
    "realign_1": "#8FD3BF",
    "step_1": "#8FD3BF",
    "realign_12": "#47B99A",
    "step_12": "#47B99A",
    "realign": "#009E73",
    "revision": "#009E73",
    "realign_iterated": "#00543D",
    "iterated": "#00543D",
    "bc_align": "#D55E00",
    "gaussian_ot": "#8C564B",
    "aniso_align": "#882255",
    "procrustes": "#AA4499",
    "ridge": "#6F4FB3",
    "paired": "#CC79A7",
    "image": "#000000",
    "short": "#999933",
    "long": "#332288",
}
NAMES = {
    "blind": "Blind",
    "no_align": "No Align",
    "identity": "No Align",
    "image": "Images",
    "c3": "C3",
    "realign_1": "ReAlign step 1",
    "realign_12": "ReAlign steps 1+2",
    "realign": "ReAlign",
    "realign_iterated": "ReAlign iterated",
    "mean_shift": "Mean shift",
    "c3_centred": "C3 centred",
    "centred": "Centred, no noise",
    "bc_align": "BC Align",
    "gaussian_ot": "Gaussian OT",
    "aniso_align": "AnisoAlign (closed form)",
    "procrustes": "Procrustes (pairs)",
    "ridge": "Ridge (pairs)",
    "revision": "ReVision",
    "paired": "Paired (oracle)",
    "unicorn": "Unicorn (mean shift)",
    "revision_2x": "ReVision, 2x text",
    "no_align_corrected": "No Align, bias corrected",
    "revision_again": "ReVision again (A/A)",
    "text_no_align": "No Align, text only",
    "text_c3": "C3, text only",
    "text_step_1": "Step 1, text only",
    "text_step_12": "Steps 1 and 2, text only",
    "text_revision": "ReVision, text only",
    "text_bc_align": "BC Align, text only",
    "text_gaussian_ot": "Gaussian OT, text only",
    "mix_1": "ReVision, 1% images",
    "mix_10": "ReVision, 10% images",
    "revision_half": "ReVision, half the text",
    "revision_tenth": "ReVision, 0.1x text",
    "long": "ReVision, long captions",
    "step_1": "Step 1",
    "step_12": "Steps 1 and 2",
    "iterated": "ReAlign iterated",
    "without_stage1": "Without Stage 1",
    "share_30": "30% of Stage 2",
    "share_60": "60% of Stage 2",
    "large": "ReVision, larger LLM",
}
COLUMN, PAGE = 3.25, 6.75  # width of one column and of both columns of a paper, inches
ROW = 0.18  # height of a row of a dot plot, inches
PAPER = {
    "marker": "D",
    "color": "black",
    "fillstyle": "none",
    "markeredgewidth": 0.8,
    "linestyle": "none",
    "markersize": 6,
    "label": "paper",
    "zorder": 5,
}
LEVEL = {"color": "grey", "linestyle": ":", "linewidth": 1, "zorder": 1}

STYLE = {
    "figure.constrained_layout.use": True,
    "savefig.dpi": 200,
    "font.size": 8,
    "font.family": ["sans-serif", "DejaVu Sans"],  # the second has the characters that the first lacks
    "font.sans-serif": ["Arial", "Helvetica", "Liberation Sans", "DejaVu Sans"],
    "mathtext.fontset": "custom",
    "mathtext.fallback": "stixsans",
    "mathtext.cal": "sans",
    "figure.labelsize": "medium",
    "axes.titlesize": "medium",
    "axes.titlelocation": "left",
    "axes.titlepad": 4,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.alpha": 0.3,
    "grid.linewidth": 0.5,
    "lines.linewidth": 1.2,
    "lines.markersize": 4.5,
    "legend.frameon": False,
    "legend.handlelength": 1.6,
    "legend.handletextpad": 0.5,
    "legend.columnspacing": 1.4,
    "legend.borderaxespad": 0.3,
    "pdf.fonttype": 42,
}


def number(value: float | None, digits: int = 4) -> str:
    """A number to `digits` significant digits; beyond 1e-4 and 1e6 as a power of ten, and a dash if missing."""
    if value is None or math.isnan(value):
        return "–"
    if value == 0 or 1e-4 <= abs(value) < 1e6:
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.{digits}g}"
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    return f"{mantissa} × 10{str(int(exponent)).translate(SUPERSCRIPTS)}"


CAPTIONS = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "captions"), undefined=StrictUndefined, trim_blocks=True
)
CAPTIONS.filters |= {"fmt": format, "number": number}  # {{ gap | fmt(".3f") }}, {{ gap | number(3) }}


def run(main: Callable[[], None]) -> None:
    """Run a script in this style without a display; an error that the user can fix ends it in one line."""
    matplotlib.use("Agg")
    try:
        with matplotlib.rc_context(STYLE):
            main()
    except (RevisionError, OSError) as error:
        sys.exit(f"error: {error}")


def name_of(method: str) -> str:
    """The name of a method in figures and tables."""
    return NAMES.get(method, method.replace("_", " "))


def intervals_of(encoders: int, seeds: int) -> str:
    """A sentence on how accuracies and their intervals are made of encoders and of training seeds of each."""
    if encoders > 1:
        each = "one training seed" if seeds == 1 else f"{seeds} training seeds"
        return (
            f"Means over {encoders} encoders with {each} each; 95% intervals by a random-effects model of encoders,"
            " seeds within encoders, and questions; differences are paired over all."
        )
    if seeds > 1:
        return (
            f"Means over {seeds} training seeds; 95% intervals by a random-effects model of seeds and questions,"
            " conditional on one encoder; differences are paired over both."
        )
    return "One training; 95% intervals over questions, conditional on one encoder and seed; differences are paired."


def colour_of(method: str) -> str:
    """The colour of a method, the same in every figure; with text-only questions it is that of the aligner."""
    return COLOURS.get(method.removeprefix("text_"), "#555555")


def save(figure: Figure, table: Path) -> None:
    """Write the figure as PDF and PNG, the latter in 256 colours for small reports, beside the CSV file `table`."""
    with atomic_file(table.with_suffix(".pdf")) as temporary:
        figure.savefig(temporary, metadata={"CreationDate": None})
    pixels = BytesIO()
    figure.savefig(pixels, format="png")
    plt.close(figure)
    with Image.open(pixels) as image, atomic_file(table.with_suffix(".png")) as temporary:
        image.convert("RGB").quantize(256).save(temporary, format="png", optimize=True)


def save_table(frame: pd.DataFrame, path: Path) -> None:
    """Write the tidy table behind a figure as CSV."""
    with atomic_file(path) as temporary:
        frame.to_csv(temporary, index=False)


def key(**style: Any) -> plt.Line2D:
    """An entry of a legend: a grey dot, unless `style` differs."""
    return plt.Line2D([], [], **{"color": "grey", "marker": "o", "linestyle": "none"} | style)


def rows(axes: Axes, names: Sequence[str]) -> None:
    """Prepare a row for each of `names`, the first on top."""
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")


def method_rows(axes: Axes, methods: Sequence[str]) -> None:
    """Prepare a row for each method."""
    rows(axes, [name_of(name) for name in methods])


def number_column(axes: Axes, values: Sequence[float | str | None], heading: str = "", right: float = 6) -> None:
    """Print one number per row, and a heading above, in a column `right` points to the right of the axes."""
    beside = {"textcoords": "offset points", "annotation_clip": False}
    for y, value in enumerate(values):
        text = value if isinstance(value, str) else number(value, 3)
        place = {"xytext": (right, 0), "xycoords": ("axes fraction", "data"), "va": "center_baseline"}
        axes.annotate(text, (1, y), **place, **beside)
    axes.annotate(heading, (1, 1), xytext=(right, 4), xycoords="axes fraction", va="baseline", **beside)


def dots(axes: Axes, values: dict[str, float], published: dict[str, float] | None = None) -> None:
    """One row per method: its value as a dot and as a number on the right; the paper's value as an open diamond."""
    method_rows(axes, list(values))
    for y, (name, value) in enumerate(values.items()):
        axes.plot(value, y, "o", color=colour_of(name))
    number_column(axes, list(values.values()))
    paper = {name: value for name, value in (published or {}).items() if value is not None and name in values}
    if paper:
        axes.plot(list(paper.values()), [list(values).index(name) for name in paper], **PAPER)
    axes.margins(x=0.08)


def plain_log(*axes: Axis) -> None:
    """Tick labels of logarithmic axes: powers of ten, or plain numbers where there are few powers of ten."""
    for axis in axes:
        low, high = sorted(axis.get_view_interval())
        decades = np.log10(high / low)
        axis.set_major_locator(LogLocator(subs=(1, 2, 5) if decades < 1.2 else (1, 3) if decades < 2.4 else (1,)))
        axis.set_minor_formatter(NullFormatter())
        if decades < 2.4:
            axis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))


def fill_template(template: str, numbers: dict[str, Any]) -> dict[str, str]:
    """Title, place in the paper, alt text and caption of a figure, from analysis/captions/<template>.md.j2."""
    functions = {"name_of": name_of, "intervals_of": intervals_of}
    head, caption = CAPTIONS.get_template(f"{template}.md.j2").render(numbers | functions).split("\n---\n", 1)
    return yaml.safe_load(head) | {"caption": " ".join(caption.split())}


def describe(
    path: Path,
    numbers: dict[str, Any],
    comparisons: list[tuple[str, float | None, float | None]] | None = None,
    *,
    template: str | None = None,
    reference: str | None = None,
) -> None:
    """Write the texts that the report prints beside a figure to a JSON file next to its CSV file `path`.

    The template is named like the figure unless `template` is given. Its head is YAML with the title, the place in the
    paper and the alt text of the image; the caption below opens with a sentence in bold that states what the figure
    shows. `comparisons` has rows of (quantity, the paper's value, ours); `reference` is the row of a table of variants
    to which its differences refer.
    """
    rows = [
        {"what": what, "paper": None if paper is None else float(paper), "ours": None if ours is None else float(ours)}
        for what, paper, ours in comparisons or []
    ]
    text = fill_template(template or path.stem, numbers) | {"comparisons": rows}
    write_json(path.with_suffix(".json"), text if reference is None else text | {"reference": reference})
