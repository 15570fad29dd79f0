"""The commands `plan`, `preflight` and `audit`: costs, missing requirements, and the published numbers."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from revision.errors import ConfigError, RevisionError

if TYPE_CHECKING:
    import pandas as pd

Scale = Annotated[str, typer.Option(help="Name of a file in config/scales.")]
FOLDER, LARGE = Path("config"), 1e9


def _folder() -> Path:
    if not FOLDER.is_dir():
        raise ConfigError(f"{Path.cwd()}: no folder config here; change to the folder of the checkout")
    return FOLDER


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:,.6g}" if abs(value) < LARGE else f"{value:.3g}"


def _show(title: str, table: "pd.DataFrame") -> None:
    """Print a table: text on the left, numbers on the right, nothing for NaN."""
    shown = Table(title=title, title_justify="left")
    for name in table:
        shown.add_column(str(name), justify="left" if table[name].dtype.kind in "OUT" else "right")
    for row in table.itertuples(index=False):
        shown.add_row(*(value if isinstance(value, str) else _number(value) for value in row))
    Console().print(shown)


def plan_command(
    scale: Scale = "paper",
    assume: Annotated[list[str] | None, typer.Option(help="Change an assumption, name=value; repeatable.")] = None,
) -> None:
    """Estimate the cost of a scale with published data: tokens, GPU hours and memory, disk, captions.

    All assumptions are printed; --assume changes them.

    Example: revision plan --scale paper --assume exchange_tokens=200
    """
    import pandas as pd

    from revision.config import load, parse
    from revision.config.corpus import SourcesCorpus
    from revision.planning.cost import Assumptions, disk, on_one_card, utilisation, work
    from revision.stats.published import cost_usd, read_published

    config, published = load(_folder(), scale), read_published(_folder() / "published.yaml")
    try:
        changes: dict[str, Any] = {name: float(value) for name, _, value in (a.partition("=") for a in assume or [])}
    except ValueError:
        raise ConfigError(f"--assume {assume}: expected name=value with a number") from None
    given = parse(Assumptions, config.assumptions | changes, "assumptions")
    table, used, costs = work(config, published, given), utilisation(published, given), published["costs"]
    cards = on_one_card(table, used)
    table = table.drop(columns="fixed_hours")
    table.loc[len(table)] = {"stage": "all", "model": "", "gpu_hours": table.gpu_hours.sum()}
    table[["tokens", "memory"]] /= [1e6, 1e9]
    table.columns = ["stage", "model", "tokens, M", "FLOPs", "GPU hours", "memory, GB", "GPUs"]
    table = table.round({"tokens, M": 1, "GPU hours": 2, "memory, GB": 1})
    _show(f"Scale {scale}, {used:.1%} of the GPUs' peak", table)
    cards.memory /= 1e9
    cards.columns = ["card", "memory, GB", "hours", "does not fit, not in the hours"]
    _show("On one card", cards.round(1))
    assert isinstance(config.corpus, SourcesCorpus)  # `work` refuses others
    sources = [(name, one.hub, one.gigabytes or math.nan, one.licence) for name, one in config.corpus.sources.items()]
    _show("Data sets", pd.DataFrame(sources, columns=["name", "hub", "download, GB", "licence"]))
    stored = disk(config, given)
    rows = [(name, size / 1e9) for name, size in (stored | {"all": sum(stored.values())}).items()]
    _show("Disk, without images and downloads", pd.DataFrame(rows, columns=["artefact", "GB"]).round(1))
    rows = [(row, cost_usd(tokens["input"], tokens["output"], costs["price"])) for row, tokens in costs["rows"].items()]
    _show("Captions bought from a language model (appendix H.4)", pd.DataFrame(rows, columns=["data", "USD"]))
    assumed = [(name, getattr(given, name), field.description) for name, field in Assumptions.model_fields.items()]
    _show("Assumptions", pd.DataFrame(assumed, columns=["name", "value", "source of the default"]))


def preflight_command(
    scale: Scale = "paper",
    pin: Annotated[bool, typer.Option("--pin", help="Write the newest commit of data sets that have none.")] = False,
) -> None:
    """List everything that a scale needs and this machine lacks: data sets, models, tokens. Downloads nothing.

    With --pin and HF_HUB_OFFLINE=0, the commits of data sets are looked up first and written to the scale's file.

    Example: revision preflight --scale paper
    """
    from revision.config import load
    from revision.planning.pinning import pin as pin_commits
    from revision.planning.preflight import missing

    if pin:
        for line in pin_commits(load(_folder(), scale), _folder()):
            typer.echo(line)
    if problems := missing(load(_folder(), scale)):
        raise RevisionError(f"scale {scale}: {len(problems)} requirements are missing:\n- " + "\n- ".join(problems))
    typer.echo(f"scale {scale}: nothing is missing")


def audit_command() -> None:
    """Recompute the published averages and costs, and list those that differ by more than rounding.

    Example: revision audit
    """
    from revision.stats.published import audit, read_published

    table = audit(read_published(_folder() / "published.yaml"))
    differing = table[~table.holds]
    title = f"{len(differing)} of {len(table)} published numbers do not follow from their parts"
    _show(title, differing.drop(columns="holds"))


def register(app: typer.Typer) -> None:
    """Add `plan`, `preflight` and `audit` to `app`."""
    app.command("plan", rich_help_panel="Stages of the workflow")(plan_command)
    app.command("preflight", rich_help_panel="Stages of the workflow")(preflight_command)
    app.command("audit")(audit_command)
