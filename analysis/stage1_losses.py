"""Stage-1 caption loss on held-out real pictures (nats a token): what each alignment is worth before any Stage 2."""

import argparse
from pathlib import Path

import pandas as pd
from style import save_table


def measure(folders: list[Path]) -> pd.DataFrame:
    """One row a checkpoint <method>/seed<n>: method, seed, caption_loss at the end of Stage 1."""
    return pd.DataFrame(
        [
            {
                "method": folder.parent.name,
                "seed": int(folder.name.removeprefix("seed")),
                "caption_loss": pd.read_csv(folder / "history.csv").validation_loss.iloc[-1],
            }
            for folder in folders
        ]
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoints", type=Path, nargs="+", help="folders of Stage-1 checkpoints")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    save_table(measure(options.checkpoints), options.out)
