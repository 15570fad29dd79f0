"""Commands that watch contrastive training (figure 1) and study what makes the gap stay."""

import glob
from collections.abc import Callable
from typing import Annotated

import typer

from revision.cli.stages import Out, Seed, Settings, Threads, WorldOption, _mapping, _world


def dynamics_command(
    out: Out,
    settings: Settings = "{}",
    world: WorldOption = "{}",
    monitor: Annotated[str, typer.Option(help="Settings of the monitor as a JSON object.")] = "{}",
    shards: Annotated[
        str, typer.Option(help="Pattern of webdataset shards to train on instead of the built-in world.")
    ] = "",
    seed: Seed = 0,
    threads: Threads = 1,
) -> None:
    """Train the dual encoder under observation: series.csv, summary.json and timing.json (figure 1).

    With --shards the encoder is a ViT and a text transformer (TinyCLIP's size by default), on the GPUs that torchrun
    gives out.

    Example: revision dynamics --settings '{"steps": 600}' --monitor '{"every": 40}' --out dynamics/seed0
    """
    from revision.dynamics import MonitorSettings, observe_training
    from revision.encoders import EncoderSettings
    from revision.settings import from_mapping

    chosen, where = _mapping(settings, "--settings"), "dynamics.training"
    watch = from_mapping(MonitorSettings, _mapping(monitor, "--monitor"), "dynamics.monitor")
    if not shards:
        encoder = from_mapping(EncoderSettings, chosen, where)
        observe_training(_world(world), encoder, watch, out, seed=seed, threads=threads)
        return
    from revision.contrastive.clip import ClipSettings
    from revision.dynamics.run import observe_shards

    clip = from_mapping(ClipSettings, chosen, where)
    observe_shards(sorted(glob.glob(shards)), clip, watch, out, seed=seed, threads=threads)


def causes_command(
    out: Out, settings: Settings, world: WorldOption = "{}", seed: Seed = 0, threads: Threads = 1
) -> None:
    """Train one small encoder a point of each cause of the gap, and write what is left of the gap as a tidy CSV.

    Example: revision gap-causes --settings '{"base": {"steps": 200}, "studies": [{"cause": "temperature",
    "points": [{"at": 0.03}, {"at": 0.3, "encoder": {"temperature": 0.3}}]}]}' --out causes.csv
    """
    from revision.dynamics.causes import CausesSettings, study_causes
    from revision.settings import from_mapping

    chosen = from_mapping(CausesSettings, _mapping(settings, "--settings"), "dynamics.causes")
    study_causes(chosen, _mapping(world, "--world"), out, seed=seed, threads=threads, progress=typer.echo)


def register(app: typer.Typer) -> None:
    """Add the commands of training under observation to `app`."""
    commands: dict[str, Callable[..., None]] = {"dynamics": dynamics_command, "gap-causes": causes_command}
    for name, command in commands.items():
        app.command(name, no_args_is_help=True, rich_help_panel="Stages of the workflow")(command)
