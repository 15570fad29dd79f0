"""Every figure script from its command line on a small working folder: table, pictures and caption as promised."""

import json
import re
import runpy
import sys

import pandas as pd
import pytest
import yaml
from PIL import Image
from working_folder import ROOT

CONFIG = yaml.safe_load((ROOT / "config/default.yaml").read_text())
ALIGNERS = {name: values for name, values in CONFIG["aligners"].items() if values["method"] != "mean_shift"}
TWO = {name: ALIGNERS[name] for name in ("identity", "realign")}
PUBLISHED = "config/published.yaml"

# Script: its figures with the columns of their tables, and its options beside the working folder.
SCRIPTS = {
    "figure_03_gap": ({"figure_3": "caption method sample seed gap"}, "published aligners seeds"),
    "figure_04_spectrum_angles": (
        {"figure_4a": "method rank share alpha first last r_squared", "figure_4b": "method cosine density divergence"},
        "published aligners",
    ),
    "figure_05_mixing": ({"figure_5": "method k mixing_percent well_mixed"}, "published aligners"),
    "figure_06_samples": ({"figure_6": "method samples trial gap"}, "published aligners"),
    "figure_07_cost": ({"figure_7a": "samples precision error", "figure_7b": "samples seconds peak_mb"}, "published"),
    "figure_08_domains": ({"figure_8": "statistics applied_to samples seed method gap"}, "published aligners seeds"),
    "figure_09_blockwise": (
        {"figure_9a": "method rank eigenvalue condition_number", "figure_9b": "method k kept_percent"},
        "published aligners",
    ),
    "figure_10_captions": (dict.fromkeys(("10a", "10b", "10c"), "metric set part value samples"), "published seeds"),
    "figure_11_phrases": (
        {"figure_11": "method nonvisual_share nonvisual_words visual_words distance"},
        "two captions",
    ),
    "figure_12_answers": ({"figure_12": "suite group prediction correct id text answer"}, "answers"),
    "figure_c_coupling": ({"coupling": "caption energy rank metric value pairs"}, ""),
    "figure_b14_drift": (
        {
            "drift": "residual factor relative_residual predicted measured predicted_tangential measured_tangential "
            "error"
        },
        "",
    ),
    "figure_h4_costs": ({"costs": "data published_usd usd published_relative relative"}, "published"),
    "figure_followup": ({"followup": "method metric q value"}, "followup aligners"),
    "figure_retrieval": ({"retrieval": "method metric way value low high"}, "aligners"),
}


def words(work, options):
    """Command-line words of the named options."""
    values = {
        "published": ["--published", PUBLISHED],
        "followup": ["--published", "config/followup.yaml"],
        "aligners": ["--aligners", json.dumps(ALIGNERS)],
        "two": ["--aligners", json.dumps(TWO)],
        "seeds": ["--seeds", "0", "1"],
        "captions": ["--captions", str(work / "data/probe.parquet")],
        "answers": ["--answers", str(work / "answers/seed0.parquet"), "--method", "stage2/revision"],
    }
    return [word for option in options.split() for word in values[option]]


def run(script, arguments, monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "argv", [script, *map(str, arguments)])
    runpy.run_path(str(ROOT / f"analysis/{script}.py"), run_name="__main__")


@pytest.mark.parametrize("script", SCRIPTS)
def test_script_writes_table_pictures_and_caption(script, work, tmp_path, monkeypatch):
    figures, options = SCRIPTS[script]
    outs = [tmp_path / f"{name}.csv" for name in figures]
    folder = [] if script == "figure_h4_costs" else [work]
    run(script, [*folder, *words(work, options), "--out", *outs], monkeypatch)
    for out, columns in zip(outs, figures.values(), strict=True):
        table = pd.read_csv(out)
        assert list(table.columns) == columns.split() and len(table)
        with Image.open(out.with_suffix(".png")) as picture:
            assert min(picture.size) > 300
        assert out.with_suffix(".pdf").read_bytes().startswith(b"%PDF")
        text = json.loads(out.with_suffix(".json").read_text())
        assert set(text) == {"title", "place", "caption", "alt", "comparisons"}
        assert len(text["title"]) < 60 and len(text["caption"]) > 100 and len(text["alt"]) > 20
        assert all(set(one) == {"what", "paper", "ours"} for one in text["comparisons"])


def test_every_script_of_the_workflow_is_here():
    rules = (ROOT / "workflow/rules/gap.smk").read_text()
    own_test = {"figure_real_parts"}  # test_real_parts.py: it reads two scales
    assert set(re.findall(r"analysis/(figure_\w+)\.py", rules)) == set(SCRIPTS) | own_test
