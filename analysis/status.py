"""Write docs/status.md: verdicts and accuracies of every committed run, from its tables."""

import argparse
from collections.abc import Iterable
from pathlib import Path

import pandas as pd
from style import name_of, number

from revision.io.files import write_text
from revision.stats.claims import VERDICTS

HEAD = """# Status

Which claims of the paper hold in the committed runs. `make docs` generates this page from `reference/<scale>/tables`.
Each claim's test was written before the run that decided it (`config/claims.yaml`). A verdict holds for its scale, not
for the paper's.

| verdict | meaning |
|---|---|
| supported | for every criterion, the 95% interval of the effect is within the bounds |
| contradicted | for at least one criterion, the interval is outside the bounds |
| inconclusive | for at least one criterion, the interval includes a bound, and none is contradicted |
| not run | a figure or table was not made, or the claim needs the scale `paper` |

An effect that was measured only once has no interval; its criterion states a margin instead.
"""


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table."""
    lines = [list(head)]
    lines += [["---"] * len(lines[0]), *([cell.replace("|", "/") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def verdicts(claims: pd.DataFrame) -> str:
    """The number of claims with each verdict, and the table of claims."""
    counts = claims.verdict.value_counts()
    summary = ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS if verdict in counts)
    rows = []
    for row in claims.itertuples():
        interval = "" if pd.isna(row.low) or row.low == row.high else f" [{number(row.low)}, {number(row.high)}]"
        rows.append([row.statement, row.place, row.verdict, number(row.effect) + interval])
    return f"{len(claims)} claims: {summary}.\n\n" + table(["claim", "in the paper", "verdict", "effect [95%]"], rows)


def accuracies(folder: Path) -> str:
    """The average accuracy of each row of each table, beside the paper's."""
    rows = []
    for path in sorted(folder.glob("table_*.csv")):
        scores = pd.read_csv(path)
        whole = scores[(scores.stage == "stage2") & (scores.suite == "average") & (scores.group == "all")]
        for row in whole.itertuples():
            ours = f"{row.value:.1f} [{row.low:.1f}, {row.high:.1f}]"
            paper = "–" if pd.isna(row.published_average) else f"{row.published_average:.2f}"
            rows.append([path.stem.replace("_", " "), name_of(row.method), ours, paper])
    head = ["table", "row", "accuracy, % [95%]", "paper's average (its own suites)"]
    return "### Accuracy after Stage 2\n\n" + table(head, rows)


def page(results: Path) -> str:
    """The whole page, without the scale tiny, which is for tests."""
    parts = [HEAD]
    for path in sorted(results.glob("*/tables/claims.csv")):
        scale = path.parts[-3]
        if scale != "tiny":
            parts += [f"## Scale {scale}\n", verdicts(pd.read_csv(path)), accuracies(path.parent)]
    if len(parts) == 1:
        parts.append("No run is committed yet.\n")
    return "\n".join(parts)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path, help="folder with one folder per scale")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    write_text(options.out, page(options.results))
