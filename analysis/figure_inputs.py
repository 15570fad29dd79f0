"""Command-line arguments of the scripts, and readers of the files named there."""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from revision.config import read
from revision.config.variants import AlignerSections, AlignerSettings
from revision.data.corpus import open_corpus
from revision.embeddings import open_embeddings
from revision.gap.sampling import Sample

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


def sample(folder: Path, table: Path) -> Sample:
    """The embeddings of a set and what its rows show according to the corpus table that it was made from.

    That is the column `content` of generated scenes, and the path of the image in published data sets. Without either,
    rows share content only if they are exactly equal.
    """
    corpus = open_corpus(table, ("id",))
    texts = [field.name for field in corpus.schema_arrow if field.type in (pa.string(), pa.large_string())]
    column = next((name for name in ("content", "image") if name in texts), None)
    return Sample(rows(folder), column and corpus.read(columns=[column])[column].to_numpy())
