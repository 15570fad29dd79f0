"""The commands `gap` and `measure`."""

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


def gap(
    image: Annotated[Path, typer.Option(help="Image embeddings: a folder of shards or a .npy file.")],
    text: Annotated[Path, typer.Option(help="Text embeddings: a folder of shards or a .npy file.")],
    aligner: Annotated[list[str] | None, typer.Option(help="Aligner to measure, repeatable; 'all' for all.")] = None,
    image_of: Annotated[
        Path | None, typer.Option(help="Several captions per image: .npy with the row of each text's image.")
    ] = None,
    labels: Annotated[Path | None, typer.Option(help="Zero-shot: .npy with the class of each image, from 0.")] = None,
    prompts: Annotated[Path | None, typer.Option(help="Zero-shot: embeddings of the class prompts.")] = None,
    class_of: Annotated[Path | None, typer.Option(help="Zero-shot: .npy with the class of each prompt.")] = None,
    unpaired: Annotated[bool, typer.Option("--unpaired", help="Do not treat row i of both sets as a pair.")] = False,
    rows: Annotated[int, typer.Option(min=64, help="Maximum number of rows used of each set.")] = 100_000,
    sample: Annotated[int, typer.Option(min=32, help="Rows used for neighbours, cosines and retrieval.")] = 10_000,
    fit_share: Annotated[float, typer.Option(help="Fraction of rows to fit on; 1: fit and measure on the same.")] = 0.5,
    seed: Annotated[int, typer.Option(help="Seed of the random choice of rows.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of the table.")] = False,
    html: Annotated[Path | None, typer.Option(help="Also write a one-page report to this file.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the report if it exists.")] = False,
) -> None:
    """Measure the modality gap of two embedding sets, before and after alignment.

    Aligners are fitted on a random part of the rows and measured on the rest (--fit-share).

    Examples:

      revision gap --image image.npy --text text.npy --aligner realign

      revision gap --image images/ --text texts/ --aligner all --html gap.html
    """
    from revision.embeddings import open_rows
    from revision.gap.across_dimensions import run_any_suite
    from revision.gap.page import render
    from revision.gap.pairing import Pairing, pair
    from revision.gap.suite import SuiteSettings
    from revision.gap.tasks import Tasks, read_integers, with_tasks
    from revision.io.files import write_text

    with reported(as_json):
        if html is not None and html.exists() and not force:
            raise ConfigError(f"{html}: exists; name another file, or add --force to replace it")
        images, texts = open_rows(image), open_rows(text)
        tasks = Tasks(
            image_of=read_integers(image_of),
            labels=read_integers(labels),
            prompts=None if prompts is None else open_rows(prompts),
            class_of=read_integers(class_of),
        )
        if image_of is not None:
            pairing = Pairing(images, texts, False, "Several captions per image (--image-of).")
        elif unpaired:
            pairing = Pairing(images, texts, False, "Treated as unpaired (--unpaired).")
        else:
            pairing = pair(images, texts)
        settings = SuiteSettings(seed=seed, rows=rows, sample=sample, fit_share=fit_share)
        columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
        quiet = not sys.stderr.isatty()
        with Progress(*columns, console=Console(stderr=True), transient=True, disable=quiet) as progress:
            task = progress.add_task("reading", total=None)
            suite = run_any_suite(
                pairing.image,
                pairing.text,
                aligner or [],
                paired=pairing.paired,
                settings=settings,
                progress=lambda stage: progress.update(task, description=f"measuring: {stage}"),
            )
            if image_of or labels:
                progress.update(task, description="measuring: tasks")
                suite = with_tasks(suite, pairing.image, pairing.text, tasks)
        suite.notes.insert(0, pairing.reason)
        if as_json:
            typer.echo(json.dumps(suite.to_dict(), indent=2, sort_keys=True, allow_nan=False))
        else:
            _print_suite(suite)
        if html is not None:
            write_text(html, render(suite, f"{image.name} and {text.name}"))
            Console(stderr=True).print(f"Report: {html}", soft_wrap=True)


def measure(
    text: Annotated[Path, typer.Option(help="Unpaired text embeddings to fit on: a folder of shards.")],
    image: Annotated[Path, typer.Option(help="Unpaired image embeddings to fit on.")],
    probe_text: Annotated[Path, typer.Option(help="Text embeddings of held-out pairs.")],
    probe_image: Annotated[Path, typer.Option(help="Image embeddings of the same pairs, in the same order.")],
    aligners: Annotated[Path, typer.Option(help="YAML with the section `aligners`: method and params by name.")],
    out: Annotated[Path, typer.Option(help="Folder to write.")],
    name: Annotated[list[str] | None, typer.Option(help="An aligner of the YAML, repeatable; default: all.")] = None,
) -> None:
    """Fit each aligner once and write held-out pairs before and after alignment, for the figures.

    Aligners that need pairs are fitted on the first half of the held-out pairs. The second half is aligned and written.

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
    columns = max(1, (console.width - LABEL_WIDTH) // CELL_WIDTH)  # per table: a wide suite takes several tables
    for start in range(0, len(heads), columns):
        table = Table()
        table.add_column("metric (* needs pairs)", no_wrap=True, min_width=LABEL_WIDTH - 4)
        for head in heads[start : start + columns]:
            table.add_column(head, justify="right", min_width=CELL_WIDTH - 3)
        for row in rows:
            table.add_row(row["label"] + (" *" if row["needs_pairs"] else ""), *row["cells"][start : start + columns])
        console.print(table)
    for note in (*suite.notes, *suite.choices.values()):
        console.print(f"- {note}", soft_wrap=True, markup=False)


def register(app: typer.Typer) -> None:
    """Add `gap` and `measure` to `app`."""
    app.command("gap")(gap)
    app.command("measure", no_args_is_help=True)(measure)
