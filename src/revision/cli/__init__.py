"""The `revision` command: every stage of the workflow by hand, and the tools for anybody's embeddings."""

import os
import sys

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import typer

from revision.cli import align, dynamics, gap, plan, reproduce, stages
from revision.cli.messages import FAILED
from revision.errors import RevisionError

app = typer.Typer(
    help="Measure the modality gap of an encoder, close it, and see whether closing it trains a better multimodal LLM.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
reproduce.register(app)
gap.register(app)
stages.register(app)
plan.register(app)
dynamics.register(app)
align.register(app)


def main() -> None:
    """Run the command; RevisionError and OSError are one line without a traceback, with exit code 1."""
    try:
        app()
    except (RevisionError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(FAILED)
