"""The published scale: its whole graph can be planned without a network, here and as SLURM jobs; nothing starts without
its data."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    folder = tmp_path_factory.mktemp("paper")
    for part in ("workflow", "config", "analysis"):
        shutil.copytree(ROOT / part, folder / part)
    return folder


def snakemake(checkout, *words):
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": str(checkout / "hub")}
    return subprocess.run(
        [sys.executable, "-m", "snakemake", "--config", "scale=paper", *words],
        cwd=checkout, capture_output=True, text=True, env=environment,
    )  # fmt: skip


def test_the_whole_graph_is_planned_for_slurm(checkout):
    done = snakemake(checkout, "-n", "--profile", "workflow/profiles/slurm")
    said = done.stdout + done.stderr
    assert done.returncode == 0, said[-3000:]
    for rule, jobs in (("corpus", 14), ("evaluate", 3), ("finetune", 57), ("language_model", 2), ("pretrain", 45)):
        assert any(line.split() == [rule, str(jobs)] for line in said.splitlines()), (rule, said[-3000:])
    assert "data/reading.parquet" not in said and "train-encoder" not in said
    assert "gres=gpu:8" in said
    assert "figure_11" not in said  # its phrases are those of the built-in world


def test_nothing_starts_without_the_data_and_all_that_lacks_is_listed(checkout):
    done = snakemake(checkout, "--profile", "workflow/profiles/local")
    said = done.stdout + done.stderr
    assert done.returncode != 0
    assert "bunny: data/bunny" in said and "meta-llama/Meta-Llama-3-70B-Instruct" in said and "suite pope" in said
    assert not list(checkout.glob("results/paper/work/data/*")) and not list(checkout.glob("results/paper/work/llm/*"))
