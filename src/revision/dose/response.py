"""Responses of the study over its replicates: means, and differences from a condition, with 95% intervals."""

import pandas as pd

from revision.errors import DataError
from revision.stats.intervals import over_trainings

CONDITION = ["kind", "dose", "steps", "metric"]


def responses(table: pd.DataFrame) -> pd.DataFrame:
    """Average every condition over replicates.

    Parameters
    ----------
    table : pandas.DataFrame
        Tables of `revision dose` for all replicates.

    Returns
    -------
    pandas.DataFrame
        kind, dose, steps, metric, value, low, high.
    """
    rows = []
    for condition, part in table.groupby(CONDITION, sort=False):
        about = dict(zip(CONDITION, condition, strict=True))
        rows.append(about | over_trainings(part.set_index("encoder").value).ends())
    return pd.DataFrame(rows)


def differences(table: pd.DataFrame, kind: str, reference: str) -> pd.DataFrame:
    """Subtract a condition of the same kind from the others, paired by replicate, and average.

    Parameters
    ----------
    table : pandas.DataFrame
        Tables of `revision dose` for all replicates.
    kind : str
        Kind of the conditions.
    reference : str
        Dose, or name of the aligner, that is subtracted.

    Returns
    -------
    pandas.DataFrame
        kind, dose, steps, metric, value, low, high; metrics that the reference lacks are left out.

    Raises
    ------
    DataError
        If the table has no such condition.
    """
    key = ["encoder", "seed", "steps", "metric"]
    chosen = table[table.kind == kind]
    base = chosen[chosen.dose == reference].set_index(key).value
    if base.empty:
        raise DataError(f"dose: no {kind} {reference} to compare with; add it to the settings of the study")
    others = chosen[chosen.dose != reference].join(base.rename("base"), on=key).dropna(subset="base")
    return responses(others.assign(value=others.value - others.base))
