"""Atomic writes and checksums: a file under its final name is always whole."""

import hashlib
import json
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

LEFTOVER = re.compile(r"^\..+\.[0-9a-f]{8}\.(part(\.\w+)?|old)$")


@contextmanager
def atomic_file(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; it is renamed to `path` only if the block ends without an error."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part{path.suffix}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """Yield a temporary folder beside `path`; it takes the place of `path` only if the block ends without an error.

    An older folder of that name is moved aside whole before it is removed: no half of it is ever seen there.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    name = f".{path.name}.{uuid.uuid4().hex[:8]}"
    temporary, older = path.with_name(f"{name}.part"), path.with_name(f"{name}.old")
    temporary.mkdir()
    try:
        yield temporary
        if path.exists():
            os.replace(path, older)
        os.replace(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    shutil.rmtree(older, ignore_errors=True)


def sweep(folder: str | Path) -> None:
    """Remove what killed writers left under `folder`; nobody may be writing there."""
    for path in list(Path(folder).rglob(".*")):
        if LEFTOVER.search(path.name):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


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
