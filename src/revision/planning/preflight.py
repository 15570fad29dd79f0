"""What a scale with other people's data and models needs, and which of it is missing: told at once, before any job."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import huggingface_hub
from huggingface_hub import constants

from revision.config import source_of
from revision.data.sources import Source, files_of
from revision.encoders import registry
from revision.errors import RevisionError
from revision.evaluation.published import read_published, task_settings
from revision.settings import from_mapping

GATED = {"meta-llama/": "accept Meta's Llama 3 licence on the model's page, then `hf auth login`"}
LAION = (
    "LAION's pairs are downloaded by their list (img2dataset) under LAION's terms; name the shards in dynamics.shards"
)


def terms(config: Mapping[str, Any]) -> dict[str, str]:
    """Licences, gates and forms of what a configuration uses, by name."""
    found = {}
    for name in _sources(config):
        source = config["corpora"]["sources"][name]
        found[source.get("hub", name)] = source["licence"] + (" (a form or gate)" if source.get("gated") else "")
    for model in _models(config):
        gate = next((text for start, text in GATED.items() if model.startswith(start)), "")
        found[model] = gate or "see the model's page"
    if config["dynamics"]["shards"]["files"]:
        found["LAION"] = LAION
    return found


def missing(config: Mapping[str, Any]) -> list[str]:
    """Everything that is not there, each with its mend; an empty list if the run may start."""
    return [*_missing_data(config), *_missing_packages(config), *_missing_models(config), *_missing_suites(config)]


def _sources(config: Mapping[str, Any]) -> list[str]:
    tables = config.get("corpora", {}).get("tables", {})
    return list(dict.fromkeys(settings["source"] for settings in tables.values()))


def _models(config: Mapping[str, Any]) -> dict[str, str | None]:
    """Models of the hub that are used, with their revision: language models and encoders."""
    found: dict[str, str | None] = {}
    for size in config["llm"]["sizes"].values():
        if "model" in size:
            found[size["model"]] = size.get("revision")
    names = [f"{registry.FOLDER}/{name}.yaml" for name in config["compare"]["encoders"]]
    for path in dict.fromkeys([*([config["encoder"]["file"]] if "file" in config["encoder"] else []), *names]):
        _, settings = registry.read(path)
        for key, revision in (("model", "revision"), ("text_model", "text_revision")):
            if model := getattr(settings, key, None):
                found[model] = getattr(settings, revision, None)
    return found


def _missing_data(config: Mapping[str, Any]) -> Iterator[str]:
    for name in _sources(config):
        table = next(t for t, settings in config["corpora"]["tables"].items() if settings["source"] == name)
        get = config["corpora"]["sources"][name].get("get", "see docs/cluster.md")
        try:
            source = from_mapping(Source, source_of(config, table), f"corpora.sources.{name}")
            if source.format == "hub":
                if _offline():
                    yield f"{name}: streamed from the hub, but HF_HUB_OFFLINE is not 0: set HF_HUB_OFFLINE=0"
                continue
            files_of(source)
            if not Path(source.path, source.images).is_dir():
                yield f"{name}: no folder of pictures {Path(source.path, source.images)}: {get}"
        except RevisionError as error:
            yield f"{name}: {error}: {get}"
    pattern = config["dynamics"]["shards"]["files"]
    if pattern and not any(Path().glob(pattern)):
        yield f"dynamics.shards: no file matches {pattern!r}: {LAION}"


def _missing_packages(config: Mapping[str, Any]) -> Iterator[str]:
    """Packages that carry weights: language models as GGUF, and the towers under trained heads."""
    from revision.encoders.pretrained_heads import FAMILY, TEXT_FILE, VISION_FILE, HeadSettings, package_file

    wanted = [(size["package"], "*.gguf") for size in config["llm"]["sizes"].values() if "package" in size]
    if config["encoder"].get("family") == FAMILY:
        towers = from_mapping(HeadSettings, config["encoder"], "encoder")
        wanted += [(towers.vision_package, VISION_FILE), (towers.text_package, TEXT_FILE)]
    for package, pattern in wanted:
        try:
            package_file(package, pattern)
        except RevisionError as error:
            yield str(error)


def _missing_models(config: Mapping[str, Any]) -> Iterator[str]:
    for model, revision in _models(config).items():
        if Path(model).is_dir() or _cached(f"models--{model.replace('/', '--')}", revision):
            continue
        gate = next((text for start, text in GATED.items() if model.startswith(start)), "")
        if gate and not huggingface_hub.get_token():
            yield f"{model}: neither cached nor a token of the hub here: {gate}"
        elif _offline():
            fetch = f"hf download {model}" + (f" --revision {revision}" if revision else "")
            yield f"{model}: not in the hub's cache: `{fetch}`, or set HF_HUB_OFFLINE=0"


def _missing_suites(config: Mapping[str, Any]) -> Iterator[str]:
    if "suites" not in config["evaluation"]:
        return
    for suite in read_published(config["evaluation"]["suites"]):
        if "data" in config["evaluation"] and Path(config["evaluation"]["data"], suite.name).is_dir():
            continue
        name = task_settings(suite)["dataset_path"]
        if _offline() and not _cached(f"datasets--{name.replace('/', '--')}", suite.revision or None):
            yield f"suite {suite.name}: {name} not in the hub's cache: `hf download {name} --repo-type dataset`"


def _offline() -> bool:
    return os.environ.get("HF_HUB_OFFLINE", "1") != "0"


def _cached(folder: str, revision: str | None) -> bool:
    snapshots = Path(constants.HF_HUB_CACHE) / folder / "snapshots"
    return (snapshots / revision).is_dir() if revision else snapshots.is_dir() and any(snapshots.iterdir())
