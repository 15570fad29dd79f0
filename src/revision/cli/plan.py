"""`revision plan` and `revision preflight`: what a scale costs, and what it still lacks."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from revision.errors import ConfigError, RevisionError
from revision.jobs import read_benchmarks

if TYPE_CHECKING:
    from revision.config import Configuration

Scale = Annotated[str, typer.Option(help="A file of config/scales.")]
FOLDER = Path("config")


def _configuration(scale: str) -> "Configuration":
    from revision.config import load

    if not FOLDER.is_dir():
        raise ConfigError(f"{Path.cwd()}: no folder config here; change to the folder of the checkout")
    return load(FOLDER, scale)


def measured(work: Path) -> dict[str, dict[str, float]]:
    """Jobs and seconds by rule, from the benchmark files that the last run left in its working folder."""
    found: dict[str, dict[str, float]] = {}
    for key, duration in read_benchmarks(work / "benchmarks").items():
        of_rule = found.setdefault(key.split("/")[0], {"jobs": 0, "seconds": 0.0})
        of_rule["jobs"] += 1
        of_rule["seconds"] += duration.seconds
    return found


def plan_command(
    scale: Scale = "laptop",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of text.")] = False,
    assume: Annotated[list[str] | None, typer.Option(help="An assumption to change, name=number.")] = None,
    usd_per_gpu_hour: Annotated[float | None, typer.Option(help="Price of a GPU hour; without it: no GPU USD.")] = None,
) -> None:
    """Say what a scale costs before anything runs: tokens, GPU hours, disk, USD, licences; and every assumption.

    Example: revision plan --scale paper --usd-per-gpu-hour 3.5 --assume exchange_tokens=200
    """
    from revision.audit import read_published
    from revision.plan import assume as assumed
    from revision.plan import make_plan
    from revision.planning.preflight import terms

    config = _configuration(scale)
    changes = {}
    for text in assume or []:
        name, _, value = text.partition("=")
        try:
            changes[name] = float(value)
        except ValueError:
            raise ConfigError(f"--assume {text!r}: expected name=number") from None
    plan = make_plan(config, read_published(FOLDER / "published.yaml"), assumed(changes))
    values = plan.to_dict(usd_per_gpu_hour) | {
        "terms": terms(config),
        "measured": measured(Path("results") / scale / "work"),
    }
    if config.corpus.kind == "scenes":  # trained on a CPU in small: hours are measured, not planned
        values |= {"gpu_hours": None, "gpu_usd": None, "gpu_memory_bytes": None, "gpus": None}
    typer.echo(json.dumps(values, indent=2) if as_json else _text(values))


def _text(values: dict[str, Any]) -> str:
    lines = [
        f"Plan of the scale {values['scale']}",
        "",
        "stage     what                     jobs   tokens (millions)   operations",
    ]
    for one in values["work"]:
        lines.append(
            f"{one['stage']:<9} {one['what']:<22} {one['jobs']:>6} {one['tokens'] / 1e6:>19,.1f}   {one['flops']:.2e}"
        )
    if values["gpu_hours"]:
        lines += [
            "",
            f"GPU hours at {values['efficiency']:.1%} of the peak; the published run implies"
            f" {values['implied_efficiency']:.1%}:",
        ]
        lines += [f"  {stage:<12} {hours:>12,.1f}" for stage, hours in values["gpu_hours"].items()]
        lines.append(
            "  not counted: figure 1 on LAION, text that a language model writes, validation, waiting, restarts"
        )
        if values["gpu_usd"] is not None:
            lines.append(f"  USD {values['gpu_usd']:,.0f}")
    if values["gpu_memory_bytes"]:
        size = values["assumptions"]["gpu_memory"] / 1e9
        lines += ["", f"GPU memory, GB (weights, gradients, optimiser), and GPUs of {size:g} GB, four fifths of each:"]
        lines += [
            f"  {name:<30} {used / 1e9:>12,.0f} {values['gpus'][name]:>6}"
            for name, used in values["gpu_memory_bytes"].items()
        ]
    lines += ["", "Disk, GB (float32; pictures and downloads come on top):"]
    lines += [f"  {name:<30} {size / 1e9:>12,.2f}" for name, size in values["disk_bytes"].items()]
    lines += ["", "Captions bought from a language model (appendix H.4, price x tokens), USD:"]
    lines += [f"  {row:<20} {usd:>10,.2f}" for row, usd in values["captions_usd"].items()]
    if values["terms"]:
        lines += ["", "Licences, gates and forms:", *(f"  {name}: {text}" for name, text in values["terms"].items())]
    if values["measured"]:
        lines += ["", "Measured in the last run, hours by rule:"]
        lines += [
            f"  {rule:<22} {v['jobs']:>5} jobs {v['seconds'] / 3600:>9.2f}" for rule, v in values["measured"].items()
        ]
        lines.append(f"  {'all':<22} {'':>10} {sum(v['seconds'] for v in values['measured'].values()) / 3600:>9.2f}")
    lines += ["", "Assumptions (--assume name=number):"]
    lines += [f"  {name} = {value:g}" for name, value in values["assumptions"].items()]
    return "\n".join(lines)


def preflight_command(scale: Scale = "paper") -> None:
    """List everything a scale lacks on this machine: data sets, models, tokens. Nothing is downloaded.

    Example: revision preflight --scale paper
    """
    from revision.planning.preflight import missing

    found = missing(_configuration(scale))
    if found:
        raise RevisionError(f"scale {scale} lacks {len(found)} things:\n" + "\n".join(f"- {one}" for one in found))
    typer.echo(f"scale {scale}: everything is here")


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.command("plan", rich_help_panel="Stages of the workflow")(plan_command)
    app.command("preflight", rich_help_panel="Stages of the workflow")(preflight_command)
