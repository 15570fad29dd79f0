"""Appendix H.4: cost of the training data, recomputed from published tokens and prices beside what is printed."""

from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from figure_inputs import arguments
from style import PAPER, describe, run, save, save_table

from revision.config import read_yaml
from revision.stats.published import cost_usd

BASE = "Paired image-text"


def measure(published: dict) -> pd.DataFrame:
    """One row a data set: USD printed and recomputed, cost relative to paired data printed and recomputed."""
    costs, rows = published["costs"], published["tables"]["table2"]["rows"]
    usd = {name: cost_usd(row["input"], row["output"], costs["price"]) for name, row in costs["rows"].items()}
    return pd.DataFrame(
        [
            {
                "data": name, "published_usd": row["published_usd"], "usd": usd[name],
                "published_relative": rows[name]["cost"], "relative": usd[name] / usd[BASE],
            }
            for name, row in costs["rows"].items()
        ]
    )  # fmt: skip


def draw(table: pd.DataFrame, path: Path) -> None:
    """Bars as recomputed, diamonds as printed: USD on the left, relative to paired data on the right."""
    figure, panels = plt.subplots(1, 2, figsize=(7.2, 3.0))
    for panel, ours, paper, digits, label in (
        (panels[0], "usd", "published_usd", ".2f", "USD"),
        (panels[1], "relative", "published_relative", ".2f", "cost relative to paired data"),
    ):
        panel.bar(table.data, table[ours], 0.6, color="#56B4E9", label="recomputed")
        panel.plot(table.data, table[paper], **PAPER | {"label": "printed"})
        for place, (value, printed) in enumerate(zip(table[ours], table[paper], strict=True)):
            panel.annotate(format(value, digits), (place, max(value, printed)), (0, 6), textcoords="offset points",
                           ha="center", fontsize=7)  # fmt: skip
        panel.set_xticks(range(len(table)), [name.replace(" ", "\n").replace("-", "-\n", 1) for name in table.data],
                         fontsize=7)  # fmt: skip
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
        + [(f"{row.data}, relative", row.published_relative, row.relative) for row in table.itertuples()],
    )


if __name__ == "__main__":
    run(main)
