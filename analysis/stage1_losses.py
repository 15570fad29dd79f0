"""Caption loss on held-out real images (nats per token) of every variant after Stage 1."""

import re
from pathlib import Path

import pandas as pd
from figure_inputs import arguments
from style import run, save_table


def measure(folders: list[Path]) -> pd.DataFrame:
    """One row per checkpoint <method>/encoder<e>_seed<s>: method, encoder, seed, caption_loss at the end of Stage 1."""
    rows = []
    for folder in folders:
        encoder, seed = map(int, re.findall(r"\d+", folder.name))
        loss = pd.read_csv(folder / "history.csv").validation_loss.iloc[-1]
        rows.append({"method": folder.parent.name, "encoder": encoder, "seed": seed, "caption_loss": loss})
    return pd.DataFrame(rows)


def main() -> None:
    """Write the table."""
    options = arguments(__doc__, checkpoints={"type": Path, "nargs": "+", "help": "folders of Stage-1 checkpoints"})
    save_table(measure(options.checkpoints), *options.out)


if __name__ == "__main__":
    run(main)
