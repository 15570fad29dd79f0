"""What a scale with other people's data and models needs, and which of it is missing: told at once, before any job."""

import os
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub
from huggingface_hub import constants

from revision.config import Configuration
from revision.config.corpus import Source, SourcesCorpus
from revision.config.dynamics import ShardTraining
from revision.config.encoders import EncoderFile, HeadSettings
from revision.config.evaluation import PublishedSuites
from revision.config.language_models import HubModel, PackagedModel
from revision.data.sources import files_of
from revision.encoders import registry
from revision.errors import RevisionError
from revision.evaluation.published import read_published, task_settings

GATED = {"meta-llama/": "accept Meta's Llama 3 licence on the model's page, then `hf auth login`"}
LAION = (
    "LAION's pairs are downloaded by their list (img2dataset) under LAION's terms; name the shards in dynamics.training"
)


def terms(config: Configuration) -> dict[str, str]:
    """Licences, gates and forms of what a configuration uses, by name."""
    found = {}
    for name, source in _sources(config).items():
        found[source.hub or name] = source.licence + (" (a form or gate)" if source.gated else "")
    for model in _models(config):
        gate = next((text for start, text in GATED.items() if model.startswith(start)), "")
        found[model] = gate or "see the model's page"
    if isinstance(config.dynamics.training, ShardTraining):
        found["LAION"] = LAION
    return found


def missing(config: Configuration) -> list[str]:
    """Everything that is not there, each with its mend; an empty list if the run may start."""
    return [*_missing_data(config), *_missing_packages(config), *_missing_models(config), *_missing_suites(config)]


def _sources(config: Configuration) -> dict[str, Source]:
    """The sources that tables come from, each with its whole path."""
    if not isinstance(config.corpus, SourcesCorpus):
        return {}
    return {table.source: config.corpus.source(name) for name, table in config.corpus.tables.items()}


def _models(config: Configuration) -> dict[str, str | None]:
    """Models of the hub that are used, with their revision: language models and encoders."""
    found: dict[str, str | None] = {}
    for size in config.llm.values():
        if isinstance(size, HubModel):
            found[size.model] = size.revision
    names = [f"{registry.FOLDER}/{name}.yaml" for name in config.compare.encoders]
    for path in dict.fromkeys([*([config.encoder.path] if isinstance(config.encoder, EncoderFile) else []), *names]):
        _, settings = registry.read(path)
        for key, revision in (("model", "revision"), ("text_model", "text_revision")):
            if model := getattr(settings, key, None):
                found[model] = getattr(settings, revision, None)
    return found


def _missing_data(config: Configuration) -> Iterator[str]:
    for name, source in _sources(config).items():
        get = source.get
        try:
            if source.format == "hub":
                if _offline():
                    yield f"{name}: streamed from the hub, but HF_HUB_OFFLINE is not 0: set HF_HUB_OFFLINE=0"
                continue
            files_of(source)
            if not Path(source.path, source.images).is_dir():
                yield f"{name}: no folder of pictures {Path(source.path, source.images)}: {get}"
        except RevisionError as error:
            yield f"{name}: {error}: {get}"
    training = config.dynamics.training
    if isinstance(training, ShardTraining) and not any(Path().glob(training.files)):
        yield f"dynamics.training.files: no file matches {training.files!r}: {LAION}"


def _missing_packages(config: Configuration) -> Iterator[str]:
    """Packages that carry weights: language models as GGUF, and the towers under trained heads."""
    from revision.encoders.pretrained_heads import TEXT_FILE, VISION_FILE, package_file

    wanted = [(size.package, "*.gguf") for size in config.llm.values() if isinstance(size, PackagedModel)]
    if isinstance(config.encoder, HeadSettings):
        wanted += [(config.encoder.vision_package, VISION_FILE), (config.encoder.text_package, TEXT_FILE)]
    for package, pattern in wanted:
        try:
            package_file(package, pattern)
        except RevisionError as error:
            yield str(error)


def _missing_models(config: Configuration) -> Iterator[str]:
    for model, revision in _models(config).items():
        if Path(model).is_dir() or _cached(f"models--{model.replace('/', '--')}", revision):
            continue
        gate = next((text for start, text in GATED.items() if model.startswith(start)), "")
        if gate and not huggingface_hub.get_token():
            yield f"{model}: neither cached nor a token of the hub here: {gate}"
        elif _offline():
            fetch = f"hf download {model}" + (f" --revision {revision}" if revision else "")
            yield f"{model}: not in the hub's cache: `{fetch}`, or set HF_HUB_OFFLINE=0"


def _missing_suites(config: Configuration) -> Iterator[str]:
    suites = config.evaluation.suites
    if not isinstance(suites, PublishedSuites):
        return
    for suite in read_published(suites.file):
        if suites.data is not None and Path(suites.data, suite.name).is_dir():
            continue
        name = task_settings(suite)["dataset_path"]
        if _offline() and not _cached(f"datasets--{name.replace('/', '--')}", suite.revision or None):
            yield f"suite {suite.name}: {name} not in the hub's cache: `hf download {name} --repo-type dataset`"


def _offline() -> bool:
    return os.environ.get("HF_HUB_OFFLINE", "1") != "0"


def _cached(folder: str, revision: str | None) -> bool:
    snapshots = Path(constants.HF_HUB_CACHE) / folder / "snapshots"
    return (snapshots / revision).is_dir() if revision else snapshots.is_dir() and any(snapshots.iterdir())
