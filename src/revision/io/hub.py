"""Find the files of a pretrained model in a local folder, in the cache of the Hugging Face hub, or on the hub.

Loaders are given a folder of files instead of the name of a model, so that all of them load the pinned revision.
"""

import hashlib
import importlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

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
    """The files of a model.

    Attributes
    ----------
    folder : Path
        The folder that holds them.
    revision : str
        Their commit on the hub or, for any other folder, their checksum (40 hexadecimal digits).
    """

    folder: Path
    revision: str


def is_pinned(revision: str | None) -> bool:
    """Return whether `revision` is a commit (40 hexadecimal digits), which unlike a branch or tag cannot change."""
    return revision is not None and COMMIT.fullmatch(revision) is not None


def library(module: str, package: str, name: str) -> Any:
    """Import an optional library.

    Parameters
    ----------
    module : str
        Name to import.
    package : str
        Name of the package to install, for the error message.
    name : str
        The encoder that needs it, for the error message.

    Returns
    -------
    module
        The imported module.

    Raises
    ------
    ConfigError
        If it cannot be imported; says how to install it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ConfigError(f"encoder {name}: needs the package {package} ({error}); {INSTALL}") from error


def snapshot(loader: str, name: str, model: str, revision: str | None, *, code: bool = False) -> Snapshot:
    """Find the files of a model, and download them if necessary.

    Parameters
    ----------
    loader : str
        Kind of encoder, for error messages.
    name : str
        Name of the encoder, for error messages.
    model : str
        A local folder, either of files or in the layout of the hub's cache (snapshots/<commit>), or the id of a model
        on the hub, ``owner/name``. The hub is asked only for what its cache does not hold.
    revision : str or None
        Commit, branch or tag; None for the default branch.
    code : bool, default=False
        Whether to include Python files.

    Returns
    -------
    Snapshot
        The files and their revision.

    Raises
    ------
    DataError
        If there are no such files, the hub can't be reached, or access to the model is restricted.
    """
    where = f"encoder {name} ({loader})"
    folder = Path(model).expanduser()
    if folder.is_dir():
        return _local(where, folder, revision)
    if model.startswith((".", "/", "~")):
        raise DataError(f"{where}: {model}: no such folder; give the folder of the model or its id on the hub")
    kinds = [*DESCRIPTION, *([CODE] if code else [])]
    downloaded = download(where, model, revision, [*kinds, WEIGHTS])
    if not any(downloaded.rglob(WEIGHTS)):
        downloaded = download(where, model, revision, [*kinds, PICKLED])
    return Snapshot(downloaded, downloaded.name)


def cached_snapshot(kind: Literal["model", "dataset"], name: str, revision: str | None) -> Path | None:
    """Find a repository in the hub's cache.

    Parameters
    ----------
    kind : {"model", "dataset"}
        Kind of the repository.
    name : str
        Its id on the hub.
    revision : str or None
        Commit; None for that of the default branch when it was last asked for, else any that is there.

    Returns
    -------
    Path or None
        Folder of its files, which may be incomplete; None if it is not in the cache.
    """
    folder = Path(constants.HF_HUB_CACHE, f"{kind}s--{name.replace('/', '--')}")
    snapshots = sorted((folder / "snapshots").glob("*"))
    if revision is None:
        main = folder / "refs" / constants.DEFAULT_REVISION
        revision = main.read_text(encoding="utf-8").strip() if main.is_file() else None
    chosen = [path for path in snapshots if revision in (None, path.name)]
    return chosen[-1] if chosen else None


def refuse_foreign_code(folder: Path, name: str) -> None:
    """Raise DataError if a model uses code of another repository, which its own revision does not pin.

    Parameters
    ----------
    folder : Path
        Folder of the model's files.
    name : str
        Name of the encoder, for the error message.
    """
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
    actual = folder.name if committed else checksum(folder)
    if revision is not None and is_pinned(revision) and revision != actual:
        raise DataError(f"{where}: {folder} is {actual}, not the revision {revision}; correct one of them")
    return Snapshot(folder, actual)


def _in_cache(where: str, folder: Path, revision: str | None) -> Path:
    ref = folder / "refs" / (revision or constants.DEFAULT_REVISION)
    commit = ref.read_text(encoding="utf-8").strip() if ref.is_file() else revision
    commits = sorted(path.name for path in (folder / "snapshots").iterdir())
    if commit is None and len(commits) == 1:
        commit = commits[0]
    if commit not in commits:
        raise DataError(f"{where}: {folder}: no snapshot {revision or 'of refs/main'}; there are {', '.join(commits)}")
    return folder / "snapshots" / commit


def checksum(folder: Path) -> str:
    """Return a checksum of the names and contents of a model's files: the first 40 digits of a SHA-256."""
    kinds = (*DESCRIPTION, WEIGHTS, PICKLED, CODE)
    files = {path for kind in kinds for path in folder.rglob(kind) if path.is_file()}
    listing = "".join(f"{path.relative_to(folder).as_posix()} {digest(path)}\n" for path in sorted(files))
    return hashlib.sha256(listing.encode()).hexdigest()[:40]


def download(where: str, model: str, revision: str | None, kinds: Sequence[str]) -> Path:
    """Download the files of a model, or find them in the cache of the hub.

    Parameters
    ----------
    where : str
        Start of error messages.
    model : str
        Id on the hub, ``owner/name``.
    revision : str or None
        Commit, branch or tag; None for the default branch.
    kinds : sequence of str
        Patterns of file names.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    DataError
        If there are no such files, the hub can't be reached, or access to the model is restricted.
    """
    try:
        return Path(huggingface_hub.snapshot_download(model, revision=revision, allow_patterns=list(kinds)))
    except Exception as error:  # the hub's client raises errors of several libraries
        raise DataError(f"{where}: {_explain(error, model, revision)}") from error


def upload(folder: Path, repo: str, files: Sequence[str], *, private: bool) -> str:
    """Upload files of a folder to a repository on the hub, which is created if it does not exist.

    Parameters
    ----------
    folder : Path
        The folder.
    repo : str
        Id of the repository, ``owner/name``.
    files : sequence of str
        Names of the files.
    private : bool
        Whether a new repository is private.

    Returns
    -------
    str
        Address of the commit.

    Raises
    ------
    DataError
        If the upload fails; the folder is complete and can be uploaded again.
    """
    again = f"{folder} is complete, repeat the command to upload it"
    if constants.HF_HUB_OFFLINE:
        raise DataError(f"{repo}: not uploaded, as HF_HUB_OFFLINE is set; {again} with HF_HUB_OFFLINE=0")
    try:
        client = huggingface_hub.HfApi()
        client.create_repo(repo, private=private, exist_ok=True)
        message = f"Upload {folder.name}"
        return client.upload_folder(
            repo_id=repo, folder_path=folder, allow_patterns=list(files), commit_message=message
        ).commit_url
    except HFValidationError as error:
        raise DataError(f"{repo!r} is not an id on the hub; give owner/name") from error
    except Exception as error:  # the hub's client raises errors of several libraries
        status = getattr(getattr(error, "response", None), "status_code", None)
        if status in (401, 403) or isinstance(error, huggingface_hub.errors.LocalTokenNotFoundError):
            raise DataError(f"{repo}: the hub refuses; log in with `hf auth login` as an owner; {again}") from error
        raise DataError(f"{repo}: not uploaded ({type(error).__name__}: {error}); {again}") from error


def _explain(error: Exception, model: str, revision: str | None) -> str:
    """Reason and fix for an error of the hub's client."""
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
