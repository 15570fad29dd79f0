"""CIDEr of captions of photographs: a table of every stage, method and condition (concept.md explains the floors).

Reads the captions of every replicate (`revision evaluate --captions`).
"""

from pathlib import Path

import pandas as pd
from figure_inputs import arguments
from style import run, save_table

from revision.evaluation.captioning import CIDER
from revision.stats.intervals import over_trainings

KEYS = ["stage", "method", "condition"]


def measure(captions: pd.DataFrame) -> pd.DataFrame:
    """One row per stage, method and condition: the mean over photographs and replicates, times 100, with interval."""
    captions[["stage", "method"]] = captions.method.str.split("/", n=1, expand=True)
    replicates = 100 * captions.groupby([*KEYS, "encoder", "seed"], sort=False)[CIDER].mean()
    rows = []
    for key, cell in replicates.groupby(KEYS, sort=False):
        ends = over_trainings(cell.droplevel(KEYS)).ends()
        rows.append(dict(zip(KEYS, key, strict=True)) | {"metric": "CIDEr-D"} | ends)
    return pd.DataFrame(rows)


def main() -> None:
    """Measure."""
    options = arguments(__doc__, captions={"type": Path, "nargs": "+", "help": "captions of every replicate"})
    (out,) = options.out
    captions = pd.concat([pd.read_parquet(path, page_checksum_verification=True) for path in options.captions])
    save_table(measure(captions), out)


if __name__ == "__main__":
    run(main)
