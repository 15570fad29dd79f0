"""Where pretrained weights come from: a local folder, the hub's cache, or the hub; and what stood in the way.

Every loader gets a folder of files, never a name, so that all of them load the pinned revision and nothing else.
"""

import hashlib
import importlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import huggingface_hub
from huggingface_hub import constants
from huggingface_hub.errors import (
    GatedRepoError,
    HFValidationError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from revision.errors import ConfigError, DataError
from revision.io.files import digest

DESCRIPTION = ("*.json", "*.txt", "*.model", "*.jinja")
WEIGHTS, PICKLED, CODE = "*.safetensors", "*.bin", "*.py"
COMMIT = re.compile(r"[0-9a-f]{40}")
INSTALL = "pip install -e '.[encoders]'"


@dataclass(frozen=True)
class Snapshot:
    """A model's files; `revision` is their commit on the hub or, for any other folder, their checksum (40 digits)."""

    folder: Path
    revision: str


def is_pinned(revision: str | None) -> bool:
    """Whether `revision` names one state of the files for good: 40 hexadecimal digits."""
    return revision is not None and COMMIT.fullmatch(revision) is not None


def library(module: str, package: str, name: str) -> Any:
    """Import a library that only this kind of encoder needs; ConfigError says how to install it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ConfigError(f"encoder {name}: needs the package {package} ({error}); {INSTALL}") from error


def snapshot(loader: str, name: str, model: str, revision: str | None, *, code: bool = False) -> Snapshot:
    """The files of `model` at `revision`.

    `model` is a local folder (plain, or laid out as the hub's cache: snapshots/<commit>) or an id on the hub; the
    cache answers first. With `code`, Python files come along. DataError, told from `loader` and the encoder's `name`,
    if there are no such files, the hub can't be reached, or a licence gate refuses.
    """
    where, folder = f"encoder {name} ({loader})", Path(model).expanduser()
    if folder.is_dir():
        return _local(where, folder, revision)
    if model.startswith((".", "/", "~")):
        raise DataError(f"{where}: {model}: no such folder; give the folder of the model or its id on the hub")
    kinds = [*DESCRIPTION, *([CODE] if code else [])]
    found = _download(where, model, revision, [*kinds, WEIGHTS])
    if not any(found.rglob(WEIGHTS)):
        found = _download(where, model, revision, [*kinds, PICKLED])
    return Snapshot(found, found.name)


def refuse_foreign_code(folder: Path, name: str) -> None:
    """DataError if the model's code lies in another repository, which no revision of this one pins."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    for part in config.get("auto_map", {}).values():
        if "--" in str(part):
            raise DataError(
                f"encoder {name}: {folder / 'config.json'} runs code of another repository, {part}: refused"
            )


def _local(where: str, folder: Path, revision: str | None) -> Snapshot:
    if (folder / "snapshots").is_dir():
        folder = _in_cache(where, folder, revision)
    committed = folder.parent.name == "snapshots" and is_pinned(folder.name)
    found = folder.name if committed else checksum(folder)
    if revision is not None and is_pinned(revision) and revision != found:
        raise DataError(f"{where}: {folder} is {found}, not the revision {revision}; correct the one or the other")
    return Snapshot(folder, found)


def _in_cache(where: str, folder: Path, revision: str | None) -> Path:
    ref = folder / "refs" / (revision or constants.DEFAULT_REVISION)
    commit = ref.read_text(encoding="utf-8").strip() if ref.is_file() else revision
    there = sorted(path.name for path in (folder / "snapshots").iterdir())
    if commit is None and len(there) == 1:
        commit = there[0]
    if commit not in there:
        raise DataError(f"{where}: {folder}: no snapshot {revision or 'of refs/main'}; there are {', '.join(there)}")
    return folder / "snapshots" / commit


def checksum(folder: Path) -> str:
    """The first 40 digits of the SHA-256 over names and contents of the model's files in `folder`."""
    kinds = (*DESCRIPTION, WEIGHTS, PICKLED, CODE)
    files = {path for kind in kinds for path in folder.rglob(kind) if path.is_file()}
    listing = "".join(f"{path.relative_to(folder).as_posix()} {digest(path)}\n" for path in sorted(files))
    return hashlib.sha256(listing.encode()).hexdigest()[:40]


def _download(where: str, model: str, revision: str | None, kinds: list[str]) -> Path:
    try:
        return Path(huggingface_hub.snapshot_download(model, revision=revision, allow_patterns=kinds))
    except Exception as error:  # the hub's client raises errors of several libraries
        raise DataError(f"{where}: {_explain(error, model, revision)}") from error


def _explain(error: Exception, model: str, revision: str | None) -> str:
    location = f"{constants.HF_HUB_CACHE}/models--{model.replace('/', '--')}/snapshots/{revision or '<commit>'}"
    if isinstance(error, GatedRepoError):
        return (
            f"the licence gate of {model} refuses: accept its terms on the model's page, `hf auth login`, then run "
            "again with HF_HUB_OFFLINE=0"
        )
    if isinstance(error, RevisionNotFoundError | RepositoryNotFoundError):
        return f"the hub has no {model} at revision {revision or 'main'} (or it is private); correct model and revision"
    if isinstance(error, HFValidationError):
        return f"{model!r} is neither a folder nor a model's id, owner/name"
    if constants.HF_HUB_OFFLINE:
        return (
            f"offline and not cached: {model}; run once with HF_HUB_OFFLINE=0 and a network, or put the snapshot at "
            f"{location}"
        )
    if isinstance(error, LocalEntryNotFoundError | OSError):
        return f"the hub can't be reached and {model} is not cached: try again with a network, or put it at {location}"
    return f"{model} could not be fetched ({type(error).__name__}: {error}); try again, or put it at {location}"
