"""The answer of a run in three sentences: the gap, training after Stage 1, training after Stage 2."""

import pandas as pd
from figure_main import CEILING, FLOOR, REFERENCE, STAGE1, STAGE2
from style import number

CLOSED = 0.1  # largest fraction of the gap that may be left
FORMS = {STAGE1: "+.3f", STAGE2: "+.1f"}
CHANGES = {
    STAGE1: "No Align minus ReAlign, caption loss on held-out images",
    STAGE2: "ReAlign minus No Align, accuracy",
}
UNITS = {STAGE1: "nats per token", STAGE2: "points"}


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
        ends = "" if pd.isna(cell.low) else f" [{number(max(cell.low, 0), 3)}, {number(cell.high, 3)}]"
        return number(cell.value, 3) + ends

    head = "ReAlign closes the gap" if most < CLOSED * least else "ReAlign does not close the gap"
    text = (
        f"The distance between the centroids of texts and images goes from {written(REFERENCE, 'fitted')} to"
        f" {written('revision', 'fitted')} on the rows that it is fitted on, and to"
        f" {written('revision', 'held-out')} on held-out pairs"
    )
    if ("c3", "fitted") in gaps.index:
        text += (
            f" (C3: {number(gaps.loc[('c3', 'fitted')].value, 3)} and {number(gaps.loc[('c3', 'held-out')].value, 3)})"
        )
    return head, text + "."


def stage_sentence(table: pd.DataFrame, what: str) -> tuple[str, str]:
    """Whether ReAlign trains better than No Align; a run whose positive controls fail does not answer.

    The controls are those of the claims (config/claims.yaml): Paired better than No Align, and after Stage 2 also
    better than Blind.
    """
    part = table[table.what == what].set_index(["method", "reference"]).sort_index()
    stage, form, unit = f"After Stage {what[-1]}", FORMS[what], UNITS[what]
    aligned = part.loc[("revision", REFERENCE)]
    effect = f"{CHANGES[what]}: {span(aligned, form)} {unit}"
    if (CEILING, REFERENCE) not in part.index:
        return f"{stage} this run cannot tell", f"It has no training on pairs as a positive control. {effect}."
    if (CEILING, FLOOR) in part.index and not part.loc[(CEILING, FLOOR)].low > 0:
        control = span(part.loc[(CEILING, FLOOR)], form)
        control = f"training on pairs is not clearly better than training without images ({control} {unit})"
        return f"{stage} this run decides nothing", f"Its positive control fails: {control}. {effect}."
    ceiling = part.loc[(CEILING, REFERENCE)]
    if not ceiling.low > 0:
        control = f"even training on pairs is not clearly better than no alignment ({span(ceiling, form)} {unit})"
        return f"{stage} this run shows no room for an aligner", f"Its positive control fails: {control}. {effect}."
    if aligned.low > 0:
        head = f"{stage} alignment helps"
    elif aligned.high < 0:
        head = f"{stage} alignment hurts"
    else:
        head = f"{stage} no effect of alignment is clear"
    return head, f"{effect}; the ceiling, training on pairs: {span(ceiling, form)}."


def sentences(table: pd.DataFrame) -> list[tuple[str, str]]:
    """Head and sentence of each part of the answer, from the table of the main figure."""
    table = table.fillna({"reference": ""})
    return [gap_sentence(table), stage_sentence(table, STAGE1), stage_sentence(table, STAGE2)]
