"""The `revision` command: every step of the workflow, and tools for any embeddings."""

import os
import shlex
import sys
from typing import Annotated

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import typer

from revision.cli import align, dose, dynamics, gap, photos, plan, reproduce, share, stages
from revision.cli.messages import FAILED
from revision.errors import RevisionError

EXTRA = "the extra `reproduce`: pip install -e '.[reproduce]', or `make setup`"

app = typer.Typer(
    help="Measure the modality gap of an encoder, close it, and test whether that trains a better multimodal LLM.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
reproduce.register(app)
gap.register(app)
stages.register(app)
photos.register(app)
plan.register(app)
dynamics.register(app)
dose.register(app)
align.register(app)
share.register(app)


@app.command("batch", no_args_is_help=True)
def batch_command(
    commands: Annotated[list[str], typer.Argument(help="Commands without `revision`, each one argument in quotes.")],
) -> None:
    """Run several commands one after another in one process, which starts once; the first failure ends it.

    Example: revision batch "stats sets/images" "verify sets/images"
    """
    for command in commands:
        if code := app(shlex.split(command), standalone_mode=False):
            raise typer.Exit(code)


def main() -> None:
    """Run the command; print what a user can fix in one line without a traceback and exit with code 1."""
    try:
        app()
    except (RevisionError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(FAILED)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("revision"):
            raise
        print(f"error: {error.name} is not installed; this command needs {EXTRA}", file=sys.stderr)
        sys.exit(FAILED)
