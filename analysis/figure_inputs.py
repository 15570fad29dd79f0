"""What the figure scripts share: their arguments, and held-out pairs before and after every aligner."""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from revision.align import Aligner, make_aligner
from revision.embeddings import open_embeddings

CAPTIONS = ("short", "long")
FITTED_ON = (
    "Aligners are fitted on {texts} unpaired texts and {images} pictures (those that need pairs on {pairs} pairs) and "
    "measured on {count} other pairs, d = {dim}."
)


OPTIONS = {
    "published": {"type": Path, "help": "YAML of published numbers"},
    "aligners": {"type": json.loads, "help": "the section `aligners` of the configuration as JSON"},
    "seeds": {"type": int, "nargs": "+"},
    "captions": {"type": Path, "help": "corpus table with the captions of the held-out pairs"},
    "answers": {"type": Path, "help": "answers of one seed"},
    "method": {"help": "whose answers"},
}


def arguments(description: str | None, *names: str) -> argparse.ArgumentParser:
    """`work`, the folder of working files; the options `names` of OPTIONS; --out, one CSV a figure."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("work", type=Path)
    for name in names:
        parser.add_argument(f"--{name}", required=True, **OPTIONS[name])
    parser.add_argument("--out", type=Path, nargs="+", required=True)
    return parser


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML file."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def rows(work: Path, table: str, column: str) -> np.ndarray:
    """Embeddings [n, d] of one column of a corpus table."""
    return np.asarray(open_embeddings(work / f"embeddings/{table}_{column}").array())


def probe_images(work: Path, column: str) -> np.ndarray:
    """Pictures of the held-out captions of a column; long captions of other pictures have a table of their own."""
    own = f"probe_{column}"
    return rows(work, own if (work / f"embeddings/{own}_image").exists() else "probe", "image")


def make(settings: dict[str, Any]) -> Aligner:
    """An aligner, not fitted, from its section of the configuration."""
    return make_aligner(settings["method"], **settings.get("params", {}))


@dataclass(frozen=True)
class HeldOut:
    """Held-out pairs image[i], text[i], [n, d], and for each aligner (text, image) after it; `fitted` says on what."""

    image: np.ndarray
    text: np.ndarray
    moved: dict[str, tuple[np.ndarray, np.ndarray]]
    fitted: str


def held_out(work: Path, column: str, settings: dict[str, dict[str, Any]]) -> HeldOut:
    """Fit aligners on unpaired rows, those that need pairs on the first half of the probe; move the second half."""
    texts, images = rows(work, "text", column), rows(work, "reference", "image")
    probe_text, probe_image = rows(work, "probe", column), probe_images(work, column)
    half = len(probe_text) // 2
    text, image = probe_text[half:], probe_image[half:]
    moved = {}
    for name, section in settings.items():
        aligner = make(section)
        aligner.fit(*((probe_text[:half], probe_image[:half]) if aligner.paired else (texts, images)))
        moved[name] = aligner.transform(text), aligner.transform_target(image) if aligner.target_transforms_ else image
    fitted = FITTED_ON.format(texts=len(texts), images=len(images), pairs=half, count=len(text), dim=text.shape[1])
    return HeldOut(image, text, moved, fitted)
