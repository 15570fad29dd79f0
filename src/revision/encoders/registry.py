"""The encoders by family: those saved to a folder by a training, and those that a YAML describes (config/encoders/)."""

import json
from importlib import import_module
from pathlib import Path
from typing import Any

from revision.config import parse, read_yaml
from revision.encoders.base import Encoder
from revision.errors import ConfigError, DataError

# Module and class; a family is imported when an encoder of it is asked for.
FAMILIES = {
    "dual": ("scenes_encoder", "DualEncoder"),
    "pretrained_heads": ("pretrained_heads", "PretrainedEncoder"),
    "huggingface": ("huggingface", "HuggingFaceEncoder"),
    "open_clip": ("open_clip", "OpenClipEncoder"),
    "sentence_transformers": ("sentence", "SentenceEncoder"),
    "llm2clip": ("llm2clip", "LLM2CLIPEncoder"),
    "arrays": ("arrays", "ReadyMade"),
}
SAVED = ("dual", "pretrained_heads")
DESCRIBED = tuple(family for family in FAMILIES if family not in SAVED)
FOLDER = Path("config/encoders")


def known(folder: str | Path = FOLDER) -> list[str]:
    """Names of the encoders with a YAML in `folder`."""
    return sorted(path.stem for path in Path(folder).glob("*.yaml"))


def read(path: str | Path) -> tuple[type, Any]:
    """Class and settings that the YAML at `path` names; nothing is loaded.

    Raises DataError, listing the encoders beside it, if there is no such file, and ConfigError for an unknown family
    or key.
    """
    path = Path(path)
    if not path.is_file():
        names = ", ".join(known(path.parent)) or "none"
        raise DataError(f"{path}: encoder {path.stem!r} does not exist; the encoders in {path.parent} are {names}")
    values = read_yaml(path)
    family = values.pop("family", None)
    if family not in DESCRIBED:
        raise ConfigError(f"{path}: family {family!r} does not exist; there are {', '.join(DESCRIBED)}")
    encoder = _class(family)
    return encoder, parse(encoder.Settings, values, str(path))


def load_encoder(path: str | Path) -> Encoder:
    """Load an encoder with its weights.

    Parameters
    ----------
    path
        Folder that a training has saved an encoder to, or a YAML that describes one.

    Raises
    ------
    DataError
        If there is none, its family is unknown, or its weights cannot be had.
    ConfigError
        For a YAML that describes none.
    """
    path = Path(path)
    if path.suffix == ".yaml":
        encoder, settings = read(path)
        return encoder(path.stem, settings)
    config = path / "config.json"
    if not config.is_file():
        others = f" or name a YAML of {FOLDER} ({', '.join(known())})" if known() else ""
        raise DataError(f"{config}: no such file; train an encoder into this folder first{others}")
    try:
        family = json.loads(config.read_text(encoding="utf-8")).get("family")
    except (ValueError, AttributeError) as error:
        raise DataError(f"{config}: not readable as JSON ({error}); train or copy the encoder again") from error
    if family not in SAVED:
        raise DataError(
            f"{config}: unknown encoder family {family!r}; there are {', '.join(SAVED)} and, by YAML, "
            f"{', '.join(DESCRIBED)}"
        )
    return _class(family).load(path)


def _class(family: str) -> Any:
    module, name = FAMILIES[family]
    return getattr(import_module(f"revision.encoders.{module}"), name)
