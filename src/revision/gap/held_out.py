"""Held-out pairs before and after every aligner, measured once for all figures that show them.

On disk: `manifest.json` (which aligners, fitted on how many rows), `pairs.safetensors` (the pairs before and after each
aligner) and the fitted aligners, a folder each, under `aligners`.
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
    """Held-out pairs image[i], text[i], each [n, d] of length 1, before and after alignment.

    Attributes
    ----------
    moved
        (text, image) after each aligner, in the order in which they were fitted. The image is the array `image` itself
        where the aligner moves texts alone.
    fitted_on
        Numbers of rows behind the aligners: `texts` and `images` (unpaired), and `pairs` for those that need pairs.
    paired
        Names of the aligners that were fitted on pairs.
    """

    image: Array
    text: Array
    moved: dict[str, tuple[Array, Array]]
    fitted_on: dict[str, int]
    paired: list[str]

    @property
    def facts(self) -> dict[str, int]:
        """Numbers of rows fitted and measured on, and the dimension, as captions state them."""
        return self.fitted_on | {"count": len(self.text), "dim": self.text.shape[1]}


def configured(settings: AlignerSettings) -> Aligner:
    """An aligner, not fitted."""
    return make_aligner(settings.method, **settings.params)


def write_held_out(
    folder: str | Path, texts: Array, images: Array, probe: tuple[Array, Array], aligners: Mapping[str, AlignerSettings]
) -> HeldOut:
    """Fit each aligner once, move the second half of the probe, and write both.

    Parameters
    ----------
    folder
        Where to write; an older folder of that name is replaced.
    texts, images
        Unpaired rows of length 1, [n, d] and [m, d], that aligners are fitted on.
    probe
        Pairs (texts, images), [p, d] each. Aligners that need pairs are fitted on the first half, so that none is
        measured on a pair that it has seen.
    aligners
        Settings by name, in the order in which figures show them.
    """
    half = len(probe[0]) // 2
    (fit_text, text), (fit_image, image) = ((rows[:half], rows[half:]) for rows in probe)
    tensors, moved, paired = {"text": text, "image": image}, {}, []
    with atomic_folder(folder) as part:
        for name, settings in aligners.items():
            aligner = configured(settings)
            aligner.fit(*((fit_text, fit_image) if aligner.paired else (texts, images)))
            save_aligner(aligner, part / ALIGNERS / name)
            tensors[f"{name}.text"] = aligner.transform(text)
            if aligner.target_transforms_:
                tensors[f"{name}.image"] = aligner.transform_target(image)
            moved[name] = tensors[f"{name}.text"], tensors.get(f"{name}.image", image)
            paired += [name] if aligner.paired else []
        fitted_on = {"texts": len(texts), "images": len(images), "pairs": half}
        save_file(tensors, part / PAIRS)
        write_json(part / MANIFEST, {"aligners": list(aligners), "fitted_on": fitted_on, "paired": paired})
    return HeldOut(image, text, moved, fitted_on, paired)


def read_held_out(folder: str | Path) -> HeldOut:
    """What `write_held_out` wrote to `folder`. Raises DataError where it is missing or not whole."""
    folder = Path(folder)
    try:
        facts = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        tensors = load_file(folder / PAIRS)
        image, text = tensors["image"], tensors["text"]
        moved = {name: (tensors[f"{name}.text"], tensors.get(f"{name}.image", image)) for name in facts["aligners"]}
        return HeldOut(image, text, moved, facts["fitted_on"], facts["paired"])
    except (OSError, json.JSONDecodeError, KeyError, SafetensorError) as error:
        raise DataError(
            f"{folder}: no held-out pairs here ({type(error).__name__}: {error}); make them with `revision measure`"
        ) from error


def read_aligner(folder: str | Path, name: str) -> Aligner:
    """The aligner `name` as it was fitted for the held-out pairs in `folder`."""
    return load_aligner(Path(folder) / ALIGNERS / name)
