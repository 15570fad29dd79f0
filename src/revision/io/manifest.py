"""What made an artefact, from what, with which configuration and versions."""

import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

from revision.io.files import digest, write_json

PACKAGES = ("numpy", "pyarrow", "scikit-learn", "torch", "transformers", "accelerate", "lmms-eval", "snakemake")


def versions() -> dict[str, str]:
    """Versions of Python, of this package and of the libraries that results depend on."""
    return {"python": platform.python_version()} | {name: version(name) for name in ("revision", *PACKAGES)}


def manifest(
    kind: str, *, settings: dict[str, Any], inputs: dict[str, str | Path], seed: int | None, **facts: Any
) -> dict[str, Any]:
    """Describe an artefact of the given kind.

    `inputs` maps a role to a file whose digest identifies it. No clock and no path enters, so that
    the same work gives the same bytes.
    """
    return {
        "kind": kind,
        "settings": settings,
        "seed": seed,
        "inputs": {role: digest(path) for role, path in sorted(inputs.items())},
        "versions": versions(),
        **facts,
    }


def write_manifest(path: str | Path, kind: str, **description: Any) -> None:
    """Write `manifest(kind, **description)` as JSON to `path`."""
    write_json(path, manifest(kind, **description))
