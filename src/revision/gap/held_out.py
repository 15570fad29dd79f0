"""Held-out pairs before and after every aligner, computed once for all figures that show them.

A folder has `manifest.json` (names of the aligners and the numbers of rows they were fitted on), `pairs.safetensors`
(the pairs before and after each aligner) and `aligners` with a folder for each fitted aligner.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from revision.align import Aligner, load_aligner, make_aligner, save_aligner
from revision.config.variants import AlignerSettings
from revision.embeddings.rows import Array
from revision.errors import DataError
from revision.io.files import atomic_folder, write_json

MANIFEST, PAIRS, ALIGNERS = "manifest.json", "pairs.safetensors", "aligners"


@dataclass(frozen=True)
class HeldOut:
    """Held-out pairs before and after alignment.

    Attributes
    ----------
    image, text : ndarray of shape (n, d)
        Pairs, rows of unit length.
    moved : dict of tuple of ndarray
        (text, image) after each aligner, in the order in which they were fitted. The image is the array `image` itself
        if the aligner moves texts only.
    fitted_on : dict of int
        Numbers of rows that aligners were fitted on: `texts` and `images` (unpaired), and `pairs` for those that need
        pairs.
    paired : list of str
        Names of the aligners that were fitted on pairs.
    """

    image: Array
    text: Array
    moved: dict[str, tuple[Array, Array]]
    fitted_on: dict[str, int]
    paired: list[str]

    @property
    def facts(self) -> dict[str, int]:
        """Numbers of rows fitted and measured on, and the dimension, for captions."""
        return self.fitted_on | {"count": len(self.text), "dim": self.text.shape[1]}


def configured(settings: AlignerSettings) -> Aligner:
    """Return an aligner with these settings, not fitted."""
    return make_aligner(settings.method, **settings.params)


def write_held_out(
    folder: str | Path, texts: Array, images: Array, probe: tuple[Array, Array], aligners: Mapping[str, AlignerSettings]
) -> HeldOut:
    """Fit each aligner, transform the second half of the probe, and write both.

    Parameters
    ----------
    folder : path
        Output; an existing folder is replaced.
    texts, images : ndarray of shape (n, d) and (m, d)
        Unpaired rows of unit length to fit on.
    probe : tuple of ndarray of shape (p, d)
        Pairs (texts, images). Aligners that need pairs are fitted on the first half, so that none is measured on pairs
        it was fitted on.
    aligners : mapping of AlignerSettings
        Settings by name, in the order of the figures.

    Returns
    -------
    HeldOut
        What was written.
    """
    half = len(probe[0]) // 2
    (fit_text, text), (fit_image, image) = ((rows[:half], rows[half:]) for rows in probe)
    tensors, moved, paired = {"text": text, "image": image}, {}, []
    with atomic_folder(folder) as part:
        for name, settings in aligners.items():
            aligner = configured(settings)
            if aligner.paired:
                aligner.fit(fit_text, fit_image)
                paired.append(name)
            else:
                aligner.fit(texts, images)
            save_aligner(aligner, part / ALIGNERS / name)
            tensors[f"{name}.text"] = aligner.transform(text)
            if aligner.target_transforms_:
                tensors[f"{name}.image"] = aligner.transform_target(image)
            moved[name] = tensors[f"{name}.text"], tensors.get(f"{name}.image", image)
        fitted_on = {"texts": len(texts), "images": len(images), "pairs": half}
        save_file(tensors, part / PAIRS)
        write_json(part / MANIFEST, {"aligners": list(aligners), "fitted_on": fitted_on, "paired": paired})
    return HeldOut(image, text, moved, fitted_on, paired)


def read_held_out(folder: str | Path) -> HeldOut:
    """Read what `write_held_out` wrote.

    Parameters
    ----------
    folder : path
        The folder given to `write_held_out`.

    Returns
    -------
    HeldOut
        Pairs before and after alignment.

    Raises
    ------
    DataError
        If the folder is missing or incomplete.
    """
    folder = Path(folder)
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        tensors = load_file(folder / PAIRS)
        image, text = tensors["image"], tensors["text"]
        moved = {name: (tensors[f"{name}.text"], tensors.get(f"{name}.image", image)) for name in manifest["aligners"]}
        return HeldOut(image, text, moved, manifest["fitted_on"], manifest["paired"])
    except (OSError, json.JSONDecodeError, KeyError, SafetensorError) as error:
        raise DataError(
            f"{folder}: no held-out pairs here ({type(error).__name__}: {error}); make them with `revision measure`"
        ) from error


def read_aligner(folder: str | Path, name: str) -> Aligner:
    """Read the aligner `name` that was fitted for the held-out pairs in `folder`."""
    return load_aligner(Path(folder) / ALIGNERS / name)
