"""Atomic writes and checksums: a file under its final name is always whole."""

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
REMAKE = "restore it from a copy, or make it again"


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Give errors of the system a file name where they have none, as those of `write`."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise


@contextmanager
def atomic_file(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; it is renamed to `path` only if the block ends without an error."""
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
    """Yield a temporary folder beside `path`; it takes the place of `path` only if the block ends without an error.

    An older folder of that name is moved aside whole before it is removed: no half of it is ever seen there.
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
    """Write `value` as sorted, indented JSON, atomically; NaN and infinity are refused."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n")


def digest(path: str | Path) -> str:
    """Hex XXH3-128 of the file at `path`: as fast as it can be read, and no protection against forgery."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, xxhash.xxh3_128).hexdigest()


def write_checksums(folder: str | Path) -> None:
    """Write size and digest of every file below `folder` to its `checksums.json`."""
    folder = Path(folder)
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != CHECKSUMS)
    table = {
        path.relative_to(folder).as_posix(): {"bytes": path.stat().st_size, "xxh3_128": digest(path)} for path in files
    }
    write_json(folder / CHECKSUMS, table)


def check_files(folder: str | Path, start: str = "", *, contents: bool = False) -> None:
    """Compare files with the `checksums.json` of their folder; without one, do nothing.

    Parameters
    ----------
    folder
        Folder that `write_checksums` was called on.
    start
        Only files whose names in `folder` begin with this.
    contents
        Compare the digests too, which reads every file; sizes alone are cheap.

    Raises
    ------
    DataError
        Names the first file that is missing or differs.
    """
    table = Path(folder) / CHECKSUMS
    if not table.is_file():
        return
    try:
        written = {name: (facts["bytes"], facts["xxh3_128"]) for name, facts in json.loads(table.read_bytes()).items()}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DataError(f"{table}: not a table of checksums ({error}); {REMAKE}") from error
    for name, (size, checksum) in written.items():
        if name.startswith(start):
            check_file(Path(folder) / name, size, checksum if contents else None, REMAKE)


def check_file(path: Path, size: int, checksum: str | None, fix: str) -> None:
    """Raise DataError unless the file has the size and, where one is given, the checksum that were written."""
    if not path.is_file():
        raise DataError(f"{path}: missing; {fix}")
    found = path.stat().st_size
    if found != size:
        raise DataError(f"{path}: {found} bytes where {size} were written (truncated or altered); {fix}")
    if checksum is not None and digest(path) != checksum:
        raise DataError(f"{path}: altered since it was written (checksum differs); {fix}")


def load_state(path: str | Path) -> Any:
    """Read the state of a training that `torch.save` wrote, on the CPU: tensors and plain values only.

    Raises
    ------
    DataError
        For a file that is truncated or holds anything else.
    """
    import torch

    try:
        return torch.load(path, weights_only=True, map_location="cpu")
    except (zipfile.BadZipFile, RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as error:
        reason = str(error).splitlines()[0][:200]
        raise DataError(f"{path}: not a whole training state ({reason}); delete it to restart the training") from error
