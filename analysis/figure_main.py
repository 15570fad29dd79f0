"""The main figure: what each aligner does to the gap, after Stage 1 and after Stage 2, with floor and ceiling.

Reads the table of figure 3, the caption losses after Stage 1 and the paired differences of all variants. A scale
without Stage 2 has scored captions in place of these differences.
"""

from pathlib import Path
from typing import NamedTuple

import matplotlib.pyplot as plt
import pandas as pd
from figure_inputs import arguments
from matplotlib.axes import Axes
from style import PAGE, colour_of, describe, name_of, number, run, save, save_table

from revision.evaluation.captioning import CIDER
from revision.stats.intervals import Interval, over_seeds, over_trainings

# Variants of the paper that differ in nothing but the aligner of their Stage-1 texts, with that aligner.
ALIGNERS = {
    "no_align": "identity",
    "c3": "c3",
    "bc_align": "bc_align",
    "step_1": "realign_1",
    "step_12": "realign_12",
    "revision": "realign",
}
CEILING, FLOOR, REFERENCE = "paired", "blind", "no_align"
NO_IMAGE = "mean image"
TEXT_ONLY = ("text_revision", "text_no_align")  # both stages on text alone, with ReAlign and without alignment
GAP, STAGE1, STAGE2, TEXT, CAPTIONS = ("fitted", "held-out"), "stage1", "stage2", "text only", "captions"
LABEL = {"textcoords": "offset points", "bbox": {"facecolor": "white", "edgecolor": "none", "pad": 0.1}}


class Panel(NamedTuple):
    """A panel of gains over No Align: title, label of the axis, format of a gain, and the row of the floor."""

    title: str
    label: str
    form: str
    floor: str


PANELS = {
    STAGE1: Panel("Gain after Stage 1", "caption loss below No Align,\nnats per token (better →)", "+.3f", NO_IMAGE),
    STAGE2: Panel("Gain after Stage 2", "accuracy above No Align,\npoints (better →)", "+.1f", FLOOR),
    CAPTIONS: Panel("Captions after Stage 1", "CIDEr-D above No Align\n(better →)", "+.2f", NO_IMAGE),
}


def measure(
    gap: pd.DataFrame, losses: pd.DataFrame, pairs: pd.DataFrame | None, captions: pd.DataFrame | None = None
) -> pd.DataFrame:
    """One row per number: what, method, reference, value, low and high.

    `what` is fitted, held-out, stage1, stage2, text only or captions. stage1 is the caption loss of the reference minus
    that of the method, stage2 the accuracy and captions the CIDEr-D of the method minus that of the reference, so that
    more is better in all. Stage 1 has no text-only model; its floor is Paired with the mean image.
    """
    rows = []

    def add(what: str, method: str, effect: Interval, reference: str = "") -> None:
        rows.append({"what": what, "method": method, "reference": reference} | effect.ends())

    def gains(what: str, own: pd.DataFrame, mean_image: pd.DataFrame) -> None:
        for method in [*ALIGNERS, CEILING]:
            if method in own and method != REFERENCE:
                add(what, method, over_trainings(own[method]), REFERENCE)
        if CEILING in mean_image:
            add(what, NO_IMAGE, over_trainings(mean_image[CEILING]), REFERENCE)

    short = gap[gap.caption == "short"]
    for method, aligner in ALIGNERS.items():
        for sample in GAP:
            values = short[(short.method == aligner) & (short["sample"] == sample)].gap
            if len(values):
                add(sample, method, over_seeds(values.to_numpy()))
    wide = losses.pivot(index=["encoder", "seed"], columns="method", values=["caption_loss", "mean_image_loss"])
    reference = wide["caption_loss", REFERENCE]
    gains(STAGE1, wide["caption_loss"].rsub(reference, axis=0), wide["mean_image_loss"].rsub(reference, axis=0))
    if captions is not None:
        scores = captions[(captions.stage == STAGE1) & (captions.metric == CIDER)]
        scores = scores.pivot(index=["encoder", "seed"], columns=["condition", "method"], values="value")
        reference = scores["own", REFERENCE]
        gains(CAPTIONS, scores["own"].sub(reference, axis=0), scores["mean"].sub(reference, axis=0))
    if pairs is None:
        return pd.DataFrame(rows)
    final = pairs[(pairs.stage == STAGE2) & (pairs.group == "all")].set_index(["first", "second"])
    compared = [(STAGE2, method, REFERENCE) for method in [*ALIGNERS, CEILING, FLOOR]] + [(STAGE2, CEILING, FLOOR)]
    compared += [(TEXT, method, TEXT_ONLY[1]) for method in (TEXT_ONLY[0], CEILING)]
    for what, first, second in compared:
        if (first, second) in final.index:
            row = final.loc[(first, second)]
            add(what, first, Interval(row.difference, row.low, row.high), second)
    return pd.DataFrame(rows)


def gained(axes: Axes, table: pd.DataFrame, y: dict[str, int], form: str, floor: str) -> None:
    """Draw differences from No Align as dots with intervals; a floor beyond the other rows becomes an arrow."""
    table = table.fillna({"low": table.value, "high": table.value})  # a single training has no interval
    inner = table[table.method != floor]
    span = max(inner.high.max(), 0) - min(inner.low.min(), 0) or 1
    left, right = min(inner.low.min(), 0) - 0.12 * span, max(inner.high.max(), 0) + 0.12 * span
    axes.axvline(0, color=colour_of(REFERENCE), linewidth=1)
    for row in table.itertuples():
        colour = colour_of("blind" if row.method == floor else row.method)
        if row.method == CEILING:
            axes.axvspan(row.low, row.high, color=colour, alpha=0.15, linewidth=0)
            axes.axvline(row.value, color=colour, linewidth=1, linestyle="--")
        if row.method == floor and row.value < left:
            text = f"◂ {row.value:{form}} [{row.low:{form}}, {row.high:{form}}]"
            axes.annotate(text, (left, y[row.method]), (2, 0), va="center", **LABEL)
            continue
        errors = [[row.value - row.low], [row.high - row.value]]
        axes.errorbar(row.value, y[row.method], xerr=errors, fmt="o", capsize=2, color=colour, markersize=5)
        axes.annotate(f"{row.value:{form}}", (row.value, y[row.method]), (0, 6), ha="center", **LABEL)
    axes.set_xlim(left, right)
    axes.grid(axis="x", alpha=0.3)
    axes.grid(axis="y", visible=False)


def draw(table: pd.DataFrame, path: Path) -> None:
    """Draw one row per aligner and three panels: the gap, Stage 1 and Stage 2."""
    differences = table[(table.reference == REFERENCE)]
    shown = [name for name in ALIGNERS if name == REFERENCE or name in set(differences.method)]
    rows = [*shown, *([CEILING] if CEILING in set(differences.method) else []), FLOOR]
    y = {name: index for index, name in enumerate(rows)} | {NO_IMAGE: len(rows) - 1}
    panels = {what: panel for what, panel in PANELS.items() if what in set(table.what)}
    figure, (first, *others) = plt.subplots(1, 1 + len(panels), figsize=(PAGE, 1.35 + 0.28 * len(rows)), sharey=True)
    for row in table[table.what.isin(GAP) & table.method.isin(shown)].itertuples():
        fill = "full" if row.what == GAP[0] else "none"
        first.plot(row.value, y[row.method], "o", color=colour_of(row.method), markersize=5, fillstyle=fill)
        if row.what == GAP[0]:
            at = (row.value, y[row.method])
            first.annotate(number(row.value, 2), at, (0, 6), ha="center", **LABEL)
    first.set_xscale("log")
    first.margins(x=0.15)
    first.grid(axis="x", alpha=0.3)
    first.grid(axis="y", visible=False)
    names = {name: name_of(aligner) for name, aligner in ALIGNERS.items()} | {
        CEILING: "Ceiling: pairs",
        FLOOR: "Floor: no image",
    }
    first.set_yticks(range(len(rows)), [names[name] for name in rows])
    first.set_ylim(len(rows) - 0.5, -0.7)
    first.set_title("Gap that is left", loc="left", fontweight="bold")
    first.set_xlabel("distance of the centroids\n(ring: held out)")
    for axes, (what, panel) in zip(others, panels.items(), strict=True):
        gained(axes, differences[differences.what == what], y, panel.form, panel.floor)
        axes.set_title(panel.title, loc="left", fontweight="bold")
        axes.set_xlabel(panel.label)
    save(figure, path)


def main() -> None:
    """Measure, draw and describe."""
    optional = {"type": Path, "nargs": "*"}
    options = arguments(__doc__, "gap", "losses", pairs=optional, captions=optional)
    (out,), losses = options.out, pd.read_csv(options.losses)
    pairs, captions = ([pd.read_csv(path) for path in paths] for paths in (options.pairs, options.captions))
    table = measure(pd.read_csv(options.gap), losses, *(pairs or [None]), *captions)
    save_table(table, out)
    draw(table, out)
    effects = {
        what: part.set_index("method").to_dict("index")
        for what, part in table[table.reference != FLOOR].groupby("what")
    }
    describe(out, {"effects": effects, "encoders": losses.encoder.nunique(), "seeds": losses.seed.nunique()})


if __name__ == "__main__":
    run(main)
