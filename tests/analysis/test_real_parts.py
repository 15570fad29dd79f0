"""Two scales side by side: the caption follows from the numbers."""

import json
import runpy
import sys

import pandas as pd
import pytest
from working_folder import ROOT


def results(folder, gap, left):
    """Write the tables of a scale: `gap` before alignment, the fraction `left` after ReAlign, half of it after C3."""
    (folder / "tables").mkdir(parents=True)
    (folder / "figures").mkdir()
    world = pd.DataFrame({"caption": ["short", "long"], "metric": "centroid gap", "value": [gap, 2.0], "n": 10})
    world.to_csv(folder / "tables/world.csv", index=False)
    rows = [("identity", gap), ("c3", gap / 2), ("realign", gap * left), ("sampling noise", 0.01)]
    frame = pd.DataFrame(rows, columns=["method", "gap"]).assign(caption="short", sample="held-out", seed=0)
    frame.to_csv(folder / "figures/figure_3.csv", index=False)


@pytest.mark.parametrize(("left", "answer"), [(0.06, "Yes: "), (0.9, "Not entirely: ")])
def test_the_answer_follows_from_the_numbers(tmp_path, monkeypatch, left, answer):
    results(tmp_path / "pretrained", 0.5, left)
    results(tmp_path / "laptop", 0.4, 0.05)
    out = tmp_path / "real_parts.csv"
    monkeypatch.chdir(ROOT)
    words = ["--scales", "pretrained", "laptop", "--out", out]
    for prefix, scale in (("", "pretrained"), ("other-", "laptop")):
        words += [f"--{prefix}world", tmp_path / scale / "tables/world.csv"]
        words += [f"--{prefix}gap", tmp_path / scale / "figures/figure_3.csv"]
    monkeypatch.setattr(sys, "argv", ["figure", *map(str, words)])
    runpy.run_path(str(ROOT / "analysis/figure_real_parts.py"), run_name="__main__")
    caption = json.loads(out.with_suffix(".json").read_text())["caption"]
    assert caption.startswith(f"**{answer}") and "the gap is 0.500 at pretrained and 0.400 at laptop" in caption
    assert f"ReAlign leaves {100 * left:.1f}% and 5.0%" in caption and "centroid gap 0.5, 0.4" in caption
    assert set(pd.read_csv(out).scale) == {"pretrained", "laptop"} and out.with_suffix(".png").is_file()
