"""Atomic writes and checksums: a file under its final name is always whole, and what was altered since is named."""

import errno
import hashlib
import json
import os
import pickle
import re
import shutil
import uuid
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import xxhash

from revision.errors import MENDS, DataError, DiskError, RevisionError

CHECKSUMS = "checksums.json"
UNREADABLE = (errno.EACCES, errno.EPERM)
LITTLE = 1 << 16  # bytes free on a full disk
REMAKE = "restore it from a copy, or make it again"


@contextmanager
def atomic_file(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; it is renamed to `path` only if the block ends without an error."""
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part{path.suffix}")
    try:
        with _written(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            os.replace(temporary, path)
    finally:
        with suppress(OSError):  # what went wrong before is the error to hear of
            temporary.unlink(missing_ok=True)


@contextmanager
def _written(path: Path) -> Iterator[None]:
    """Turn the system's refusal to write, in whatever a library makes of it, into a DiskError for `path`."""
    try:
        yield
    except Exception as error:
        number = _refusal(error, path)
        if number is None:
            raise
        raise DiskError(path, number) from error


def _refusal(error: Exception, path: Path) -> int | None:
    if isinstance(error, DiskError):
        return error.number
    if isinstance(error, RevisionError):
        return None
    if isinstance(error, OSError) and error.errno is not None:
        foreign = error.filename is not None and path.parent not in Path(os.fsdecode(error.filename)).parents
        return error.errno if error.errno in MENDS and not (foreign and error.errno in UNREADABLE) else None
    found = re.search(r"os error (\d+)", str(error))  # safetensors
    if found and int(found[1]) in MENDS:
        return int(found[1])
    if not isinstance(error, RuntimeError) or not path.parent.is_dir():
        return None
    disk = os.statvfs(path.parent)  # torch says no more than that a write failed
    if disk.f_flag & os.ST_RDONLY:
        return errno.EROFS
    return errno.ENOSPC if disk.f_bavail * disk.f_frsize < LITTLE else None


@contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """Yield a temporary folder beside `path`; it takes the place of `path` only if the block ends without an error.

    An older folder of that name is moved aside whole before it is removed: no half of it is ever seen there.
    """
    path = Path(path)
    name = f".{path.name}.{uuid.uuid4().hex[:8]}"
    temporary, older = path.with_name(f"{name}.part"), path.with_name(f"{name}.old")
    try:
        with _written(path):
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


def sha256(path: str | Path) -> str:
    """Hex SHA-256 of the file at `path`."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def write_checksums(folder: str | Path) -> None:
    """Write the XXH3-128 of every file below `folder` to its `checksums.json`."""
    folder = Path(folder)
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != CHECKSUMS)
    write_json(folder / CHECKSUMS, {path.relative_to(folder).as_posix(): _xxh3(path) for path in files})


def verify_checksums(folder: str | Path, start: str = "") -> None:
    """Compare the files whose names in `folder` begin with `start` with its `checksums.json`; without one, nothing.

    Raises DataError that names the first file that is missing or was altered.
    """
    place = Path(folder) / CHECKSUMS
    if not place.is_file():
        return
    try:
        written = dict(json.loads(place.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise DataError(f"{place}: altered since it was written ({error}); {REMAKE}") from error
    for name, digest in written.items():
        path = Path(folder) / name
        if name.startswith(start) and not path.is_file():
            raise DataError(f"{path}: missing; {REMAKE}")
        if name.startswith(start) and _xxh3(path) != digest:
            raise DataError(f"{path}: altered since it was written (checksum differs); {REMAKE}")


def _xxh3(path: Path) -> str:
    digest = xxhash.xxh3_128()
    with open(path, "rb") as handle:
        while block := handle.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def load_state(path: str | Path) -> Any:
    """The state of a training that `torch.save` wrote, on the CPU; DataError for one that is cut or altered.

    Only tensors and plain values are read. Torch compares no checksums itself.
    """
    import torch

    try:
        with zipfile.ZipFile(path) as archive:
            bad = archive.testzip()
        if bad is not None:
            raise zipfile.BadZipFile(f"checksum of {bad} differs")
        return torch.load(path, weights_only=True, map_location="cpu")
    except (zipfile.BadZipFile, RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as error:
        said = str(error).splitlines()[0][:200]
        raise DataError(f"{path}: not a whole training state ({said}); delete it: the training starts again") from error
