"""Every command of the README and the docs is run: as it is written, as a dry run, or by a test that is named here."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from test_documented_commands import PAGES, ROOT, commands
from typer.testing import CliRunner
from workflow_copy import copy_checkout

from revision.cli import app

sys.path.insert(0, str(ROOT / "tests/data"))

from datasets_in_small import bunny

TUTORIALS = ("new-encoder.md", "new-aligner.md")  # test_tutorials.py runs all of their blocks
TESTED = {  # lines, and the test that runs them
    r"revision import (image|text).npy .*|revision gap --image image.npy .*|revision align text aligned .*"
    r"|revision verify image text aligned|revision stats image --save .*": (
        "tests/docs/test_documented_commands.py",
        "test_the_readmes_own_embeddings_run_as_written",
    ),
    r"revision gap --aligner all": (
        "tests/gap/test_measure.py",
        "test_unpaired_sets_get_every_metric_that_needs_no_pairs",
    ),
    r"revision reproduce table_noise --scale noise -n": (
        "tests/docs/test_documented_commands.py",
        "test_the_ablation_of_the_tutorial_is_accepted_and_planned",
    ),
    r"revision preflight( --scale paper)?": (
        "tests/cli/test_cost_commands.py",
        "test_everything_that_is_missing_is_listed_at_once",
    ),
    r"revision preflight --scale single_gpu": (
        "tests/workflow/test_single_gpu.py",
        "test_what_is_missing_is_listed_with_the_command_to_get_it",
    ),
    r"revision preflight --pin": (
        "tests/planning/test_pinning.py",
        "test_preflight_asks_for_commits_first_and_then_for_the_data",
    ),
    r"(make reproduce SCALE|snakemake --cores 1 --config scale)=single_gpu .*": (
        "tests/workflow/test_single_gpu.py",
        "test_the_whole_graph_is_planned",
    ),
    r"revision pretrain --config stage1.yaml --tracker tensorboard": (
        "tests/mllm/test_tracking.py",
        "test_the_command_takes_the_tracker_as_an_option_or_from_the_environment",
    ),
    r"(make reproduce SCALE|snakemake --cores 2 --config scale)=photos.*": (
        "tests/workflow/test_plans.py",
        "test_the_scale_photos_is_planned_without_questions",
    ),
    r"revision openclipart --deb .*": (
        "tests/data/test_photos.py",
        "test_drawings_of_the_package_become_a_folder_in_the_csv_layout",
    ),
    r"revision reproduce --scale tiny|make reproduce SCALE=tiny": ("tests/workflow/test_tiny.py", "finished"),
    r"snakemake --profile workflow/profiles/slurm .*": (
        "tests/workflow/test_paper.py",
        "test_the_whole_graph_is_planned_for_slurm",
    ),
    r"mkdocs .*|make docs": ("tests/docs/test_documented_commands.py", "test_the_site_builds"),
    r"make clean SCALE=tiny": ("tests/docs/test_documented_runs.py", "test_make_clean_removes_the_working_folder"),
}
# Set-up, and what takes hours, an account or too much disk; only their options are checked.
NOT_HERE = (
    r"pip install .*|make (setup.*|test|lint|coverage|reproduce( (SCALE=pretrained(_gpu CORES=15)?|PYTHON=.*))?)|hf .*"
    r"|torchrun .*|HF_HUB_OFFLINE=0 .*|python benchmarks/.*"
)
DRY = r"revision reproduce .*|snakemake (?!--profile).*"


def lines():
    """(page, line) of what no other test runs."""
    for parameters in commands():
        page, line = parameters.values
        known = page.name in TUTORIALS or re.fullmatch(NOT_HERE, line)
        if not known and not any(re.fullmatch(pattern, line) for pattern in TESTED):
            yield line


def named_only(line):
    """Whether a line only names a command, as `revision embed` does in running text."""
    words = line.split()
    return words[0] == "revision" and len(words) == 2 and words[1] not in ("plan", "--help")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A checkout with the ablation of the docs and a data set for the cluster's page."""
    folder = copy_checkout(tmp_path_factory.mktemp("checkout"))
    (folder / "tests").symlink_to(ROOT / "tests")
    bunny(folder / "data/bunny", rows=1200)
    for page in ("ablation", "cluster"):
        text = (ROOT / f"docs/{page}.md").read_text(encoding="utf-8")
        for path, settings in re.findall(r"^```yaml (\S+)\n(.*?)^```$", text, re.M | re.S):
            (folder / path).write_text(settings, encoding="utf-8")
    return folder


def test_the_tests_that_are_named_exist():
    for path, name in TESTED.values():
        assert re.search(rf"^def {name}", (ROOT / path).read_text(encoding="utf-8"), re.M), (path, name)
    documented = [parameters.values[1] for parameters in commands()]
    unused = [pattern for pattern in TESTED if not any(re.fullmatch(pattern, line) for line in documented)]
    assert unused == [], "no page has these commands any more"


def dry_lines():
    """Lines that ask for targets of the workflow; those that differ by their target alone are one with all targets."""
    plans = {}
    for line in lines():
        if re.fullmatch(DRY, line):
            words = shlex.split(line)
            targets = [word for word in words if re.match(r"(figure|table)_", word)]
            plans.setdefault(tuple(word for word in words if word not in targets), {}).update(dict.fromkeys(targets))
    return [shlex.join([*words, *targets]) for words, targets in plans.items()]


@pytest.mark.slow
@pytest.mark.parametrize("line", dry_lines())
def test_it_runs_dry(checkout, line):
    words = shlex.split(line)
    program = {"revision": ["-c", "from revision.cli import main; main()"], "snakemake": ["-m", "snakemake"]}[words[0]]
    command = [sys.executable, *program, *words[1:], *([] if "-n" in words else ["-n"])]
    environment = os.environ | {"HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]


@pytest.mark.parametrize("line", dict.fromkeys(line for line in lines() if not re.fullmatch(DRY, line)))
def test_it_runs(checkout, line, monkeypatch):
    monkeypatch.chdir(checkout)
    program, *words = shlex.split(line)
    assert program == "revision", f"{line}: run it here, or name the test that does"
    done = CliRunner().invoke(app, [*words, "--help"] if named_only(line) else words, input="y\n")
    assert done.exit_code == 0, f"{done.output[-2000:]}\n{done.exception!r}"


@pytest.mark.parametrize("page", ["README.md", "docs/index.md"])
def test_the_python_example_runs_as_written(page, checkout, clip, monkeypatch, capsys):
    monkeypatch.chdir(checkout)
    for name, rows in zip(("image", "text"), clip, strict=True):
        np.save(f"{name}.npy", rows)
    text = (ROOT / page).read_text(encoding="utf-8")
    exec(re.search(r"^```python\n(.*?)^```$", text, re.M | re.S)[1])
    before, after = map(float, capsys.readouterr().out.split())
    assert f"{before:.3f} {after:.3f}" == "0.851 0.001"
    assert page == "README.md" or f"falls from {before:.3f} to {after:.3f}" in text


def test_make_clean_removes_the_working_folder(tmp_path):
    (tmp_path / "results/tiny/work/data").mkdir(parents=True)
    (tmp_path / "results/tiny/report.html").touch()
    subprocess.run(["make", "-f", ROOT / "Makefile", "clean", "SCALE=tiny"], cwd=tmp_path, check=True)
    assert [path.name for path in (tmp_path / "results/tiny").iterdir()] == ["report.html"]


def test_every_page_is_read():
    assert len(PAGES) > 15 and Path(ROOT / "README.md") in PAGES
