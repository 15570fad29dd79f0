"""The commands `gap`, `leaderboard`, `check-encoder` and `measure`."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from revision.cli.messages import reported
from revision.errors import ConfigError


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
    full: Annotated[bool, typer.Option("--full", help="Print all metrics and their definitions.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of the table.")] = False,
    html: Annotated[Path | None, typer.Option(help="Also write a one-page report to this file.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the report if it exists.")] = False,
) -> None:
    """Measure the modality gap of two embedding sets, before and after alignment.

    Aligners are fitted on a random part of the rows and measured on the rest (--fit-share). Without aligners, all rows
    are measured. Sets of different dimensions get the metrics that need no common space.

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
        for warning in suite.warnings:
            Console(stderr=True).print(f"warning: {warning}", style="yellow", soft_wrap=True, markup=False)
        if as_json:
            typer.echo(json.dumps(suite.to_dict(), indent=2, sort_keys=True, allow_nan=False))
        else:
            _print_suite(suite, full)
        if html is not None:
            write_text(html, render(suite, f"{image.name} and {text.name}"))
            Console(stderr=True).print(f"Report: {html}", soft_wrap=True)


def check_encoder_command(
    encoder: Annotated[Path, typer.Argument(help="YAML as in config/encoders, or folder of an encoder.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of the table.")] = False,
) -> None:
    """Check an encoder's adapter on known images and texts, and warn if it is wired wrongly.

    Checks unit rows, outputs that do not depend on the input, dropout, batching and padding, the range and order of
    pixels, truncation, and whether drawn images match their texts above others.

    Example: revision check-encoder config/encoders/clip_vit_b32.yaml
    """
    from dataclasses import asdict

    from revision.encoders import load_encoder
    from revision.encoders.check import check_encoder

    with reported(as_json):
        checks = check_encoder(load_encoder(encoder))
        if as_json:
            typer.echo(json.dumps([asdict(check) for check in checks], indent=2))
        else:
            table = Table(box=box.SIMPLE_HEAD)
            for head in ("check", "", "measured"):
                table.add_column(head)
            for check in checks:
                table.add_row(check.name, "[green]ok[/]" if check.passed else "[bold red]warning[/]", check.detail)
            Console().print(table)
        for check in checks:
            if not check.passed:
                print(f"warning: {encoder}: {check.name}: {check.detail}", file=sys.stderr)


def leaderboard_command(
    suites: Annotated[list[Path], typer.Argument(help="Results by `revision gap --json`, one file per encoder.")],
    out: Annotated[list[Path] | None, typer.Option(help="Also write this .csv, .md or .html file; repeatable.")] = None,
    check: Annotated[
        list[Path] | None, typer.Option(help="Results by `revision check-encoder --json`, named as the suites.")
    ] = None,
) -> None:
    """Compare encoders in one table, the smallest gap first.

    Example: revision leaderboard results/*.json --out leaderboard.md --out leaderboard.html
    """
    from revision.gap.leaderboard import board, read_results, warnings_of
    from revision.gap.page import write_board

    with reported(False):
        results = read_results(suites)
        table, warnings = board(results), warnings_of(results, read_results(check or []))
        _print_table(Console(), table)
        for warning in warnings:
            print(f"warning: {warning}", file=sys.stderr)
        for path in out or []:
            write_board(path, table, warnings)


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


def _print_table(console: Console, table: Any) -> None:
    shown = Table(title=table.title or None, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    shown.add_column(table.first, no_wrap=True, min_width=max(len(row.label) for row in table.rows))
    for index, metric in enumerate(table.metrics):
        words = [*metric.label.split(), *(row.cells[index] + "*" * row.best[index] for row in table.rows)]
        shown.add_column(metric.label, justify="right", min_width=max(map(len, words)))
    for row in table.rows:
        cells = (f"[bold green]{cell}*[/]" if best else cell for cell, best in zip(row.cells, row.best, strict=True))
        shown.add_row(row.label, *cells)
    least = shown.__rich_measure__(console, console.options).minimum
    console.print()
    console.print(shown, width=max(console.width, least), crop=False, no_wrap=False)
    console.print()


def _print_suite(suite: Any, full: bool) -> None:
    from revision.gap import tables

    counts, console = suite.counts, Console()
    summary = tables.summary(suite)
    console.print(suite.notes[0], soft_wrap=True, markup=False, highlight=False)
    if counts["image_fitted"]:
        console.print(f"Aligners are fitted on {counts['image_fitted']} images and {counts['text_fitted']} texts.")
    console.print(f"Measured on {counts['image_measured']} images and {counts['text_measured']} texts.")
    for table in [summary, *(tables.tables(suite) if full else [])]:
        _print_table(console, table)
    if any(any(row.best) for row in summary.rows):
        console.print(f"* {tables.BEST}", soft_wrap=True)
    if not full and "floor" in suite.choices:
        console.print(f"floor: {suite.choices['floor']}", soft_wrap=True)
    for note in suite.notes[1:]:
        console.print(note, soft_wrap=True, markup=False, highlight=False)
    if full:
        for name, text in suite.choices.items():
            console.print(f"{name}: {text}", soft_wrap=True, markup=False, highlight=False)
    else:
        console.print("All metrics: --full; with plots: --html FILE.", soft_wrap=True)


def register(app: typer.Typer) -> None:
    """Add `gap`, `leaderboard`, `check-encoder` and `measure` to `app`."""
    app.command("gap")(gap)
    app.command("leaderboard", no_args_is_help=True)(leaderboard_command)
    app.command("check-encoder", no_args_is_help=True)(check_encoder_command)
    app.command("measure", no_args_is_help=True)(measure)
