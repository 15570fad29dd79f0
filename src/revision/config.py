"""The configuration of a run: scales over the defaults, checked before anything starts."""

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator, ValidationError

from revision.errors import ConfigError

ABOUT = ("hub", "licence", "gated", "get")  # what a source says about itself, for people and the planner


def scale_file(folder: str | Path, scale: str) -> Path:
    """Path of the scale's YAML file; raises ConfigError that lists the scales there are."""
    path = Path(folder) / "scales" / f"{scale}.yaml"
    if not path.is_file():
        names = sorted(p.stem for p in path.parent.glob("*.yaml"))
        raise ConfigError(f"scale {scale!r} does not exist; the scales are {', '.join(names)}")
    return path


def load(folder: str | Path, scale: str) -> dict[str, Any]:
    """The configuration of a scale, merged over the defaults as the workflow merges it, and checked."""
    folder = Path(folder)
    config = _merged(_read(folder / "default.yaml"), _read(scale_file(folder, scale)))
    check(config, folder / "schema.yaml")
    return config


def _read(path: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: not readable as YAML ({error}); mend it there") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: holds {type(values).__name__}, expected keys with values; mend the file")
    return values


def _merged(base: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in change.items():
        there = merged.get(key)
        merged[key] = _merged(there, value) if isinstance(value, dict) and isinstance(there, dict) else value
    return merged


def check(config: dict[str, Any], schema: str | Path) -> None:
    """Raise ConfigError for an unknown key, a value that does not fit, or a name that refers to nothing."""
    rules = yaml.safe_load(Path(schema).read_text(encoding="utf-8"))
    for error in Draft202012Validator(rules).iter_errors(config):
        raise ConfigError(_explain(error))
    _known("base aligner", config["base"]["aligner"], config["aligners"])
    if "corpora" in config:
        _check_corpora(config)
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


def variant(config: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The variant `name` in full: the base with the variant's changes. Raises ConfigError that lists what exists."""
    _known("variant", name, config["variants"])
    return config["base"] | config["variants"][name]


def stage1_of(config: Mapping[str, Any], name: str) -> str | None:
    """The variant whose Stage-1 checkpoint `name` starts from: the first of the same Stage 1; None without Stage 1."""
    wanted = variant(config, name)
    if wanted["source"] == "none":
        return None
    keys = ("source", "caption", "texts", "aligner", "llm")
    return next(
        other for other in config["variants"] if all(variant(config, other)[key] == wanted[key] for key in keys)
    )


def run_variants(config: Mapping[str, Any]) -> list[str]:
    """Names of the variants that this scale trains, in the order of `variants`."""
    chosen = config["variants"] if config["run"] == "all" else config["run"]
    return [name for name in config["variants"] if name in chosen]


def run_tables(config: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
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


def chosen_figures(config: Mapping[str, Any], existing: Sequence[str]) -> list[str]:
    """The figures among `existing` that this scale makes. Raises ConfigError for one that does not exist."""
    for name in config.get("figures", []):
        _known("figures", name, existing)
    return [name for name in existing if name in config.get("figures", existing)]


def without_factor(table: str) -> tuple[str, str]:
    """Name of a corpus table and its factor: text_2x gives text and _2x, probe gives probe and nothing."""
    name, _, factor = table.rpartition("_")
    return (name, f"_{factor}") if name and re.fullmatch(r"[0-9.]+x", factor) else (table, "")


def table_of(config: Mapping[str, Any], table: str, column: str) -> str:
    """The corpus table with a column of `table`: long captions may have a table of their own, with its pictures."""
    name, factor = without_factor(table)
    own = f"{name}_long"
    return own + factor if column == "long" and own in config.get("corpora", {}).get("tables", {}) else table


def source_of(config: Mapping[str, Any], table: str) -> dict[str, Any]:
    """Where a corpus table comes from, as revision.data.sources.Source takes it; folders lie under corpora.root."""
    corpora = config["corpora"]
    _known("corpora.tables", table, corpora["tables"])
    source = corpora["sources"][corpora["tables"][table]["source"]]
    path = source["path"] if source["format"] == "hub" else str(Path(corpora["root"]) / source["path"])
    return {key: value for key, value in source.items() if key not in ABOUT} | {"path": path}


def _check_corpora(config: Mapping[str, Any]) -> None:
    """Every table has a source, none is missing, and no two tables of one source can share a row."""
    corpora = config["corpora"]
    wanted = [name for name in config["data"] if name != "reading"]
    for name in wanted:
        _known("corpora.tables", name, corpora["tables"])
    taken: dict[str, list[tuple[float, float, str]]] = {}
    for name, settings in corpora["tables"].items():
        _known("data", name.removesuffix("_long"), wanted)
        _known(f"corpora.tables.{name}.source", settings["source"], corpora["sources"])
        taken.setdefault(settings["source"], []).append((*settings["share"], name))
    for source, shares in taken.items():
        for (_, high, first), (low, _, second) in pairwise(sorted(shares)):
            if low < high:
                raise ConfigError(
                    f"configuration corpora.tables: {first} and {second} share rows of {source}; part their shares"
                )


def _known(where: str, name: str, existing: Any) -> None:
    if name not in existing:
        raise ConfigError(f"configuration {where}: {name!r} does not exist; there are {', '.join(sorted(existing))}")


def _explain(error: ValidationError) -> str:
    place = ".".join(str(part) for part in error.absolute_path) or "top level"
    if error.validator == "additionalProperties" and isinstance(error.schema, dict):
        known = sorted(error.schema.get("properties", {}))
        unknown = sorted(set(error.instance) - set(known))
        return f"configuration, {place}: unknown key {', '.join(unknown)}; the keys are {', '.join(known)}"
    return f"configuration, {place}: {error.message}; config/schema.yaml says what fits"
