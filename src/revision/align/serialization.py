"""Fitted aligners on disk: `aligner.json` (method and parameters) and `aligner.safetensors` (means and maps)."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from revision.align.aniso import Polar
from revision.align.base import Aligner, check_is_fitted
from revision.align.card import card_text
from revision.align.decap import Memory
from revision.align.transforms import Linear, Noise, Shift, pack, unpack
from revision.errors import DataError
from revision.io.files import atomic_folder, digest, write_json, write_text

FORMAT = "revision-aligner-2"
KINDS = {cls.kind: cls for cls in (Shift, Linear, Noise, Polar, Memory)}
TENSORS, DESCRIPTION, CARD = "aligner.safetensors", "aligner.json", "README.md"
FILES = (TENSORS, DESCRIPTION, CARD)


def save_aligner(aligner: Aligner, folder: str | Path, about: dict[str, Any] | None = None) -> None:
    """Write a fitted aligner to a folder.

    Parameters
    ----------
    aligner : Aligner
        The fitted aligner.
    folder : str or Path
        Where to write it. An aligner that is already there is replaced.
    about : dict, optional
        Further facts, such as the embeddings it was fitted on, as JSON values.

    Raises
    ------
    sklearn.exceptions.NotFittedError
        If the aligner is not fitted.
    DataError
        If the folder exists and holds anything but an aligner.
    """
    check_is_fitted(aligner)
    folder = Path(folder)
    is_aligner = folder.is_dir() and {path.name for path in folder.iterdir()} <= set(FILES)
    if folder.exists() and not is_aligner:
        raise DataError(f"{folder}: exists and holds no aligner; name another folder, or remove it yourself")
    transforms, tensors = pack(aligner.transforms_, "transforms")
    target_transforms, target_tensors = pack(aligner.target_transforms_, "target_transforms")
    fitted = {key: value for key, value in vars(aligner).items() if key.endswith("_") and "transforms" not in key}
    arrays = {key: value for key, value in fitted.items() if isinstance(value, np.ndarray)}
    named_arrays = {f"fitted.{key}": np.ascontiguousarray(value) for key, value in arrays.items()}
    with atomic_folder(folder) as part:
        save_file(tensors | target_tensors | named_arrays, part / TENSORS)
        description = {
            "format": FORMAT,
            "aligner": aligner.name,
            "params": aligner.get_params(),
            "fitted": {key: value for key, value in fitted.items() if key not in arrays},
            "transforms": transforms,
            "target_transforms": target_transforms,
            "tensors_xxh3_128": digest(part / TENSORS),
            "about": about or {},
        }
        write_json(part / DESCRIPTION, description)


def write_card(folder: str | Path, repo: str) -> Path:
    """Write the card of a saved aligner, unless it has one.

    Parameters
    ----------
    folder : str or Path
        Folder of the aligner.
    repo : str
        Id that the aligner will have on the hub, for the card's example.

    Returns
    -------
    Path
        The card, README.md in the folder.

    Raises
    ------
    DataError
        If the folder holds no aligner.
    """
    aligner = load_aligner(folder)
    card = Path(folder) / CARD
    about = json.loads((Path(folder) / DESCRIPTION).read_text(encoding="utf-8"))["about"]
    if not card.exists():
        write_text(card, card_text(aligner, about, repo))
    return card


def load_aligner(folder: str | Path) -> Aligner:
    """Load a fitted aligner that `save_aligner` wrote.

    Parameters
    ----------
    folder : str or Path
        The folder.

    Returns
    -------
    Aligner
        The fitted aligner, ready to transform.

    Raises
    ------
    DataError
        If the folder holds no aligner, or one that was altered or written by another version.
    """
    from revision.align import make_aligner

    folder = Path(folder)
    fix = "name a folder written by `revision align --save`, or fit the aligner again"
    try:
        description = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
        if description["format"] != FORMAT or description["tensors_xxh3_128"] != digest(folder / TENSORS):
            raise DataError(f"{folder / TENSORS}: altered, or written by another version; {fix}")
        tensors = load_file(folder / TENSORS)
        aligner = make_aligner(description["aligner"], **description["params"])
        aligner.transforms_ = unpack(description["transforms"], tensors, "transforms", KINDS)
        aligner.target_transforms_ = unpack(description["target_transforms"], tensors, "target_transforms", KINDS)
    except (OSError, json.JSONDecodeError, KeyError, TypeError, SafetensorError) as error:
        raise DataError(f"{folder}: no saved aligner here ({type(error).__name__}: {error}); {fix}") from error
    arrays = {key.removeprefix("fitted."): value for key, value in tensors.items() if key.startswith("fitted.")}
    for key, value in (description["fitted"] | arrays).items():
        setattr(aligner, key, value)
    return aligner
