"""Encoder families: encoders that a training run saved to a folder, and encoders described by a YAML file."""

import json
from importlib import import_module
from pathlib import Path
from typing import Any

from revision.config import parse, read_yaml
from revision.encoders.base import Encoder
from revision.errors import ConfigError, DataError

# Module and class. A module is imported when an encoder of its family is loaded, as its libraries may be optional.
FAMILIES = {
    "dual": ("scenes_encoder", "DualEncoder"),
    "pretrained_heads": ("pretrained_heads", "PretrainedEncoder"),
    "huggingface": ("huggingface", "HuggingFaceEncoder"),
    "open_clip": ("open_clip", "OpenClipEncoder"),
    "sentence_transformers": ("sentence", "SentenceEncoder"),
    "llm2clip": ("llm2clip", "LLM2CLIPEncoder"),
    "arrays": ("arrays", "PrecomputedEncoder"),
}
SAVED = ("dual", "pretrained_heads")
DESCRIBED = tuple(family for family in FAMILIES if family not in SAVED)
FOLDER = Path("config/encoders")
PATHS = {"image", "text", "model", "text_model"}  # keys that may name a file or folder


def known(folder: str | Path = FOLDER) -> list[str]:
    """List the encoders that have a YAML file in `folder`."""
    return sorted(path.stem for path in Path(folder).glob("*.yaml"))


def read(path: str | Path) -> tuple[type, Any]:
    """Read an encoder's YAML file without loading the model. Paths in it are relative to the file.

    Parameters
    ----------
    path : path
        The YAML file.

    Returns
    -------
    encoder : type
        Class of the encoder.
    settings : Settings
        Its settings.

    Raises
    ------
    DataError
        If there is no such file; lists the encoders in the same folder.
    ConfigError
        If the family or a key is unknown, or a value is invalid.
    """
    path = Path(path)
    if not path.is_file():
        names = ", ".join(known(path.parent)) or "none"
        raise DataError(f"{path}: encoder {path.stem!r} does not exist; the encoders in {path.parent} are {names}")
    values = read_yaml(path)
    family = values.pop("family", None)
    if family not in DESCRIBED:
        raise ConfigError(f"{path}: family {family!r} does not exist; there are {', '.join(DESCRIBED)}")
    for key in PATHS & {name for name, value in values.items() if value and isinstance(value, str)}:
        values[key] = _beside(path, values[key], always=family == "arrays")
    encoder = _class(family)
    return encoder, parse(encoder.Settings, values, str(path))


def load_encoder(path: str | Path) -> Encoder:
    """Load an encoder with its weights.

    Parameters
    ----------
    path : path
        Folder to which a training run saved an encoder, or a YAML file that describes one.

    Returns
    -------
    Encoder
        The encoder, ready to embed.

    Raises
    ------
    DataError
        If there is no encoder, its family is unknown, or its weights are not available.
    ConfigError
        If the YAML file is invalid.
    """
    path = Path(path)
    if path.suffix == ".yaml":
        encoder, settings = read(path)
        return encoder(path.stem, settings)
    config = path / "config.json"
    if not config.is_file():
        others = f" or give a YAML file of {FOLDER} ({', '.join(known())})" if known() else ""
        raise DataError(f"{config}: no such file; train an encoder into this folder first{others}")
    try:
        family = json.loads(config.read_text(encoding="utf-8")).get("family")
    except (ValueError, AttributeError) as error:
        raise DataError(f"{config}: not readable as JSON ({error}); train or copy the encoder again") from error
    if family not in SAVED:
        raise DataError(
            f"{config}: unknown encoder family {family!r}; a saved encoder is of family {' or '.join(SAVED)}, and "
            f"{', '.join(DESCRIBED)} need a YAML file"
        )
    return _class(family).load(path)


def _beside(file: Path, value: str, always: bool) -> str:
    """The path relative to the folder of `file`; a model that is not there may be an id on the hub."""
    path = file.parent / Path(value).expanduser()
    return str(path) if always or path.exists() or value.startswith(".") else value


def _class(family: str) -> Any:
    module, name = FAMILIES[family]
    return getattr(import_module(f"revision.encoders.{module}"), name)
