"""Commands `revision gap` and `revision measure`."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from revision.cli.messages import reported
from revision.errors import ConfigError

LEAST_WIDTH, LABEL_WIDTH, CELL_WIDTH = 100, 50, 13


def pair_up(image: Any, text: Any, unpaired: bool) -> tuple[Any, Any, bool, str]:
    """Image and text as given to the suite, whether they are paired, and why.

    Sets on disk are paired where their ids are the same, in whatever order; arrays where they have as many rows.
    """
    import numpy as np

    from revision.embeddings.rows import as_rows

    counts = as_rows(image, "image").count, as_rows(text, "text").count
    if unpaired:
        return image, text, False, "Taken as unpaired, as asked."
    if counts[0] != counts[1]:
        return image, text, False, f"Not paired: {counts[0]} images and {counts[1]} texts."
    if isinstance(image, np.ndarray) or isinstance(text, np.ndarray):
        return image, text, True, "Paired row by row, as both have the same number of rows; --unpaired says otherwise."
    first, second = (np.asarray(found.ids().to_pylist()) for found in (image, text))
    if np.array_equal(first, second):
        return image, text, True, "Paired by equal ids."
    order, other = np.argsort(first, kind="stable"), np.argsort(second, kind="stable")
    if not np.array_equal(first[order], second[other]):
        shared = len(np.intersect1d(first, second))
        return (
            image,
            text,
            False,
            f"Not paired: {shared} of {counts[0]} ids are in both sets; `revision import --ids` gives them the same.",
        )
    place = np.empty(len(order), dtype=np.int64)
    place[order] = other
    return image, text.array()[place], True, "Paired by ids; the texts were put in the order of the images."


def gap(
    image: Annotated[Path, typer.Option(help="Image embeddings: a folder of shards or a .npy file.")],
    text: Annotated[Path, typer.Option(help="Text embeddings, likewise.")],
    aligner: Annotated[list[str] | None, typer.Option(help="Aligner to measure; repeatable; or 'all'.")] = None,
    unpaired: Annotated[bool, typer.Option("--unpaired", help="Row i of one set does not belong to row i.")] = False,
    rows: Annotated[int, typer.Option(min=64, help="At most this many rows of each set.")] = 100_000,
    sample: Annotated[int, typer.Option(min=32, help="Rows for neighbours, cosines and retrieval.")] = 10_000,
    fit_share: Annotated[float, typer.Option(help="Share of rows to fit on; 1: fit and measure on the same.")] = 0.5,
    seed: Annotated[int, typer.Option(help="Seed of the choice of rows.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of the table.")] = False,
    html: Annotated[Path | None, typer.Option(help="Also write a one-page report to this file.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the report.")] = False,
) -> None:
    """Measure the modality gap of two embedding sets, before and after alignment.

    Example: revision gap --image images/ --text texts/ --aligner all --html gap.html
    """
    from revision.embeddings import open_rows
    from revision.gap.measure import SuiteSettings, run_suite
    from revision.gap.page import render
    from revision.io.files import write_text

    with reported(as_json):
        if html is not None and html.exists() and not force:
            raise ConfigError(f"{html}: exists already; pass --force to overwrite it, or name another file")
        images, texts, paired, why = pair_up(open_rows(image), open_rows(text), unpaired)
        settings = SuiteSettings(seed=seed, rows=rows, sample=sample, fit_share=fit_share)
        columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
        quiet = not sys.stderr.isatty()
        with Progress(*columns, console=Console(stderr=True), transient=True, disable=quiet) as progress:
            task = progress.add_task("reading", total=None)
            suite = run_suite(
                images,
                texts,
                aligner or [],
                paired=paired,
                settings=settings,
                progress=lambda stage: progress.update(task, description=f"measuring: {stage}"),
            )
        suite.notes.insert(0, why)
        if as_json:
            typer.echo(json.dumps(suite.to_dict(), indent=2, sort_keys=True, allow_nan=False))
        else:
            _print_suite(suite)
        if html is not None:
            write_text(html, render(suite, f"{image.name} and {text.name}"))
            Console(stderr=True).print(f"Report: {html}", soft_wrap=True)


def measure(
    text: Annotated[Path, typer.Option(help="Unpaired texts to fit on: a folder of shards.")],
    image: Annotated[Path, typer.Option(help="Unpaired images to fit on.")],
    probe_text: Annotated[Path, typer.Option(help="Texts of held-out pairs.")],
    probe_image: Annotated[Path, typer.Option(help="Their images, row by row.")],
    aligners: Annotated[Path, typer.Option(help="YAML with the section `aligners`: by name, method and params.")],
    out: Annotated[Path, typer.Option(help="Folder to write.")],
    name: Annotated[list[str] | None, typer.Option(help="An aligner of the YAML; repeatable; otherwise all.")] = None,
) -> None:
    """Fit each aligner once, and write held-out pairs before and after it: what the figures on them share.

    Aligners that need pairs are fitted on the first half of the held-out pairs; the second half is moved and written.

    Example: revision measure --text texts/ --image images/ --probe-text probe_texts/ --probe-image probe_images/
    --aligners aligners.yaml --out held_out/
    """
    import numpy as np

    from revision.config import read
    from revision.config.variants import AlignerSections
    from revision.embeddings import open_embeddings
    from revision.gap.held_out import write_held_out

    with reported(False):
        settings = read(aligners, AlignerSections).aligners
        for wanted in name or []:
            if wanted not in settings:
                raise ConfigError(f"{aligners}: no aligner {wanted!r}; there are {', '.join(settings)}")
        texts, images, *probe = (
            np.asarray(open_embeddings(folder).array()) for folder in (text, image, probe_text, probe_image)
        )
        chosen = {wanted: settings[wanted] for wanted in name or settings}
        write_held_out(out, texts, images, (probe[0], probe[1]), chosen)
        typer.echo(f"{len(chosen)} aligners: {out}")


def _print_suite(suite: Any) -> None:
    from revision.gap.page import label
    from revision.gap.page import table as rows_of

    console = Console(width=max(Console().width, LEAST_WIDTH))
    heads, rows = ["images", *(label(name) for name in suite.methods)], rows_of(suite)
    fitting = max(1, (console.width - LABEL_WIDTH) // CELL_WIDTH)
    for start in range(0, len(heads), fitting):
        table = Table()
        table.add_column("metric (* needs pairs)", no_wrap=True, min_width=LABEL_WIDTH - 4)
        for head in heads[start : start + fitting]:
            table.add_column(head, justify="right", min_width=CELL_WIDTH - 3)
        for row in rows:
            table.add_row(row["label"] + (" *" if row["needs_pairs"] else ""), *row["cells"][start : start + fitting])
        console.print(table)
    for words in (*suite.notes, *suite.choices.values()):
        console.print(f"- {words}", soft_wrap=True, markup=False)


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.command("gap")(gap)
    app.command("measure", no_args_is_help=True)(measure)
