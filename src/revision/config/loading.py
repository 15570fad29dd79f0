"""From YAML files to settings."""

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
    """The configuration of a scale.

    Parameters
    ----------
    folder
        Where default.yaml and the folder `scales` lie.
    scale
        A file of `scales`; without it the one that `overrides` or the defaults name.
    overrides
        What replaces values of both, as `snakemake --config` gives it: numbers inside of mappings may be text.

    Raises
    ------
    ConfigError
        For an unknown scale or key, a value that does not fit, a name that refers to nothing: all of them at once.
    """
    folder, overrides = Path(folder), _typed(dict(overrides or {}))
    defaults = read_yaml(folder / "default.yaml")
    chosen = scale or overrides.get("scale") or defaults.get("scale")
    values = merge(merge(defaults, read_yaml(scale_file(folder, str(chosen)))), overrides)
    return parse(Configuration, values, "configuration")


def _typed(value: Any) -> Any:
    """`value` with numbers and booleans that are text as such; Snakemake reads `--config` by YAML's base loader."""
    if isinstance(value, dict):
        return {key: _typed(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_typed(one) for one in value]
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return value


def scale_file(folder: str | Path, scale: str) -> Path:
    """Path of the scale's YAML file; raises ConfigError that lists the scales there are."""
    path = Path(folder) / "scales" / f"{scale}.yaml"
    if not path.is_file():
        names = [p.stem for p in path.parent.glob("*.yaml")]
        raise ConfigError(f"scale {scale!r} does not exist{close_match(scale, names)}; the scales are {listed(names)}")
    return path


def read(path: str | Path, kind: type[T]) -> T:
    """Settings of the class `kind` from a YAML or JSON file. Raises ConfigError that names file and key."""
    return parse(kind, read_yaml(path), str(path))


def read_yaml(path: str | Path) -> dict[str, Any]:
    """The mapping in a YAML or JSON file. Raises ConfigError if it holds none."""
    path = Path(path)
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: not readable as YAML ({error}); correct the path or the file") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: holds {type(values).__name__}, expected keys with values; correct the file")
    return values


def merge(base: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `change` over it, section by section; a section of another `kind` replaces the one there was."""
    merged = dict(base)
    for key, value in change.items():
        there = merged.get(key)
        if isinstance(value, Mapping) and isinstance(there, Mapping) and value.get("kind") in (None, there.get("kind")):
            merged[key] = merge(there, value)
        else:
            merged[key] = value
    return merged
