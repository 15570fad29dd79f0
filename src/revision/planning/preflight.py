"""What a scale with real data and models lacks on this machine, told at once before any job."""

import os
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import huggingface_hub
from huggingface_hub import constants

from revision.config import source_of
from revision.data.sources import Source, files_of
from revision.encoders import registry
from revision.errors import RevisionError
from revision.evaluation.published_suites import read_published_suites, task_settings
from revision.settings import from_mapping

GATED = "meta-llama/"


def missing(config: Mapping[str, Any]) -> list[str]:
    """List the data sets, packages, models and suites that are not here.

    Parameters
    ----------
    config : Mapping
        The configuration of a scale (revision.config.load).

    Returns
    -------
    list of str
        A line for each, with the command that gets it and a data set's licence; empty if the run may start.
    """
    return [*_data(config), *_packages(config), *_models(config), *_suites(config)]


def _data(config: Mapping[str, Any]) -> Iterator[str]:
    corpora = config.get("corpora", {"tables": {}})
    for name, table in {settings["source"]: table for table, settings in corpora["tables"].items()}.items():
        about = corpora["sources"][name]
        form = "; some images ask for a form" if about.get("gated") else ""
        get = f"{about.get('get', 'see docs/cluster.md')} (licence: {about['licence']}{form})"
        try:
            source = from_mapping(Source, source_of(config, table), f"corpora.sources.{name}")
            if source.format == "hub":
                if _offline():
                    yield f"{name}: streamed from the hub, but HF_HUB_OFFLINE is not 0: set HF_HUB_OFFLINE=0"
                continue
            files_of(source)
            if not Path(source.path, source.images).is_dir():
                yield f"{name}: no folder of images {Path(source.path, source.images)}: {get}"
        except RevisionError as error:
            yield f"{name}: {error}: {get}"
    pattern = config["dynamics"]["shards"]["files"]
    if pattern and not any(Path().glob(pattern)):
        yield f"dynamics.shards: no file matches {pattern!r}: download pairs of LAION with img2dataset, under its terms"


def _packages(config: Mapping[str, Any]) -> Iterator[str]:
    """Packages that carry weights: language models, and the towers under trained heads."""
    from revision.encoders.pretrained_heads import FAMILY, HeadSettings

    packages = [size["package"] for size in config["llm"]["sizes"].values() if "package" in size]
    if config["encoder"].get("family") == FAMILY:
        towers = from_mapping(HeadSettings, config["encoder"], "encoder")
        packages += [towers.vision_package, towers.text_package]
    for package in packages:
        if find_spec(package) is None:
            yield f"package {package}: not installed: `make setup SCALE=pretrained`"


def _models(config: Mapping[str, Any]) -> Iterator[str]:
    models = {size["model"]: size.get("revision") for size in config["llm"]["sizes"].values() if "model" in size}
    files = [f"{registry.FOLDER}/{name}.yaml" for name in config["compare"]["encoders"]]
    for path in [config["encoder"]["file"], *files] if "file" in config["encoder"] else files:
        _, settings = registry.read(path)
        for key, revision in (("model", "revision"), ("text_model", "text_revision")):
            if model := getattr(settings, key, None):
                models[model] = getattr(settings, revision, None)
    for model, revision in models.items():
        if Path(model).is_dir():
            continue
        if model.startswith(GATED) and not _cached("model", model, revision) and not huggingface_hub.get_token():
            yield f"{model}: neither cached nor a token of the hub here: accept Meta's licence there, `hf auth login`"
        else:
            yield from _download("model", model, revision)


def _suites(config: Mapping[str, Any]) -> Iterator[str]:
    settings = config["evaluation"]
    for suite in read_published_suites(settings["suites"]) if "suites" in settings else []:
        if "data" not in settings or not Path(settings["data"], suite.name).is_dir():
            for lacking in _download("dataset", task_settings(suite)["dataset_path"], suite.revision or None):
                yield f"suite {suite.name}: {lacking}"


def _offline() -> bool:
    return os.environ.get("HF_HUB_OFFLINE", "1") != "0"


def _cached(kind: str, name: str, revision: str | None) -> bool:
    snapshots = Path(constants.HF_HUB_CACHE, f"{kind}s--{name.replace('/', '--')}", "snapshots")
    return (snapshots / revision).is_dir() if revision else snapshots.is_dir() and any(snapshots.iterdir())


def _download(kind: str, name: str, revision: str | None) -> Iterator[str]:
    """What to do if a repository of the hub is not cached and may not be fetched by the run."""
    if _offline() and not _cached(kind, name, revision):
        options = (" --repo-type dataset" if kind == "dataset" else "") + (
            f" --revision {revision}" if revision else ""
        )
        yield f"{name}: not in the hub's cache: `hf download {name}{options}`, or set HF_HUB_OFFLINE=0"
