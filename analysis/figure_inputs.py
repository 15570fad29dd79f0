"""Arguments of the figure scripts, and the files that they name."""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from revision.embeddings import open_embeddings

CAPTIONS = ("short", "long")


def arguments(description: str | None, *files: str, **others: dict[str, Any]) -> argparse.Namespace:
    """Parse options for `files` (a path each), for `others` (as argparse takes them) and --out (a CSV a figure)."""
    parser = argparse.ArgumentParser(description=description)
    for name, settings in ({name: {"type": Path} for name in files} | others).items():
        parser.add_argument(f"--{name.replace('_', '-')}", required=True, **settings)
    parser.add_argument("--out", type=Path, nargs="+", required=True)
    return parser.parse_args()


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML file."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def rows(folder: Path) -> np.ndarray:
    """Embeddings [n, d] of a set."""
    return np.asarray(open_embeddings(folder).array())
