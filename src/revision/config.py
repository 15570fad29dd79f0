"""The configuration of a run: scales over the defaults, checked before anything starts."""

from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator, ValidationError

from revision.errors import ConfigError


def scale_file(folder: str | Path, scale: str) -> Path:
    """Path of the scale's YAML file; raises ConfigError that lists the scales there are."""
    path = Path(folder) / "scales" / f"{scale}.yaml"
    if not path.is_file():
        names = sorted(p.stem for p in path.parent.glob("*.yaml"))
        raise ConfigError(f"scale {scale!r} does not exist; the scales are {', '.join(names)}")
    return path


def check(config: dict[str, Any], schema: str | Path) -> None:
    """Raise ConfigError for an unknown key, a value that does not fit, or a name that refers to nothing."""
    rules = yaml.safe_load(Path(schema).read_text(encoding="utf-8"))
    for error in Draft202012Validator(rules).iter_errors(config):
        raise ConfigError(_explain(error))
    _known("base aligner", config["base"]["aligner"], config["aligners"])
    for name, change in config["variants"].items():
        _known(f"variants.{name}.aligner", change.get("aligner", config["base"]["aligner"]), config["aligners"])
        _known(f"variants.{name}.llm", change.get("llm", config["base"]["llm"]), config["llm"]["sizes"])
    for table, names in config["tables"].items():
        for name in names:
            _known(f"tables.{table}", name, config["variants"])


def variant(config: dict[str, Any], name: str) -> dict[str, Any]:
    """The variant `name` in full: the base with the variant's changes. Raises ConfigError that lists what exists."""
    _known("variant", name, config["variants"])
    return config["base"] | config["variants"][name]


def _known(where: str, name: str, existing: Any) -> None:
    if name not in existing:
        raise ConfigError(f"configuration {where}: {name!r} does not exist; there are {', '.join(sorted(existing))}")


def _explain(error: ValidationError) -> str:
    place = ".".join(str(part) for part in error.absolute_path) or "top level"
    if error.validator == "additionalProperties" and isinstance(error.schema, dict):
        known = sorted(error.schema.get("properties", {}))
        unknown = sorted(set(error.instance) - set(known))
        return f"configuration, {place}: unknown key {', '.join(unknown)}; the keys are {', '.join(known)}"
    return f"configuration, {place}: {error.message}"
