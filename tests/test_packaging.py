"""The two descriptions of the environment never disagree, and the house rules of the repository hold."""

import ast
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src/revision"
ORDER = [
    "cli", "claims", "evaluation", "mllm", "dynamics", "encoders", "published", "geometry", "align", "statistics",
    "store", "data",
]  # fmt: skip


def test_conda_and_pip_list_the_same_packages():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = project["dependencies"] + project["optional-dependencies"]["test"]
    conda = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    listed = next(part["pip"] for part in conda if isinstance(part, dict))
    assert sorted(listed[:-1]) == sorted(wanted)
    assert listed[-1].endswith("-e .")


def imported_parts(path: Path) -> set[str]:
    """Second names of the revision modules that a file imports at its top level."""
    found = set()
    for node in ast.parse(path.read_text()).body:
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [
                f"{node.module}.{alias.name}" if node.module == "revision" else node.module for alias in node.names
            ]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        found |= {name.split(".")[1] for name in names if name.startswith("revision.")}
    return found


@pytest.mark.parametrize("part", ORDER[1:])
def test_imports_point_one_way(part):
    place = SOURCE / part
    files = list(place.rglob("*.py")) if place.is_dir() else [p for p in [place.with_suffix(".py")] if p.exists()]
    above = set(ORDER[: ORDER.index(part)])
    wrong = {str(path.relative_to(ROOT)): imported_parts(path) & above for path in files}
    assert not {path: names for path, names in wrong.items() if names}


def test_files_stay_small():
    long = {str(p.relative_to(ROOT)): n for p in SOURCE.rglob("*.py") if (n := len(p.read_text().splitlines())) > 400}
    assert not long
