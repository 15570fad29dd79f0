"""Read settings from YAML files."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml

from revision.config.base import close_match, listed, parse
from revision.config.configuration import Configuration
from revision.errors import ConfigError

T = TypeVar("T")


def load(folder: str | Path, scale: str | None = None, overrides: Mapping[str, Any] | None = None) -> Configuration:
    """Load the configuration of a scale.

    Parameters
    ----------
    folder : str or Path
        Folder that contains default.yaml and the subfolder `scales`.
    scale : str, optional
        Name of a file of `scales`; by default the value of `scale` in `overrides` or default.yaml.
    overrides : mapping, optional
        Values that replace those of both files, as `snakemake --config` passes them: numbers inside mappings may be
        strings.

    Returns
    -------
    Configuration
        The validated settings.

    Raises
    ------
    ConfigError
        If the scale does not exist, or for unknown keys, invalid values and unknown names, all reported together.
    """
    folder, overrides = Path(folder), _typed(dict(overrides or {}))
    defaults = read_yaml(folder / "default.yaml")
    chosen = scale or overrides.get("scale") or defaults.get("scale")
    values = merge(merge(defaults, read_yaml(scale_file(folder, str(chosen)))), overrides)
    return parse(Configuration, values, "configuration")


def _typed(value: Any) -> Any:
    """Convert strings to numbers and booleans: Snakemake reads `--config` with YAML's base loader, without types."""
    if isinstance(value, dict):
        return {key: _typed(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_typed(item) for item in value]
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return value


def scale_file(folder: str | Path, scale: str) -> Path:
    """Return the path of a scale's YAML file. Raises ConfigError, with all scales, if it does not exist."""
    path = Path(folder) / "scales" / f"{scale}.yaml"
    if not path.is_file():
        names = [p.stem for p in path.parent.glob("*.yaml")]
        raise ConfigError(f"scale {scale!r} does not exist{close_match(scale, names)}; the scales are {listed(names)}")
    return path


def read(path: str | Path, kind: type[T]) -> T:
    """Read settings from a YAML or JSON file.

    Parameters
    ----------
    path : str or Path
        The file.
    kind : type
        A settings class, or a union of several.

    Returns
    -------
    kind
        The validated settings.

    Raises
    ------
    ConfigError
        If the file is not readable or a value is invalid; reports file and key.
    """
    return parse(kind, read_yaml(path), str(path))


def read_yaml(path: str | Path) -> dict[str, Any]:
    """Read the mapping in a YAML or JSON file. Raises ConfigError if the file is unreadable or not a mapping."""
    path = Path(path)
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: not readable as YAML ({error}); correct the path or the file") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: holds {type(values).__name__}, expected keys with values; correct the file")
    return values


def merge(base: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """Update a nested mapping.

    Parameters
    ----------
    base, change : mapping
        Nested values; sections of `change` update those of `base`. A section of another `kind` replaces the old one.

    Returns
    -------
    dict
        The updated mapping; the arguments are not modified.
    """
    merged = dict(base)
    for key, value in change.items():
        section = merged.get(key)
        if not isinstance(value, Mapping) or not isinstance(section, Mapping):
            merged[key] = value
        elif value.get("kind") in (None, section.get("kind")):
            merged[key] = merge(section, value)
        else:
            merged[key] = value
    return merged
