"""The `revision` command: every stage of the workflow by hand, and the tools for anybody's embeddings."""

import os
import sys

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import typer

from revision.cli import align, dynamics, gap, plan, reproduce, stages
from revision.cli.messages import FAILED, complain
from revision.errors import is_explained

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
    """Run the command; an error of the user's or of the system's is one line without a traceback, with exit code 1."""
    try:
        app()
    except Exception as error:
        if not is_explained(error):
            raise
        complain(error)
        sys.exit(FAILED)
