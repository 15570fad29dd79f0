"""Atomic writes, so that a file under its final name is always complete, and checksums."""

import hashlib
import json
import os
import pickle
import shutil
import uuid
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import xxhash

from revision.errors import DataError

CHECKSUMS = "checksums.json"
REMAKE = "restore it from a copy, or create it again"


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Add the file name to an OSError that has none, as those of `write`."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise


@contextmanager
def atomic_file(path: str | Path) -> Iterator[Path]:
    """Write a file atomically, as a context manager.

    Parameters
    ----------
    path : str or Path
        The file; missing parent folders are created.

    Yields
    ------
    Path
        A temporary path in the same folder. It is renamed to `path` if the block ends without an error, and removed
        otherwise.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part{path.suffix}")
    try:
        with _named(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            os.replace(temporary, path)
    finally:
        with suppress(OSError):  # the first error is the one to report
            temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """Write a folder atomically, as a context manager.

    Parameters
    ----------
    path : str or Path
        The folder. An older folder of that name is replaced; it is renamed before it is removed, so that `path` never
        holds a part of it.

    Yields
    ------
    Path
        A temporary folder beside `path`. It is renamed to `path` if the block ends without an error, and removed
        otherwise.
    """
    path = Path(path)
    name = f".{path.name}.{uuid.uuid4().hex[:8]}"
    temporary, older = path.with_name(f"{name}.part"), path.with_name(f"{name}.old")
    try:
        with _named(path):
            temporary.mkdir(parents=True)
            yield temporary
            if path.exists():
                os.replace(path, older)
            os.replace(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    shutil.rmtree(older, ignore_errors=True)


def write_text(path: str | Path, text: str) -> None:
    """Write `text` as UTF-8, atomically."""
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | Path, value: Any) -> None:
    """Write a value as JSON, atomically.

    Parameters
    ----------
    path : str or Path
        The file.
    value : Any
        A JSON value; keys are sorted.

    Raises
    ------
    ValueError
        If the value holds NaN or infinity, which JSON does not have.
    """
    write_text(path, json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n")


def digest(path: str | Path) -> str:
    """Return the XXH3-128 checksum of a file, hexadecimal; it is fast, but no protection against forgery."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, xxhash.xxh3_128).hexdigest()


def write_checksums(folder: str | Path) -> None:
    """Write the size and checksum of every file below `folder` to `checksums.json` in it."""
    folder = Path(folder)
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != CHECKSUMS)
    table = {
        path.relative_to(folder).as_posix(): {"bytes": path.stat().st_size, "xxh3_128": digest(path)} for path in files
    }
    write_json(folder / CHECKSUMS, table)


def check_files(folder: str | Path, start: str = "", *, contents: bool = False) -> None:
    """Compare files with the `checksums.json` of their folder; without such a file, do nothing.

    Parameters
    ----------
    folder : str or Path
        Folder that `write_checksums` was called on.
    start : str, default=""
        Check only files whose path relative to `folder` begins with this.
    contents : bool, default=False
        Whether to compare checksums too, which reads every file. Otherwise only sizes are compared.

    Raises
    ------
    DataError
        If a file is missing or differs; names the first.
    """
    table = Path(folder) / CHECKSUMS
    if not table.is_file():
        return
    try:
        entries = json.loads(table.read_bytes())
        written = {name: (entry["bytes"], entry["xxh3_128"]) for name, entry in entries.items()}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DataError(f"{table}: not a table of checksums ({error}); {REMAKE}") from error
    for name, (size, checksum) in written.items():
        if name.startswith(start):
            check_file(Path(folder) / name, size, checksum if contents else None, REMAKE)


def check_file(path: Path, size: int, checksum: str | None, fix: str) -> None:
    """Check that a file is as it was written.

    Parameters
    ----------
    path : Path
        The file.
    size : int
        Its size in bytes when it was written.
    checksum : str or None
        Its checksum when it was written, or None to compare the size only.
    fix : str
        What the error message advises.

    Raises
    ------
    DataError
        If the file is missing or differs.
    """
    if not path.is_file():
        raise DataError(f"{path}: missing; {fix}")
    actual = path.stat().st_size
    if actual != size:
        raise DataError(f"{path}: {actual} bytes where {size} were written (truncated or altered); {fix}")
    if checksum is not None and digest(path) != checksum:
        raise DataError(f"{path}: altered since it was written (checksum differs); {fix}")


def load_state(path: str | Path) -> Any:
    """Read a training state that `torch.save` wrote, onto the CPU.

    Parameters
    ----------
    path : str or Path
        The file.

    Returns
    -------
    Any
        Tensors and Python's own values and containers.

    Raises
    ------
    DataError
        If the file is truncated or holds anything else.
    """
    import torch  # imported here, as `revision align` does without it

    try:
        return torch.load(path, weights_only=True, map_location="cpu")
    except (zipfile.BadZipFile, RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as error:
        reason = str(error).splitlines()[0][:200]
        raise DataError(f"{path}: not a whole training state ({reason}); delete it to restart the training") from error
