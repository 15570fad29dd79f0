"""Pack the raw records of a run: every answer, scored caption and training curve, the configuration, and versions.

`analysis/recompute.py` makes the tables again from them.
"""

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from figure_inputs import arguments
from style import run

from revision.errors import DataError
from revision.io.files import atomic_folder, write_json
from revision.io.manifest import versions

REPLICATE = re.compile(r"encoder(?P<encoder>\d+)_seed(?P<seed>\d+)")


def histories(folders: Sequence[Path]) -> pd.DataFrame:
    """The training curves of checkpoints <stage>/<variant>/encoder<e>_seed<s>.

    One row per observation: stage, variant, encoder, seed, then the columns of history.csv.
    """
    tables = []
    for folder in folders:
        replicate = REPLICATE.fullmatch(folder.name)
        if replicate is None:
            raise DataError(f"{folder}: not the name of a checkpoint; expected encoder<e>_seed<s>")
        numbers = {name: int(number) for name, number in replicate.groupdict().items()}
        names = {"stage": folder.parents[1].name, "variant": folder.parent.name} | numbers
        history = pd.read_csv(folder / "history.csv")
        tables.append(pd.DataFrame(names, index=history.index).join(history))
    return pd.concat(tables, ignore_index=True)


def write(table: pa.Table, path: Path) -> None:
    """Write a small Parquet file."""
    pq.write_table(table.replace_schema_metadata(), path, compression="zstd", compression_level=19)


def main() -> None:
    """Pack."""
    several = {"type": Path, "nargs": "*"}
    options = arguments(__doc__, "config", answers=several, checkpoints=several, captions=several)
    (out,) = options.out
    with atomic_folder(out) as part:
        for name, paths in (("answers", options.answers), ("captions", options.captions)):
            if paths:
                write(pa.concat_tables(map(pq.read_table, paths)), part / f"{name}.parquet")
        curves = pa.Table.from_pandas(histories(options.checkpoints), preserve_index=False)
        write(curves, part / "histories.parquet")
        shutil.copyfile(options.config, part / "config.yaml")
        write_json(part / "versions.json", versions())


if __name__ == "__main__":
    run(main)
