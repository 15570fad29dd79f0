"""Paired differences in accuracy between all pairs of variants, after each stage; the claims on training use them."""

from pathlib import Path

import pandas as pd
from figure_inputs import arguments
from style import run, save_table

from revision.stats.paired import paired_table, read_answers

STAGES = ("stage2", "stage1")


def measure(paths: list[Path]) -> pd.DataFrame:
    """One row per ordered pair and group of suites: the stage, then `revision.stats.paired.paired_table`."""
    names = read_answers(paths).methods
    tables = []
    for stage in STAGES:
        chosen = [name for name in names if name.startswith(f"{stage}/")]
        if len(chosen) < 2:
            continue
        table = paired_table(read_answers(paths, chosen))
        for column in ("first", "second"):
            table[column] = table[column].str.removeprefix(f"{stage}/")
        table.insert(0, "stage", stage)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def main() -> None:
    """Write the table."""
    options = arguments(__doc__, answers={"type": Path, "nargs": "+", "help": "answers of every training"})
    save_table(measure(options.answers), *options.out)


if __name__ == "__main__":
    run(main)
