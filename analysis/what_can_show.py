"""What each comparison of aligners can show, from embeddings alone and before any training.

Reads held-out texts moved by every aligner (`revision measure`) and the configuration.
"""

from typing import Any

import pandas as pd
from figure_inputs import arguments
from style import run, save_table

from revision.config import read_yaml
from revision.gap.displacement import displacement
from revision.gap.held_out import HeldOut, read_held_out

ALIGNERS = "aligners"


def comparisons(config: dict[str, Any], moved: list[str]) -> list[tuple[str, str, str, str, str]]:
    """Rows of tables whose Stage 1 differs in the aligner alone: table, row, reference, and both aligners."""
    variants = config["variants"]
    compared = [(ALIGNERS, name, "identity", name, "identity") for name in moved if name != "identity"]
    for table, settings in config["tables"].items():
        of_reference = variants[settings["reference"]]
        for row in settings["rows"]:
            of_row = variants[row]
            same = all(of_row[key] == of_reference[key] for key in ("source", "caption", "texts", "llm"))
            both = of_row["aligner"], of_reference["aligner"]
            if same and of_row["source"] == "text" and len({*both}) == 2 and {*both} <= {*moved}:
                compared.append((table, row, settings["reference"], *both))
    return compared


def measure(pairs: HeldOut, config: dict[str, Any]) -> pd.DataFrame:
    """One row per comparison; `table_statement` is the statement of the table's largest displacement."""
    table = []
    for name, row, reference, after, before in comparisons(config, list(pairs.moved)):
        moved = displacement(pairs.moved[before][0], pairs.moved[after][0])
        values = {**vars(moved), "remaining": moved.remaining, "statement": moved.statement()}
        table.append({"table": name, "row": row, "reference": reference} | values)
    frame = pd.DataFrame(table)
    largest = frame.loc[frame.groupby("table").remaining.idxmax()].set_index("table").statement
    return frame.assign(table_statement=frame.table.map(largest))


def main() -> None:
    """Write the table."""
    options = arguments(__doc__, "moved", "config")
    save_table(measure(read_held_out(options.moved), read_yaml(options.config)), *options.out)


if __name__ == "__main__":
    run(main)
