"""Caption loss on held-out real images (nats per token) of every variant after Stage 1."""

from pathlib import Path

import pandas as pd
from figure_inputs import arguments
from records import histories
from style import run, save_table


def measure(curves: pd.DataFrame) -> pd.DataFrame:
    """One row per checkpoint in `records.histories`: method, encoder, seed, and losses at the end of Stage 1.

    caption_loss is with the caption's own image, other_image_loss with another one, mean_image_loss with their mean.
    """
    last = curves.groupby(["variant", "encoder", "seed"], sort=False).tail(1).reset_index(drop=True)
    last = last.rename(columns={"variant": "method", "validation_loss": "caption_loss"})
    return last[["method", "encoder", "seed", "caption_loss", "other_image_loss", "mean_image_loss"]]


def main() -> None:
    """Write the table."""
    options = arguments(__doc__, checkpoints={"type": Path, "nargs": "+", "help": "folders of Stage-1 checkpoints"})
    save_table(measure(histories(options.checkpoints)), *options.out)


if __name__ == "__main__":
    run(main)
