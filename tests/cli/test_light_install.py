"""An install without the extra `reproduce`: its packages are hidden from a process that runs commands."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
REPRODUCE = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["reproduce"]
HIDDEN = {Requirement(line).name.replace("-", "_") for line in REPRODUCE}
LIGHT = f"""
import sys

class Hidden:
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] in {HIDDEN}:
            raise ModuleNotFoundError(name=name)

sys.meta_path.insert(0, Hidden)
from revision.cli import main
main()
"""


def run(folder, *words):
    return subprocess.run([sys.executable, "-c", LIGHT, *words], cwd=folder, capture_output=True, text=True)


def test_commands_on_embeddings_and_costs_need_no_training_library(tmp_path):
    (tmp_path / "config").symlink_to(ROOT / "config")
    (tmp_path / "clip").symlink_to(ROOT / "tests/data/liang2022")
    done = run(
        tmp_path,
        "batch",
        "import clip/clip_image.npy images",
        "import clip/clip_text.npy texts",
        "align texts aligned --target images",
        "stats images aligned --save moments.npz",
        "merge images --out both",
        "verify images both",
        "gap --image images --text texts --aligner realign --html gap.html",
        "plan",
        "audit",
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "gap.html").is_file() and "realign" in done.stdout


@pytest.mark.parametrize(
    ("words", "module"), [(["train-encoder", "--out", "e"], "torch"), (["reproduce"], "snakemake")]
)
def test_what_needs_the_extra_names_it(tmp_path, words, module):
    (tmp_path / "Snakefile").touch()
    done = run(tmp_path, *words)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {module} is not installed; this command needs the extra `reproduce`: pip")
    assert len(done.stderr.splitlines()) == 1
