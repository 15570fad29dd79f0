"""Typed settings from plain mappings: an unknown key or a number out of range is named with what would fit."""

from collections.abc import Collection
from dataclasses import MISSING, asdict, fields
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


def check_numbers(settings: Any, where: str, *, zero: Collection[str] = (), shares: Collection[str] = ()) -> None:
    """Check the numbers of a dataclass: above 0, or from 0 on if `zero` names them, or from 0 to 1 if `shares` does.

    Raises ConfigError that says `where`, the name, the number and what fits.
    """
    for name, value in asdict(settings).items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            continue
        if name in shares and not 0 <= value <= 1:
            raise ConfigError(f"{where} setting {name}: {value} is no share; give a number from 0 to 1")
        if value < 0 or (value == 0 and name not in (*zero, *shares)):
            least = "0 or more" if name in zero else "a positive number"
            raise ConfigError(f"{where} setting {name}: {value} is too small; give {least}")
