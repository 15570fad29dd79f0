"""The commands `dynamics` and `gap-causes`: contrastive training under observation (figure 1), causes of the gap."""

import glob
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from revision.cli.stages import Config, NeededConfig, Out, Seed, Threads, settings


def dynamics_command(out: Out, config: Config = None, seed: Seed = 0, threads: Threads = 1) -> None:
    """Train a dual encoder and observe its gap; write series.csv, summary.json and timing.json (figure 1).

    Sections of the settings: training, monitor, world. With training of kind shards, a ViT and a text transformer
    (by default of TinyCLIP's size) are trained on webdataset shards, on several GPUs under torchrun.

    Example: revision dynamics --config dynamics.yaml --out dynamics/seed0
    """
    from revision.config.dynamics import DynamicsSections, ShardTraining

    sections = settings(config, DynamicsSections)
    training, monitor = sections.training, sections.monitor
    if isinstance(training, ShardTraining):
        from revision.dynamics.run import observe_shards

        files = sorted(glob.glob(training.files))
        observe_shards(files, training.encoder, monitor, out, seed=seed, threads=threads)
        return
    from revision.data.scenes import World
    from revision.dynamics import observe_training

    observe_training(World(sections.world), training, monitor, out, seed=seed, threads=threads)


def causes_command(
    config: NeededConfig,
    out: Out,
    tables: Annotated[
        tuple[Path, Path] | None,
        typer.Option(help="Corpus tables of captioned images: training and held-out pairs; without: generated scenes."),
    ] = None,
    seed: Seed = 0,
    threads: Threads = 1,
) -> None:
    """Train one small encoder per point of each cause of the gap, and write the remaining gaps as a tidy CSV.

    Sections of the settings: causes, world. With tables, the causes have a base of kind pretrained_heads.

    Example: revision gap-causes --config causes.yaml --out causes.csv
    """
    from revision.config.dynamics import CausesSections
    from revision.dynamics.causes import study_causes

    sections = settings(config, CausesSections)
    further: dict[str, Any] = {}
    if tables:
        from revision.config import parse
        from revision.config.encoders import HeadSettings
        from revision.dynamics.head_causes import HeadStudy

        further["heads"] = HeadStudy(*tables, parse(HeadSettings, sections.causes.base, "causes.base"))
    study_causes(sections.causes, sections.world, out, seed=seed, threads=threads, progress=typer.echo, **further)


def register(app: typer.Typer) -> None:
    """Add `dynamics` and `gap-causes` to `app`."""
    commands: dict[str, Callable[..., None]] = {"dynamics": dynamics_command, "gap-causes": causes_command}
    for name, command in commands.items():
        app.command(name, no_args_is_help=True, rich_help_panel="Stages of the workflow")(command)
