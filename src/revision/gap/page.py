"""Self-contained HTML pages of results: tables, and plots as data URIs, without scripts or external requests."""

import csv
import io
from pathlib import Path
from typing import Any

import jinja2

from revision.errors import ConfigError
from revision.gap import tables
from revision.gap.suite import Suite
from revision.io.files import write_text


def render(suite: Suite, title: str) -> str:
    """Render the page of a suite.

    Parameters
    ----------
    suite : Suite
        Results.
    title : str
        Name of the two sets.

    Returns
    -------
    str
        HTML, the same for the same results.
    """
    from revision.gap.plots import plots  # imported here, as matplotlib takes a while

    return fill(
        "suite.html.j2",
        title=f"Modality gap: {title}",
        suite=suite,
        summary=tables.summary(suite),
        tables=tables.tables(suite),
        best=tables.BEST,
        plots=plots(suite),
    )


def write_board(path: Path, table: tables.Table, warnings: list[str]) -> None:
    """Write a leaderboard as CSV, Markdown or HTML, by the suffix of the file.

    Parameters
    ----------
    path : Path
        The file; it is replaced if it exists.
    table : Table
        As returned by `revision.gap.leaderboard.board`.
    warnings : list of str
        Shown below the table; not in a CSV file.

    Raises
    ------
    ConfigError
        If the suffix is another one.
    """
    heads = [table.first, *(metric.label for metric in table.metrics)]
    if path.suffix == ".csv":
        buffer = io.StringIO()
        csv.writer(buffer, lineterminator="\n").writerows([heads, *([row.label, *row.cells] for row in table.rows)])
        text = buffer.getvalue()
    elif path.suffix == ".md":
        lines = [[head.replace("|", "\\|") for head in heads], ["---", *["---:"] * len(table.metrics)]]
        for row in table.rows:
            marked = (f"**{cell}**" if best else cell for cell, best in zip(row.cells, row.best, strict=True))
            lines.append([row.label, *marked])
        text = "".join(f"| {' | '.join(line)} |\n" for line in lines)
        text += "".join(f"\nWarning: {warning}\n" for warning in warnings)
    elif path.suffix == ".html":
        text = fill("leaderboard.html.j2", title="Encoders side by side", table=table, warnings=warnings)
    else:
        raise ConfigError(f"{path}: a leaderboard is written as .csv, .md or .html")
    write_text(path, text)


def fill(template: str, **values: Any) -> str:
    """Fill a template of this folder."""
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)
    return environment.get_template(template).render(**values) + "\n"
