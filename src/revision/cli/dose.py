"""The command `dose`: dose and response of the modality gap."""

import typer

from revision.cli.stages import NeededConfig, Out, Threads, settings


def dose_command(config: NeededConfig, out: Out, threads: Threads = 1) -> None:
    """Train both stages on texts with a known gap, trace, rotation or noise, and write how well they answer by step.

    Sections of the settings: dose, aligners, inputs (files), encoder and seed. The same command resumes.

    Example: revision dose --config dose.yaml --out dose/encoder0_seed0.csv
    """
    import torch

    from revision.config.dose import DoseSections
    from revision.dose.study import run_study

    torch.set_num_threads(threads)
    run_study(settings(config, DoseSections), out, typer.echo)


def register(app: typer.Typer) -> None:
    """Add `dose` to `app`."""
    app.command("dose", no_args_is_help=True, rich_help_panel="Stages of the workflow")(dose_command)
