"""The descriptions of the environment, the version and the settings agree; the house rules of the repository hold."""

import ast
import re
import tomllib
from pathlib import Path

import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src/revision"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
REPRODUCE = "revision[reproduce]"
SET_UP = [*PROJECT["dependencies"], *EXTRAS["reproduce"], *EXTRAS["test"]]  # what `make setup` installs
SET_UP.remove(REPRODUCE)


def test_conda_and_pip_list_the_same_packages():
    conda = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    listed = next(part["pip"] for part in conda if isinstance(part, dict))
    assert sorted(listed[:-1]) == sorted(SET_UP)
    assert listed[-1].endswith("-e .")


def test_the_lock_satisfies_every_requirement():
    lines = [line for line in (ROOT / "requirements.lock").read_text().splitlines() if not line.startswith("#")]
    locked = {canonicalize_name(name): version for name, version in (line.split("==") for line in lines)}
    for requirement in map(Requirement, SET_UP):
        assert requirement.specifier.contains(locked[canonicalize_name(requirement.name)]), requirement
    assert not [name for name in locked if name.startswith(("nvidia-", "cuda-", "triton"))]


def test_every_extra_that_runs_models_brings_what_they_need():
    assert {name for name, packages in EXTRAS.items() if REPRODUCE not in packages} == {"reproduce", "docs"}


def test_the_version_is_the_same_everywhere():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    newest = re.search(r"^## \[(\d.*?)\]", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert newest and citation["version"] == newest[1] == PROJECT["version"]


def test_every_setting_is_explained():
    """Keys of the configuration down to the second level, except names of a user's choice."""
    config = yaml.safe_load((ROOT / "config/default.yaml").read_text())
    named = ("aligners", "variants", "tables", "llm")
    keys = {part for key, value in config.items() if isinstance(value, dict) and key not in named for part in value}
    explained = set(re.findall(r"\w+", " ".join(re.findall(r"`([^`\n]+)`", (ROOT / "config/README.md").read_text()))))
    assert not (keys | config.keys()) - explained


def code_lines(path: Path) -> int:
    """Lines of a module without docstrings, comments and blank lines."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return len(ast.unparse(tree).splitlines())


def test_files_stay_small():
    lines = {str(path.relative_to(ROOT)): code_lines(path) for path in SOURCE.rglob("*.py")}
    assert not {path: count for path, count in lines.items() if count > 300}
