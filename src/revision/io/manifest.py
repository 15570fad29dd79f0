"""Manifests: by what an artefact was made, from which inputs, with which settings and versions."""

import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

from revision.io.files import digest, write_json

PACKAGES = ("numpy", "pyarrow", "scikit-learn", "torch", "transformers", "accelerate", "lmms-eval", "snakemake")


def versions() -> dict[str, str]:
    """Return the versions of Python, of this package and of the libraries that results depend on."""
    return {"python": platform.python_version()} | {name: version(name) for name in ("revision", *PACKAGES)}


def manifest(
    kind: str, *, settings: dict[str, Any], inputs: dict[str, str | Path], seed: int | None, **facts: Any
) -> dict[str, Any]:
    """Describe an artefact.

    The description holds no time and no path, so that repeating the same work gives the same bytes.

    Parameters
    ----------
    kind : str
        Kind of the artefact.
    settings : dict
        Settings it was made with, as JSON values.
    inputs : dict of str to path
        Input files by their role; they are identified by checksums.
    seed : int or None
        Random seed, if any.
    **facts : Any
        Further facts, as JSON values.

    Returns
    -------
    dict
        The description, with the versions of the libraries.
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
