"""Check before any job that the data, packages and models of a scale are on this machine."""

import os
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import huggingface_hub

from revision.config import Configuration
from revision.config.corpus import PhotosCorpus, Source, SourcesCorpus
from revision.config.dynamics import ShardTraining
from revision.config.encoders import EncoderFile, HeadSettings
from revision.config.evaluation import PublishedSuites
from revision.config.language_models import HubModel, PackagedModel
from revision.data.openclipart import PACKAGE
from revision.data.sources import files_of
from revision.encoders import registry
from revision.errors import RevisionError
from revision.evaluation.published_suites import captioning_suite, task_settings, used_suites
from revision.io.hub import cached_snapshot

GATED = "meta-llama/"


def missing(config: Configuration) -> list[str]:
    """List the data sets, packages, models and suites that are missing on this machine.

    Parameters
    ----------
    config : Configuration
        Configuration of a scale (`revision.config.load`).

    Returns
    -------
    list of str
        One line per missing item, with the command that downloads it and the licence of a data set; empty if the run
        may start.
    """
    return [*_data(config), *_packages(config), *_models(config), *_suites(config)]


def _data(config: Configuration) -> Iterator[str]:
    sources = {}
    if isinstance(config.corpus, SourcesCorpus):
        sources = {table.source: config.corpus.source(name) for name, table in config.corpus.tables.items()}
    for name, source in sources.items():
        form = "; some images ask for a form" if source.gated else ""
        get = f"{_pinned(config, source)} (licence: {source.licence}{form})"
        try:
            if source.format == "hub":
                if _offline():
                    yield f"{name}: streamed from the hub, but HF_HUB_OFFLINE is not 0: set HF_HUB_OFFLINE=0"
                continue
            files_of(source)
            for folder in (source.images, *source.folders):
                if not Path(source.path, folder).is_dir():
                    yield f"{name}: no folder of images {Path(source.path, folder)}: {get}"
        except RevisionError as error:
            yield f"{name}: {error}: {get}"
    if isinstance(config.corpus, PhotosCorpus) and not Path(config.corpus.root).is_dir():
        yield (
            f"captioned images: no folder {config.corpus.root}: `make setup SCALE={config.scale}` makes the default "
            f"from Debian's {PACKAGE}; for your own images add ROOT=FOLDER to the command of make (docs/photos.md)"
        )
    training = config.dynamics.training
    if isinstance(training, ShardTraining) and not any(Path().glob(training.files)):
        yield (
            f"dynamics.training.files: no file matches {training.files!r}: download pairs of LAION with img2dataset, "
            "under its terms"
        )


def _pinned(config: Configuration, source: Source) -> str:
    """Return the download command of a data set with its commit, or first the command that records one."""
    if "{revision}" in source.get:
        first = f"{_pin_command(config)}, which records the commit of {source.hub}"
        return source.get.replace("{revision}", source.revision) if source.revision else first
    return f"{source.get}, at the commit {source.revision}" if source.revision else source.get


def _pin_command(config: Configuration) -> str:
    return f"HF_HUB_OFFLINE=0 revision preflight --scale {config.scale} --pin"


def _packages(config: Configuration) -> Iterator[str]:
    """Packages that contain weights: language models, and the towers below trained heads."""
    packages = [model.package for model in config.llm.values() if isinstance(model, PackagedModel)]
    if isinstance(config.encoder, HeadSettings):
        packages += [config.encoder.vision_package, config.encoder.text_package]
    for package in packages:
        if find_spec(package) is None:
            yield f"package {package}: not installed: `make setup SCALE={config.scale}`"


def _models(config: Configuration) -> Iterator[str]:
    models = {model.model: model.revision for model in config.llm.values() if isinstance(model, HubModel)}
    files = [f"{registry.FOLDER}/{name}.yaml" for name in config.compare.encoders]
    for path in [config.encoder.path, *files] if isinstance(config.encoder, EncoderFile) else files:
        _, settings = registry.read(path)
        for key, revision in (("model", "revision"), ("text_model", "text_revision")):
            if model := getattr(settings, key, None):
                models[model] = getattr(settings, revision, None)
    for model, commit in models.items():
        if Path(model).is_dir():
            continue
        if (
            model.startswith(GATED)
            and cached_snapshot("model", model, commit) is None
            and not huggingface_hub.get_token()
        ):
            yield f"{model}: neither cached nor a token of the hub here: accept Meta's licence there, `hf auth login`"
        else:
            yield from _download("model", model, commit)


def _suites(config: Configuration) -> Iterator[str]:
    suites = config.evaluation.suites
    if not isinstance(suites, PublishedSuites):
        return
    photographs = captioning_suite(suites.captions) if suites.captions else None
    for suite in [*used_suites(suites), *filter(None, [photographs])]:
        name, known = task_settings(suite)["dataset_path"], suite.revision or None
        if suites.data is not None and Path(suites.data, suite.name).is_dir():
            continue
        if known is None and cached_snapshot("dataset", name, known) is None:
            yield f"suite {suite.name}: {name}: not in the hub's cache: first `{_pin_command(config)}`, for its commit"
            continue
        for problem in _download("dataset", name, known, suite.files, streamed=suite is not photographs):
            yield f"suite {suite.name}: {problem}"


def _offline() -> bool:
    return os.environ.get("HF_HUB_OFFLINE", "1") != "0"


def _download(
    kind: Literal["model", "dataset"],
    name: str,
    revision: str | None,
    files: Sequence[str] = (),
    *,
    streamed: bool = True,
) -> Iterator[str]:
    """Yield the download command if a repository of the hub is not cached and the run will not fetch it itself."""
    if (_offline() or not streamed) and cached_snapshot(kind, name, revision) is None:
        options = " --repo-type dataset" if kind == "dataset" else ""
        options += f" --revision {revision}" if revision else ""
        options += "".join(f" --include '{pattern}'" for pattern in files)
        otherwise = ", or set HF_HUB_OFFLINE=0" if streamed else ""
        yield f"{name}: not in the hub's cache: `hf download {name}{options}`{otherwise}"
