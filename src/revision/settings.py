"""Typed settings from plain mappings: unknown keys are named together with the keys that exist."""

from dataclasses import MISSING, fields
from typing import Any, TypeVar

from revision.errors import ConfigError

T = TypeVar("T")


def from_mapping(cls: type[T], values: dict[str, Any], where: str) -> T:
    """Build the dataclass `cls` from `values`.

    Raises ConfigError for an unknown or a missing key; the message says `where`, the key and what exists.
    """
    if not isinstance(values, dict):
        raise ConfigError(f"{where}: expected a mapping of settings, got {type(values).__name__}")
    known = {field.name: field for field in fields(cls)}  # type: ignore[arg-type]
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise ConfigError(f"{where}: unknown key {', '.join(unknown)}; the keys are {', '.join(sorted(known))}")
    required = {n for n, f in known.items() if f.default is MISSING and f.default_factory is MISSING}
    missing = sorted(required - set(values))
    if missing:
        raise ConfigError(f"{where}: missing key {', '.join(missing)}")
    return cls(**values)
