"""Encoders: pictures and texts into one space. `load_encoder` takes a saved encoder's folder or a YAML."""

import json
from importlib import import_module
from pathlib import Path

from revision.encoders import registry
from revision.encoders.base import Encoder
from revision.encoders.scenes_encoder import DualEncoder, EncoderSettings
from revision.errors import DataError

# Module and class; the module is imported when an encoder of the family is loaded.
FAMILIES = {"dual": ("scenes_encoder", "DualEncoder"), "pretrained_heads": ("pretrained_heads", "PretrainedEncoder")}


def load_encoder(folder: str | Path) -> Encoder:
    """Load the encoder saved in `folder`, or the one that a YAML (`revision.encoders.registry`) describes.

    Raises DataError if there is none, its family is unknown, or its weights can't be had.
    """
    if Path(folder).suffix == ".yaml":
        return registry.load(folder)
    config = Path(folder) / "config.json"
    if not config.is_file():
        names = registry.known()
        others = f" or name a YAML of {registry.FOLDER} ({', '.join(names)})" if names else ""
        raise DataError(f"{config}: no such file; train an encoder into this folder first{others}")
    try:
        family = json.loads(config.read_text(encoding="utf-8")).get("family")
    except (ValueError, AttributeError) as error:
        raise DataError(f"{config}: not readable as JSON ({error}); train or copy the encoder again") from error
    if family not in FAMILIES:
        raise DataError(
            f"{config}: unknown encoder family {family!r}; there are {', '.join(FAMILIES)} and, by YAML, "
            f"{', '.join(registry.FILE_FAMILIES)}"
        )
    module, name = FAMILIES[family]
    return getattr(import_module(f"revision.encoders.{module}"), name).load(folder)


__all__ = ["FAMILIES", "DualEncoder", "Encoder", "EncoderSettings", "load_encoder"]
