"""Appendix H.4: cost of the training data, recomputed from published tokens and prices; reads config/published.yaml."""

from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from figure_inputs import arguments
from style import PAGE, PAPER, describe, number_column, rows, run, save, save_table

from revision.config import read_yaml
from revision.stats.published import cost_usd

BASE = "Paired image-text"


def measure(published: dict) -> pd.DataFrame:
    """One row per data set: USD printed and recomputed, cost relative to paired data printed and recomputed."""
    costs, rows = published["costs"], published["tables"]["table2"]["rows"]
    usd = {name: cost_usd(row["input"], row["output"], costs["price"]) for name, row in costs["rows"].items()}
    return pd.DataFrame(
        [
            {
                "data": name,
                "published_usd": row["published_usd"],
                "usd": usd[name],
                "published_relative": rows[name]["cost"],
                "relative": usd[name] / usd[BASE],
            }
            for name, row in costs["rows"].items()
        ]
    )


def draw(table: pd.DataFrame, path: Path) -> None:
    """Draw USD on the left and cost relative to paired data on the right; bars: recomputed, diamonds: printed."""
    figure, panels = plt.subplots(1, 2, figsize=(PAGE, 1.7), sharey=True)
    for panel, ours, paper, label in (
        (panels[0], "usd", "published_usd", "cost, USD"),
        (panels[1], "relative", "published_relative", "cost relative to paired data"),
    ):
        panel.barh(range(len(table)), table[ours], 0.6, color="#BBBBBB", label="recomputed")
        panel.plot(table[paper], range(len(table)), **PAPER | {"label": "printed"})
        number_column(panel, list(table[ours]), "recomputed")
        number_column(panel, list(table[paper]), "printed", 62)
        rows(panel, list(table.data))
        panel.grid(visible=False, axis="y")
        panel.set_xlabel(label)
    figure.legend(*panels[0].get_legend_handles_labels(), ncols=2, loc="outside upper center")
    save(figure, path)


def main() -> None:
    """Measure, draw and describe."""
    options = arguments(__doc__, "published")
    (out,), published = options.out, read_yaml(options.published)
    table = measure(published)
    save_table(table, out)
    draw(table, out)
    relative = table.set_index("data").relative
    describe(
        out,
        {"price": published["costs"]["price"], "relative": relative},
        [(f"{row.data}, USD", row.published_usd, row.usd) for row in table.itertuples()]
        + [
            (f"{row.data}, cost relative to paired data", row.published_relative, row.relative)
            for row in table.itertuples()
        ],
    )


if __name__ == "__main__":
    run(main)
