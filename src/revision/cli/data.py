"""Commands for other people's data sets."""

import json
from pathlib import Path
from typing import Annotated

import typer

from revision.errors import ConfigError


def corpus_from_command(
    source: Annotated[str, typer.Argument(help="Where the rows come from: a JSON object, or a YAML or JSON file.")],
    count: Annotated[int, typer.Option(help="Rows of the source to use.")],
    out: Annotated[Path, typer.Option(help="Parquet table to write.")],
    share: Annotated[tuple[float, float], typer.Option(help="Part of the source, by hash: two numbers in [0, 1].")] = (
        0.0,
        1.0,
    ),
    at_most: Annotated[bool, typer.Option("--at-most", help="Fewer rows than --count are no error.")] = False,
) -> None:
    """Write a corpus table out of a data set: a folder in its published format, or one streamed from the hub.

    Formats: json (a list), jsonl, parquet, webdataset, meta (InternVL's list of lists), hub. Example:
    revision corpus-from '{"path": "bunny", "format": "json", "files": ["*.json"], "images": "images",
    "fields": {"id": "id", "short": "conversations.1.value", "image": "image"}}' --count 1000 --out text.parquet
    """
    import yaml

    from revision.data.ingest import write_corpus_from
    from revision.data.sources import Source
    from revision.settings import from_mapping

    try:
        text = source if source.lstrip().startswith("{") else Path(source).read_text(encoding="utf-8")
        values = yaml.safe_load(text)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"source: neither a JSON object nor a readable file ({error})") from error
    chosen = from_mapping(Source, values, "source")
    if chosen.format == "hub":
        typer.echo(f"streaming {chosen.path} at {chosen.revision} from the Hugging Face hub", err=True)
    written = write_corpus_from(chosen, share, count, out, at_most=at_most)
    left = json.dumps(dict(written.skipped)) if written.skipped else "nothing"
    typer.echo(f"{written.rows} rows from {written.used} of the source; left out: {left}")


def published_tasks_command(
    suites: Annotated[Path, typer.Argument(help="YAML of suites, such as config/suites.yaml.")],
    out: Annotated[Path, typer.Option(help="Task folder to write.")],
    data: Annotated[
        Path | None, typer.Option(help="Folder with a folder of Parquet files a suite; without it: the hub's cache.")
    ] = None,
) -> None:
    """Write published evaluation suites, lmms-eval's own tasks, as a task folder for `revision evaluate`.

    Example: revision published-tasks config/suites.yaml --out tasks
    """
    from revision.evaluation.published_suites import read_published_suites, write_published

    write_published(read_published_suites(suites), out, data)


def hub_language_command(
    model: Annotated[str, typer.Argument(help="Id of the language model on the hub, or its folder.")],
    out: Annotated[Path, typer.Option(help="Folder to make.")],
    revision: Annotated[str | None, typer.Option(help="Its commit.")] = None,
) -> None:
    """Take a language model of the Hugging Face hub for the two stages; its weights are linked, not copied.

    Example: revision hub-language meta-llama/Meta-Llama-3-8B-Instruct --out llm
    """
    from revision.mllm.language_models.hub import link_language_model

    link_language_model(model, revision, out)


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.command("corpus-from", no_args_is_help=True, rich_help_panel="Stages of the workflow")(corpus_from_command)
    app.command("published-tasks", no_args_is_help=True, rich_help_panel="Stages of the workflow")(
        published_tasks_command
    )
    app.command("hub-language", no_args_is_help=True, rich_help_panel="Stages of the workflow")(hub_language_command)
