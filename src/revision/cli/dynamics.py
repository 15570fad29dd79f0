"""Commands that watch contrastive training (figure 1) and study what makes the gap stay."""

import glob
from collections.abc import Callable

import typer

from revision.cli.stages import Config, NeededConfig, Out, Seed, Threads, settings


def dynamics_command(out: Out, config: Config = None, seed: Seed = 0, threads: Threads = 1) -> None:
    """Train a dual encoder under observation: series.csv, summary.json and timing.json (figure 1).

    Sections of the file: training, monitor, world. Training of kind shards is that of a ViT and a text transformer
    (TinyCLIP's size by default) on webdataset shards, on the GPUs that torchrun gives out.

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


def causes_command(config: NeededConfig, out: Out, seed: Seed = 0, threads: Threads = 1) -> None:
    """Train one small encoder a point of each cause of the gap, and write what is left of the gap as a tidy CSV.

    Sections of the file: causes, world.

    Example: revision gap-causes --config causes.yaml --out causes.csv
    """
    from revision.config.dynamics import CausesSections
    from revision.dynamics.causes import study_causes

    sections = settings(config, CausesSections)
    study_causes(sections.causes, sections.world, out, seed=seed, threads=threads, progress=typer.echo)


def register(app: typer.Typer) -> None:
    """Add the commands of training under observation to `app`."""
    commands: dict[str, Callable[..., None]] = {"dynamics": dynamics_command, "gap-causes": causes_command}
    for name, command in commands.items():
        app.command(name, no_args_is_help=True, rich_help_panel="Stages of the workflow")(command)
