"""Encoders: pictures and texts into one space. `load_encoder` finds the family in the saved configuration."""

import json
from pathlib import Path

from revision.encoders.base import Encoder
from revision.encoders.dual import DualEncoder, EncoderSettings
from revision.errors import DataError

FAMILIES = {"dual": DualEncoder}


def load_encoder(folder: str | Path) -> Encoder:
    """Load the encoder saved in `folder`. Raises DataError if there is none or its family is unknown."""
    config = Path(folder) / "config.json"
    if not config.is_file():
        raise DataError(f"{config}: no such file; train an encoder into this folder first")
    family = json.loads(config.read_text(encoding="utf-8")).get("family")
    if family not in FAMILIES:
        raise DataError(f"{config}: unknown encoder family {family!r}; there are {', '.join(FAMILIES)}")
    return FAMILIES[family].load(folder)


__all__ = ["FAMILIES", "DualEncoder", "Encoder", "EncoderSettings", "load_encoder"]
