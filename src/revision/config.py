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
    for table, settings in config["tables"].items():
        for name in settings["rows"]:
            _known(f"tables.{table}", name, config["variants"])
        for name in (settings["reference"], *settings["published"]):
            _known(f"tables.{table}", name, settings["rows"])
    for where, names in (
        ("run", [] if config["run"] == "all" else config["run"]),
        ("scaling", [*config["scaling"]["variants"], config["scaling"]["paired"]]),
    ):
        for name in names:
            _known(where, name, config["variants"])


def variant(config: dict[str, Any], name: str) -> dict[str, Any]:
    """The variant `name` in full: the base with the variant's changes. Raises ConfigError that lists what exists."""
    _known("variant", name, config["variants"])
    return config["base"] | config["variants"][name]


def stage1_of(config: dict[str, Any], name: str) -> str | None:
    """The variant whose Stage-1 checkpoint `name` starts from: the first of the same Stage 1; None without Stage 1."""
    wanted = variant(config, name)
    if wanted["source"] == "none":
        return None
    keys = ("source", "caption", "texts", "aligner", "llm")
    return next(
        other for other in config["variants"] if all(variant(config, other)[key] == wanted[key] for key in keys)
    )


def run_variants(config: dict[str, Any]) -> list[str]:
    """Names of the variants that this scale trains, in the order of `variants`."""
    chosen = config["variants"] if config["run"] == "all" else config["run"]
    return [name for name in config["variants"] if name in chosen]


def run_tables(config: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The tables that this scale can fill, each with the rows that are trained: its reference and at least one more."""
    trained = run_variants(config)
    tables = {
        name: settings | {"rows": [row for row in settings["rows"] if row in trained]}
        for name, settings in config["tables"].items()
    }
    return {
        name: settings
        for name, settings in tables.items()
        if settings["reference"] in settings["rows"] and len(settings["rows"]) > 1
    }


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
