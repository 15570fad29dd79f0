"""Command-line arguments of the scripts, and readers of the files named there."""

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from revision.config import read
from revision.config.variants import AlignerSections, AlignerSettings
from revision.embeddings import open_embeddings

CAPTIONS = ("short", "long")


def arguments(description: str | None, *files: str, **others: dict[str, Any]) -> argparse.Namespace:
    """Parse the options `files` (paths), `others` (with their argparse settings) and --out (one CSV per figure)."""
    parser = argparse.ArgumentParser(description=description)
    for name, settings in ({name: {"type": Path} for name in files} | others).items():
        parser.add_argument(f"--{name.replace('_', '-')}", required=True, **settings)
    parser.add_argument("--out", type=Path, nargs="+", required=True)
    return parser.parse_args()


def read_aligners(path: Path, names: list[str]) -> dict[str, AlignerSettings]:
    """Settings of the aligners `names`, from a file with the section `aligners`."""
    aligners = read(path, AlignerSections).aligners
    return {name: aligners[name] for name in names}


def rows(folder: Path) -> np.ndarray:
    """The embeddings of a set, of shape (n, d)."""
    return np.asarray(open_embeddings(folder).array())
