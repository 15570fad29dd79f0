"""Make the score tables, the paired differences and the caption losses again from the records of a run.

    python analysis/recompute.py --records reference/laptop/records --published config/published.yaml --out build/again

The tables equal those of the run: every interval follows from the records. Figures need embeddings, which are not kept.
"""

import pairs
import pandas as pd
import stage1_losses
import tables
from figure_inputs import arguments
from style import run, save_table

from revision.config import Configuration, read, read_yaml
from revision.errors import DataError


def main() -> None:
    """Write the tables."""
    options = arguments(__doc__, "records", "published")
    (out,), answers = options.out, [options.records / "answers.parquet"]
    if not answers[0].is_file():
        raise DataError(f"{options.records}: no answers.parquet; name the folder `records` of a run")
    config, published = read(options.records / "config.yaml", Configuration), read_yaml(options.published)
    own_stage1 = [name for name in config.trained if config.stage1_of(name) == name]
    for name, settings in config.filled_tables().items():
        table = tables.measure(answers, settings, [row for row in settings.rows if row in own_stage1])
        tables.add_published(table, settings, published["tables"].get(name.replace("_", ""), {"rows": {}}))
        save_table(table, out / f"{name}.csv")
    save_table(pairs.measure(answers), out / "pairs.csv")
    curves = pd.read_parquet(options.records / "histories.parquet").query("stage == 'stage1'")
    short = [curves[curves.variant == name] for name in own_stage1 if config.variants[name].caption != "long"]
    save_table(stage1_losses.measure(pd.concat(short)), out / "stage1_caption_loss.csv")


if __name__ == "__main__":
    run(main)
