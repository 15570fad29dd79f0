"""Verdicts counted by family, and how far they could be due to the number of tests."""

import numpy as np
import pandas as pd

from revision.stats.claims import ARITHMETIC, BEYOND, GEOMETRY, NOT_RUN, TRAINING, VERDICTS
from revision.stats.criteria import CONTRADICTED, SUPPORTED
from revision.stats.intervals import LEVEL


def count_verdicts(verdicts: pd.DataFrame) -> pd.DataFrame:
    """Count first versions by family and verdict.

    Parameters
    ----------
    verdicts : pandas.DataFrame
        As returned by `verdict_table`, or read from its CSV file.

    Returns
    -------
    pandas.DataFrame
        Families as rows, verdicts that occur as columns, in the order of `VERDICTS`.
    """
    first = first_versions(verdicts)
    counts = pd.crosstab(first.family, first.verdict)
    families = [family for family in (GEOMETRY, TRAINING, ARITHMETIC, BEYOND) if family in counts.index]
    return counts.loc[families, [verdict for verdict in VERDICTS if verdict in counts]]


def multiplicity(verdicts: pd.DataFrame) -> list[str]:
    """State for each family how far its verdicts could be due to the number of tests.

    Tests with a p-value are corrected by Holm's method, which holds for any dependence between tests. For the others
    with an interval the expected number of errors at 5% is stated, if every true effect were on its bound.

    Parameters
    ----------
    verdicts : pandas.DataFrame
        As for `count_verdicts`; second versions are left out.

    Returns
    -------
    list of str
        One paragraph per family with tests that were run.
    """
    first = first_versions(verdicts)
    sentences = []
    for family, rows in first[first.verdict_without_control != NOT_RUN].groupby("family", sort=False):
        parts = []
        tested = rows[rows.p.notna()].sort_values("p")
        if len(tested):
            holm = np.maximum.accumulate(np.arange(len(tested), 0, -1) * tested.p.to_numpy())
            decided = tested.verdict_without_control.isin((SUPPORTED, CONTRADICTED))
            lost = ", ".join(tested.id[decided & (holm >= 1 - LEVEL)])
            parts.append(
                f"With a p-value: {len(tested)}, of which {decided.sum()} decided by the criteria alone and"
                f" {(decided & (holm < 1 - LEVEL)).sum()} after Holm's correction" + (f" (not {lost})" if lost else "")
            )
        others = rows[rows.p.isna()]
        if interval := (others.high > others.low).sum():
            parts.append(
                f"With an interval only: {interval}; at 5%, {(1 - LEVEL) * interval:.1f} of these would be decided by"
                " chance if every true effect were on its bound"
            )
        if once := others.low.isna().sum():
            parts.append(f"Measured once, with a margin of unknown error rate: {once}")
        if exact := (others.high == others.low).sum():
            parts.append(f"Exact, without sampling error: {exact}")
        sentences.append(f"{family.capitalize()}: {len(rows)} tests. {'. '.join(parts)}.")
    return sentences


def false_discoveries(verdicts: pd.DataFrame) -> str:
    """State how many of all decided verdicts chance could explain at most.

    Parameters
    ----------
    verdicts : pandas.DataFrame
        As for `count_verdicts`; second versions are left out. Verdicts are those by the criteria alone.

    Returns
    -------
    str
        One or two sentences.
    """
    first = first_versions(verdicts)
    tested = first[first.low < first.high]
    decided = tested.verdict_without_control.isin((SUPPORTED, CONTRADICTED)).sum()
    chance = (1 - LEVEL) * len(tested)
    sentence = f"{decided} of {len(tested)} tests with an interval were decided; at 5% each, chance is expected to"
    sentence += f" decide {chance:.1f} at most" + (
        f" ({min(chance / decided, 1):.0%} of the {decided})." if decided else "."
    )
    once = (first.low.isna() & first.effect.notna()).sum()
    return sentence + (f" Effects measured once, with a margin of unknown error rate: {once}." if once else "")


def first_versions(verdicts: pd.DataFrame) -> pd.DataFrame:
    """Select the claims that are not second versions from a table of `verdict_table`, or read from its CSV file."""
    return verdicts[verdicts.second_version_of.fillna("") == ""]
