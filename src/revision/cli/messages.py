"""How every command reports an error that a user can fix: one line on stderr, exit code 1."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from revision.errors import RevisionError

FAILED = 1  # typer itself exits with 2 for unknown options and arguments


@contextmanager
def reported(as_json: bool) -> Iterator[None]:
    """Exit on RevisionError or OSError; `as_json` also prints {"error": ...} on stdout."""
    try:
        yield
    except (RevisionError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        if as_json:
            print(json.dumps({"error": str(error)}))
        raise typer.Exit(FAILED) from error
