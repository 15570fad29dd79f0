"""The figure of encoders side by side, and its rule with a user's own encoders."""

import json
import re
import runpy
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image
from working_folder import ROOT

from revision.gap.across_dimensions import run_any_suite
from revision.gap.measure import SuiteSettings, run_suite


def suite(seed, paired):
    random = np.random.default_rng(seed)
    image = random.standard_normal((200, 10)) * np.arange(1, 11) ** -0.5
    text = image + random.standard_normal((200, 10)) * np.arange(1, 11) ** -0.5 + (seed + 1) * np.eye(10)[0]
    return run_suite(image, text, ["realign"], paired=paired, settings=SuiteSettings(sample=100)).to_dict()


@pytest.mark.usefixtures("legible")
def test_figure_has_table_images_and_caption(tmp_path, monkeypatch):
    paths = []
    for name, paired in (("built_in", True), ("mine", False)):
        (tmp_path / f"{name}.json").write_text(json.dumps(suite(len(paths), paired), sort_keys=True))
        paths.append(str(tmp_path / f"{name}.json"))
    out = tmp_path / "encoders.csv"
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "argv", ["figure_encoders", "--suites", *paths, "--out", str(out)])
    runpy.run_path(str(ROOT / "analysis/figure_encoders.py"), run_name="__main__")
    table = pd.read_csv(out)
    assert list(table.columns) == ["encoder", "set", "metric", "value"] and set(table.encoder) == {"built_in", "mine"}
    with Image.open(out.with_suffix(".png")) as image:
        assert min(image.size) > 200
    assert out.with_suffix(".pdf").stat().st_size > 1000
    sidecar = json.loads(out.with_suffix(".json").read_text())
    assert "Without pairs, so without parts and R@1: mine." in sidecar["caption"]
    assert re.search(r"ReAlign closes \d+\.\d to \d+\.\d% of the gap, R@1 changes by", sidecar["caption"])
    gaps = table[(table["set"] == "identity") & (table.metric == "gap")].value
    assert [row["ours"] for row in sidecar["comparisons"]] == pytest.approx(list(gaps))


def test_figure_takes_encoders_without_common_space_and_without_an_aligner(tmp_path, monkeypatch):
    random = np.random.default_rng(0)
    across = run_any_suite(random.standard_normal((60, 8)), random.standard_normal((60, 9)), ["realign"], paired=True)
    for name, result in (("across", across.to_dict()), ("built_in", suite(0, True))):
        (tmp_path / f"{name}.json").write_text(json.dumps(result, sort_keys=True))
    out = tmp_path / "encoders.csv"
    paths = [str(tmp_path / f"{name}.json") for name in ("across", "built_in")]
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "argv", ["figure_encoders", "--suites", *paths, "--out", str(out)])
    runpy.run_path(str(ROOT / "analysis/figure_encoders.py"), run_name="__main__")
    (row,) = json.loads(out.with_suffix(".json").read_text())["comparisons"]
    assert row["ours"] == suite(0, True)["methods"]["identity"]["gap"]


def test_rule_accepts_yaml_and_arrays_and_is_not_part_of_the_report(tmp_path):
    for part in ("workflow", "config", "analysis"):
        shutil.copytree(ROOT / part, tmp_path / part)
    for side in ("image", "text"):
        np.save(tmp_path / f"config/encoders/{side}.npy", np.ones((4, 2), np.float32))
    arrays = {"family": "arrays", "image": "image.npy", "text": "text.npy"}
    (tmp_path / "config/encoders/mine.yaml").write_text(yaml.safe_dump(arrays))
    compare = "compare={encoders: [clip_vit_b32, mine], aligners: [realign, c3]}"
    command = [sys.executable, "-m", "snakemake", "-n", "-p", "--config", "scale=tiny", compare, "--"]
    done = subprocess.run([*command, "compare_encoders"], cwd=tmp_path, capture_output=True, text=True)
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    assert "--encoder config/encoders/clip_vit_b32.yaml --column image" in output
    arrays = "--image config/encoders/image.npy --text config/encoders/text.npy"  # relative to the YAML file
    assert f"revision gap {arrays} --aligner realign --aligner c3 --json" in output
    assert "revision check-encoder config/encoders/clip_vit_b32.yaml --json" in output
    assert "--check results/tiny/work/compare/built_in.checks.json" in output and "mine.checks.json" not in output
    assert "--check results/tiny/work/compare/clip_vit_b32.checks.json" in output
    assert "--out results/tiny/compare/leaderboard.md --out results/tiny/compare/leaderboard.html" in output
    assert "--encoder results/tiny/work/dynamics/seed1/encoder --column short" in output
    everything = subprocess.run([*command, "all"], cwd=tmp_path, capture_output=True, text=True)
    assert everything.returncode == 0 and "compare_encoders" not in everything.stdout + everything.stderr
    missing = [*command[:-2], "compare={encoders: [unknown], aligners: [c3]}", "--", "compare_encoders"]
    done = subprocess.run(missing, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode and "config/encoders/unknown.yaml" in done.stdout + done.stderr
