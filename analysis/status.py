"""Write docs/status.md: verdicts and accuracies of every committed run, from its tables."""

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd
from style import intervals_of, name_of, number

from revision.io.files import write_text
from revision.stats.multiplicity import count_verdicts, first_versions, multiplicity

HEAD = """# Status

Which claims of the paper hold in the committed runs. `make docs` generates this page from `reference/<scale>/tables`.
Each claim's test was written before the run that decided it (`config/claims.yaml`). A verdict holds for its scale, not
for the paper's.

| verdict | meaning |
|---|---|
| supported | for every criterion, the 95% interval of the effect is within the bounds |
| contradicted | for at least one criterion, the interval is outside the bounds |
| inconclusive | for at least one criterion, the interval includes a bound, and none is contradicted |
| smaller than published | contradicted or inconclusive, and the interval is below the effect that the paper prints |
| not testable here | a positive control of the claim is not met in this run |
| not run | a figure or table was not made, or the claim needs the scale `paper` |

An effect that was measured only once has no interval; its criterion states a margin instead. The cause of each verdict
that is contradicted, inconclusive or smaller than published is explained under [causes of verdicts](causes.md).

Positive controls: Paired has to be better than No Align for claims on alignment, and better than Blind for other claims
on training. Where a control or the published effect changes a verdict, the verdict by the claim's own criteria is in
brackets. Second versions of badly posed tests are listed after the first versions and not counted. *Exploratory*:
written after this run was seen, so that only a later run decides it.
"""


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table."""
    lines = [list(head)]
    lines += [["---"] * len(lines[0]), *([cell.replace("|", "/") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def effect(row: Any) -> str:
    """The effect of a claim with its interval, and the paper's effect."""
    ours = number(row.effect)
    if row.low < row.high:
        ours += f" [{number(row.low)}, {number(row.high)}]"
    if pd.isna(row.published):
        return ours
    return f"{ours}; paper {row.published:.2f}" + (" (above the interval)" if row.high < row.published else "")


def verdict(row: Any) -> str:
    """The verdict, with that by the claim's own criteria if it differs."""
    alone = row.verdict_without_control
    return row.verdict if row.verdict == alone else f"{row.verdict} ({alone})"


def verdicts(claims: pd.DataFrame) -> str:
    """The number of claims with each verdict by family, the effect of multiplicity, and the tables of claims."""
    first, counts = first_versions(claims), count_verdicts(claims)
    summary = ", ".join(f"{count} {name}" for name, count in counts.sum().items())
    families = table(["claims about", *counts], [[name, *map(str, row)] for name, *row in counts.itertuples()])
    tests = "".join(f"- {sentence}\n" for sentence in multiplicity(claims))
    rows = [[f"{row.statement} `{row.id}`", row.place, verdict(row), effect(row)] for row in first.itertuples()]
    parts = f"{len(first)} claims: {summary}.\n\n{families}\n{tests}\n"
    parts += table(["claim", "in the paper", "verdict", "effect [95%]"], rows)
    second = claims.drop(first.index)
    if len(second):
        rows = [
            [
                f"{row.statement} `{row.id}`",
                f"`{row.second_version_of}`: {row.replaced_because}",
                verdict(row) + (", exploratory" if row.exploratory else ""),
                effect(row),
            ]
            for row in second.itertuples()
        ]
        parts += "\n### Second versions\n\n" + table(["claim", "second version of", "verdict", "effect [95%]"], rows)
    return parts


def accuracies(folder: Path) -> str:
    """The average accuracy of each row of each table, beside the paper's; nothing for a scale without questions."""
    rows, design = [], ""
    for path in sorted(folder.glob("table_*.csv")):
        scores = pd.read_csv(path)
        whole = scores[(scores.stage == "stage2") & (scores.suite == "average") & (scores.group == "all")]
        design = f"{intervals_of(whole.encoders.iloc[0], whole.seeds.iloc[0])}\n\n"
        for row in whole.itertuples():
            ours = f"{row.value:.1f} [{row.low:.1f}, {row.high:.1f}]"
            paper = "–" if pd.isna(row.published_average) else f"{row.published_average:.2f}"
            rows.append([path.stem.replace("_", " "), name_of(row.method), ours, paper])
    if not rows:
        return ""
    head = ["table", "row", "accuracy, % [95%]", "paper's average (its own suites)"]
    return f"### Accuracy after Stage 2\n\n{design}" + table(head, rows)


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
