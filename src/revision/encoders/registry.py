"""Encoders by YAML: a file says the family, where the weights are and their revision; see config/encoders/."""

from importlib import import_module
from pathlib import Path
from typing import Any

from revision.config import parse, read_yaml
from revision.encoders.base import Encoder
from revision.errors import ConfigError, DataError

# Module and class; a family is imported when an encoder of it is asked for.
FILE_FAMILIES = {
    "huggingface": ("huggingface", "HuggingFaceEncoder"),
    "open_clip": ("open_clip", "OpenClipEncoder"),
    "sentence_transformers": ("sentence", "SentenceEncoder"),
    "llm2clip": ("llm2clip", "LLM2CLIPEncoder"),
    "arrays": ("arrays", "ReadyMade"),
}
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
    if family not in FILE_FAMILIES:
        raise ConfigError(f"{path}: family {family!r} does not exist; there are {', '.join(FILE_FAMILIES)}")
    module, name = FILE_FAMILIES[family]
    encoder = getattr(import_module(f"revision.encoders.{module}"), name)
    return encoder, parse(encoder.Settings, values, str(path))


def load(path: str | Path) -> Encoder:
    """The encoder that the YAML at `path` describes, with its weights."""
    encoder, settings = read(path)
    return encoder(Path(path).stem, settings)
