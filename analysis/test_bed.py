"""Whether a run's test bed meets the rules by which it was chosen (docs/world.md), from Paired and floors alone."""

import pandas as pd
from figure_inputs import arguments
from style import run, save_table

from revision.config import Configuration, read
from revision.data.scenes import World
from revision.stats.intervals import Interval, over_trainings

GAP, ANISOTROPY, APART, MARGIN, CEILING = 0.3, 3.0, 0.4, 15.0, 95.0


def row(rule: int, quantity: str, measured: Interval, low: float, high: float = float("nan")) -> dict:
    """One rule's quantity, its bounds, and whether the estimate is within them."""
    bounds = {"at_least": low, "at_most": high, "holds": low <= measured.value and not measured.value > high}
    return {"rule": rule, "quantity": quantity} | measured.ends() | bounds


def measure(
    world: World, facts: pd.DataFrame, losses: pd.DataFrame, scores: pd.DataFrame, larger: pd.DataFrame | None
) -> pd.DataFrame:
    """One row per quantity: rule, quantity, value, low, high, at_least, at_most, holds."""
    short = facts[facts.caption == "short"].set_index("metric").value
    anisotropy = "residual anisotropy (largest eigenvalue over the mean)"
    nan = float("nan")
    table = [
        row(1, "distance of the centroids", Interval(short["centroid gap"], nan, nan), GAP),
        row(1, anisotropy, Interval(short[anisotropy], nan, nan), ANISOTROPY),
    ]
    paired = losses[losses.method == "paired"].set_index(["encoder", "seed"])
    apart = over_trainings(paired.other_image_loss - paired.caption_loss)
    table.append(
        row(2, "caption loss of Paired with another image minus with the caption's own, nats per token", apart, APART)
    )
    final = scores[(scores.stage == "stage2") & (scores.method == "paired") & (scores.suite != "average")]
    for cell in final.set_index("suite").loc[world.suites()].itertuples():
        suite = cell.Index
        lowest = 100 * world.chance(suite) + MARGIN
        table.append(
            row(
                3, f"accuracy of Paired on {suite}, percent", Interval(cell.value, cell.low, cell.high), lowest, CEILING
            )
        )
    if larger is not None:
        chosen = larger[(larger.stage == "stage2") & (larger.method == "large") & (larger.group == "all")].iloc[0]
        gain = Interval(chosen.difference, chosen.difference_low, chosen.difference_high)
        table.append(row(4, "accuracy of ReVision with the larger language model minus the smaller, points", gain, 0))
    return pd.DataFrame(table)


def main() -> None:
    """Write the table."""
    options = arguments(__doc__, "config", "facts", "losses", "scores", larger={"nargs": "*"})
    larger = pd.read_csv(options.larger[0]) if options.larger else None
    world = World(read(options.config, Configuration).world)
    save_table(measure(world, *map(pd.read_csv, (options.facts, options.losses, options.scores)), larger), *options.out)


if __name__ == "__main__":
    run(main)
