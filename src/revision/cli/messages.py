"""How every command ends on an error of the user's or of the system's: one line on stderr, exit code 1."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from revision.errors import explain, is_explained

FAILED = 1  # typer itself ends with 2 for options and arguments that do not exist


def complain(error: Exception) -> None:
    """Say the error in one line on stderr."""
    print(f"error: {explain(error)}", file=sys.stderr)


@contextmanager
def reported(as_json: bool) -> Iterator[None]:
    """End the command on an error of the package or of the system; `as_json` adds {"error": ...} on stdout."""
    try:
        yield
    except Exception as error:
        if not is_explained(error):
            raise
        complain(error)
        if as_json:
            print(json.dumps({"error": explain(error)}))
        raise typer.Exit(FAILED) from error
