"""Arguments of the figure scripts, and the files that they name."""

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from revision.config import read
from revision.config.variants import AlignerSections, AlignerSettings
from revision.embeddings import open_embeddings

CAPTIONS = ("short", "long")


def arguments(description: str | None, *files: str, **others: dict[str, Any]) -> argparse.Namespace:
    """Parse options for `files` (a path each), for `others` (as argparse takes them) and --out (a CSV a figure)."""
    parser = argparse.ArgumentParser(description=description)
    for name, settings in ({name: {"type": Path} for name in files} | others).items():
        parser.add_argument(f"--{name.replace('_', '-')}", required=True, **settings)
    parser.add_argument("--out", type=Path, nargs="+", required=True)
    return parser.parse_args()


def read_aligners(path: Path, names: list[str]) -> dict[str, AlignerSettings]:
    """Settings of the aligners `names` in a file with the section `aligners`."""
    aligners = read(path, AlignerSections).aligners
    return {name: aligners[name] for name in names}


def rows(folder: Path) -> np.ndarray:
    """Embeddings [n, d] of a set."""
    return np.asarray(open_embeddings(folder).array())
