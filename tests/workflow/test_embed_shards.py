"""Embedding by several jobs through snakemake: the same set, the same moments, the same aligned texts as one job."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from revision.embeddings import open_embeddings
from revision.embeddings.moments import load_moments, moments

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow


def run(folder, shards):
    """Align the texts at a small size, with `shards` jobs a set."""
    folder.mkdir()
    for part in ("workflow", "config"):
        shutil.copytree(ROOT / part, folder / part)
    target = "results/tiny/work/aligned/realign_text_short"
    scale = folder / "config/scales/tiny.yaml"
    config = yaml.safe_load(scale.read_text())
    config["data"] |= {"text": 1500, "reference": 1100}
    config["encoder"] |= {"steps": 3, "images": 300}
    scale.write_text(yaml.safe_dump(config | {"embed": {"shards": shards}}))
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--cores", "1", target, "--config", "scale=tiny"],
        cwd=folder, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return folder / "results/tiny/work"


def test_three_jobs_a_set_give_what_one_gives(tmp_path):
    one, three = run(tmp_path / "one", 1), run(tmp_path / "three", 3)
    for name in ("text_short", "reference_image"):
        alone, merged = (open_embeddings(work / "embeddings" / name) for work in (one, three))
        assert merged.array().tobytes() == alone.array().tobytes() and merged.ids() == alone.ids()
        assert merged.about == alone.about and len(merged.shards) == 2  # the third part of so few rows is empty
        merged.verify()
        known, whole = load_moments(three / f"moments/{name}.npz", merged), moments(alone, unit=True, covariance=True)
        np.testing.assert_allclose(known.mean, whole.mean, rtol=0, atol=1e-12)
        np.testing.assert_allclose(known.covariance, whole.covariance, rtol=0, atol=1e-12)
    aligned = [open_embeddings(work / "aligned/realign_text_short").array() for work in (one, three)]
    np.testing.assert_allclose(aligned[1], aligned[0], rtol=0, atol=1e-7)
