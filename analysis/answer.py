"""The answer of a run in a sentence each: the gap, training after Stage 1 and after Stage 2, training on text alone."""

from typing import NamedTuple

import pandas as pd
from exhibits import significant
from figure_main import CAPTIONS, CEILING, FLOOR, GAP, REFERENCE, STAGE1, STAGE2, TEXT, TEXT_ONLY

CLOSED = 0.1  # largest fraction of the gap that may be left


class Stage(NamedTuple):
    """What a sentence on training is about: opening, measure, verb for a gain, unit, format and pair of variants."""

    opening: str
    measure: str
    gain: str
    unit: str
    form: str
    pair: tuple[str, str] = ("revision", REFERENCE)


LOSS, ACCURACY, CIDER = "caption loss on held-out images", "accuracy", "quality of captions of held-out images"
STAGES = {
    STAGE1: Stage("After Stage 1", LOSS, "lowers", "nats per token", ".3f"),
    CAPTIONS: Stage("In captions after Stage 1,", CIDER, "raises", "CIDEr-D", ".2f"),
    STAGE2: Stage("After Stage 2", ACCURACY, "raises", "points", ".1f"),
    TEXT: Stage("Beyond the paper, with text alone in both stages,", ACCURACY, "raises", "points", ".1f", TEXT_ONLY),
}


def span(cell: pd.Series, form: str) -> str:
    """A value with its interval, if it has one."""
    ends = "" if pd.isna(cell.low) else f" [{cell.low:{form}}, {cell.high:{form}}]"
    return f"{cell.value:{form}}{ends}"


def gap_sentence(table: pd.DataFrame) -> tuple[str, str]:
    """Whether ReAlign closes the gap on the rows that it is fitted on, and what is left on held-out pairs."""
    gaps = table[table.reference == ""].set_index(["method", "what"]).sort_index()
    before, after = gaps.loc[(REFERENCE, "fitted")], gaps.loc[("revision", "fitted")]
    most, least = after.fillna({"high": after.value}).high, before.fillna({"low": before.value}).low

    def written(method: str, what: str) -> str:
        cell = gaps.loc[(method, what)]
        ends = "" if pd.isna(cell.low) else f" [{significant(max(cell.low, 0))}, {significant(cell.high)}]"
        return significant(cell.value) + ends

    head = "ReAlign closes the gap" if most < CLOSED * least else "ReAlign does not close the gap"
    text = (
        f"The distance between the centroids of texts and images goes from {written(REFERENCE, 'fitted')} to"
        f" {written('revision', 'fitted')} on the rows that it is fitted on, and to"
        f" {written('revision', 'held-out')} on held-out pairs"
    )
    if ("c3", "fitted") in gaps.index:
        fitted, held_out = (significant(gaps.loc[("c3", what)].value) for what in GAP)
        text += f" (C3: {fitted} and {held_out})"
    return head, text + "."


def stage_sentence(table: pd.DataFrame, what: str) -> tuple[str, str]:
    """Whether ReAlign trains better than No Align; a run whose positive controls fail does not answer.

    The controls are those of the claims (config/claims.yaml): Paired better than No Align, and after Stage 2 also
    better than Blind.
    """
    part = table[table.what == what].set_index(["method", "reference"]).sort_index()
    stage = STAGES[what]
    signed = "+" + stage.form
    aligned = part.loc[stage.pair]
    order = "No Align minus ReAlign" if stage.measure == LOSS else "ReAlign minus No Align"
    effect = f"{order}, {stage.measure}: {span(aligned, signed)} {stage.unit}"
    alone = ", clear by itself" if aligned.low > 0 or aligned.high < 0 else ""
    if (CEILING, stage.pair[1]) not in part.index:
        return f"{stage.opening} this run cannot tell", f"It has no training on pairs as a positive control. {effect}."
    if (CEILING, FLOOR) in part.index and not part.loc[(CEILING, FLOOR)].low > 0:
        control = f"{span(part.loc[(CEILING, FLOOR)], signed)} {stage.unit}"
        control = f"training on pairs is not clearly better than training without images ({control})"
        return f"{stage.opening} this run decides nothing", f"Its positive control fails: {control}. {effect}{alone}."
    ceiling = part.loc[(CEILING, stage.pair[1])]
    if not ceiling.low > 0:
        than = "training on pairs is worse" if ceiling.high < 0 else "even training on pairs is not clearly better"
        control = f"{than} than no alignment ({span(ceiling, signed)} {stage.unit})"
        head = f"{stage.opening} this run cannot rank aligners"
        return head, f"Its positive control fails: {control}. {effect}{alone}."
    if aligned.low > 0:
        gains = f"ReAlign {stage.gain} the {stage.measure} by {span(aligned, stage.form)} {stage.unit}"
        return (
            f"{stage.opening} alignment helps",
            f"{gains} against no alignment; the ceiling, training on pairs: {span(ceiling, stage.form)}.",
        )
    head = "alignment hurts" if aligned.high < 0 else "no effect of alignment is clear"
    return f"{stage.opening} {head}", f"{effect}; the ceiling, training on pairs: {span(ceiling, signed)}."


def sentences(table: pd.DataFrame) -> list[tuple[str, str]]:
    """Head and sentence of each part of the answer, from the table of the main figure."""
    table = table.fillna({"reference": ""})
    stages = [what for what in STAGES if ((table.what == what) & (table.method == STAGES[what].pair[0])).any()]
    return [gap_sentence(table), *(stage_sentence(table, what) for what in stages)]
