"""Appendix H.4: cost of the training data, recomputed from published tokens and prices; reads config/published.yaml."""

from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from figure_inputs import arguments
from style import PAPER, describe, run, save, save_table

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
    figure, panels = plt.subplots(1, 2, figsize=(7.2, 3.0))
    ticks = [name.replace(" ", "\n").replace("-", "-\n", 1) for name in table.data]
    for panel, ours, paper, label in (
        (panels[0], "usd", "published_usd", "USD"),
        (panels[1], "relative", "published_relative", "cost relative to paired data"),
    ):
        panel.bar(table.data, table[ours], 0.6, color="#56B4E9", label="recomputed")
        panel.plot(table.data, table[paper], **PAPER | {"label": "printed"})
        for x, (value, printed) in enumerate(zip(table[ours], table[paper], strict=True)):
            above = {"xytext": (0, 6), "textcoords": "offset points", "ha": "center", "fontsize": 7}
            panel.annotate(f"{value:,.2f}", (x, max(value, printed)), **above)
        panel.set_xticks(range(len(table)), ticks, fontsize=7)
        panel.set_ylabel(label)
        panel.margins(y=0.12)
    panels[1].legend(fontsize=7)
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
