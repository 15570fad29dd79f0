"""How every command ends on an error of the user's or of the system's: one line on stderr, exit code 1."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from revision.errors import RevisionError

FAILED = 1  # typer itself ends with 2 for options and arguments that do not exist


@contextmanager
def reported(as_json: bool) -> Iterator[None]:
    """End the command on RevisionError or OSError; `as_json` adds {"error": ...} on stdout."""
    try:
        yield
    except (RevisionError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        if as_json:
            print(json.dumps({"error": str(error)}))
        raise typer.Exit(FAILED) from error
