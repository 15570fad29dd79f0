"""A fitted aligner on disk: `aligner.json` (method, parameters) beside `aligner.safetensors` (means, maps)."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from revision.align.aniso import Polar
from revision.align.base import Aligner, check_is_fitted
from revision.align.decap import Memory
from revision.align.transforms import Linear, Noise, Shift, pack, unpack
from revision.errors import DataError
from revision.io.files import atomic_folder, digest, write_json

FORMAT = "revision-aligner-2"
KINDS = {cls.kind: cls for cls in (Shift, Linear, Noise, Polar, Memory)}
TENSORS, DESCRIPTION = "aligner.safetensors", "aligner.json"


def save_aligner(aligner: Aligner, folder: str | Path, about: dict[str, Any] | None = None) -> None:
    """Write a fitted aligner; replaces an older aligner of that name, no other folder."""
    check_is_fitted(aligner)
    folder = Path(folder)
    own = folder.is_dir() and {path.name for path in folder.iterdir()} <= {DESCRIPTION, TENSORS}
    if folder.exists() and not own:
        raise DataError(f"{folder}: exists and holds no aligner; name another folder, or remove it yourself")
    transforms, tensors = pack(aligner.transforms_, "transforms")
    target_transforms, more = pack(aligner.target_transforms_, "target_transforms")
    fitted = {key: value for key, value in vars(aligner).items() if key.endswith("_") and "transforms" not in key}
    arrays = {f"fitted.{key}": np.ascontiguousarray(v) for key, v in fitted.items() if isinstance(v, np.ndarray)}
    with atomic_folder(folder) as part:
        save_file(tensors | more | arrays, part / TENSORS)
        description = {
            "format": FORMAT,
            "aligner": aligner.name,
            "params": aligner.get_params(),
            "fitted": {key: value for key, value in fitted.items() if not isinstance(value, np.ndarray)},
            "transforms": transforms,
            "target_transforms": target_transforms,
            "tensors_xxh3_128": digest(part / TENSORS),
            "about": about or {},
        }
        write_json(part / DESCRIPTION, description)


def load_aligner(folder: str | Path) -> Aligner:
    """The aligner that `save_aligner` wrote, ready to transform; raises DataError for a missing, foreign or
    altered one.
    """
    from revision.align import make_aligner

    folder = Path(folder)
    fix = "name a folder that `revision align --save` has written, or fit anew"
    try:
        description = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
        if description["format"] != FORMAT or description["tensors_xxh3_128"] != digest(folder / TENSORS):
            raise DataError(f"{folder / TENSORS}: altered since it was written, or of another version; {fix}")
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
