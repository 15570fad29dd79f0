"""Run every figure script on a small working folder and check its table, images and caption."""

import json
import re
import runpy
import sys

import pandas as pd
import pytest
from PIL import Image
from working_folder import ALIGNERS, ROOT

pytestmark = pytest.mark.usefixtures("legible")

PUBLISHED = "config/published.yaml"
METHODS = " ".join(ALIGNERS)
PROBE = {"text": "text_short", "image": "reference_image", "probe-text": "probe_short", "probe-image": "probe_image"}
SCAN = {f"scan-{option}": f"scan_{name}" for option, name in PROBE.items()}
TABLES = " ".join(
    f"--{name}-table {{work}}/data/{table}.parquet"
    for name, table in {"text": "text", "image": "reference", "probe": "probe"}.items()
)
PAIRS = {"short": "probe_short", "image": "probe_image", "long": "probe_long", "long-image": "probe_image"}

TOGETHER = {"figure_07_cost": "figure_7", "figure_10_captions": "figure_10"}  # several tables, one figure

# By script: its tables with their columns, the embedding sets that it reads, and its other options.
SCRIPTS = {
    "figure_03_gap": (
        {"figure_3": "caption method sample seed gap"},
        {
            "text-short": "text_short",
            "text-long": "text_long",
            "image": "reference_image",
            "probe-short": "probe_short",
            "probe-long": "probe_long",
            "probe-image": "probe_image",
            "probe-long-image": "probe_image",
        },
        f"{TABLES} --text-long-table {{work}}/data/text.parquet --probe-long-table {{work}}/data/probe.parquet"
        " --moved-short {work}/held_out/short --moved-long {work}/held_out/long --aligners {work}/aligners.yaml"
        f" --methods {METHODS} --seeds 0 1 --published {PUBLISHED}",
    ),
    "figure_04_spectrum_angles": (
        {"figure_4a": "method rank share alpha first last r_squared", "figure_4b": "method cosine density divergence"},
        {},
        f"--moved {{work}}/held_out/short --published {PUBLISHED}",
    ),
    "figure_05_mixing": (
        {"figure_5": "method k mixing_percent well_mixed"},
        {},
        f"--moved {{work}}/held_out/short --published {PUBLISHED}",
    ),
    "figure_06_samples": (
        {"figure_6": "method samples trial gap"},
        PROBE,
        f"{TABLES} --aligners {{work}}/aligners.yaml --methods {METHODS} --published {PUBLISHED}",
    ),
    "figure_07_cost": (
        {"figure_7a": "samples precision error", "figure_7b": "samples seconds peak_mb"},
        {"text": "text_short", "image": "reference_image"},
        f"--published {PUBLISHED}",
    ),
    "figure_08_domains": (
        {"figure_8": "statistics applied_to samples seed method gap"},
        PROBE | SCAN,
        f"{TABLES} {TABLES.replace('--', '--scan-')} --aligners {{work}}/aligners.yaml --methods {METHODS} --seeds 0 1"
        f" --published {PUBLISHED}",
    ),
    "figure_09_blockwise": (
        {
            "figure_9a": "method rank eigenvalue condition_number",
            "figure_9b": "method k kept_percent kept_distinct_percent distinct",
        },
        {},
        f"--moved {{work}}/held_out/short --published {PUBLISHED}",
    ),
    "figure_10_captions": (
        {name: "metric set part value samples" for name in ("figure_10a", "figure_10b", "figure_10c")},
        {"image": "reference_image", "short": "text_short", "long": "text_long"},
        f"--parts 2 --published {PUBLISHED}",
    ),
    "figure_11_phrases": (
        {"figure_11": "method nonvisual_share nonvisual_words visual_words distance"},
        {},
        "--moved {work}/held_out/long --captions {work}/data/probe.parquet",
    ),
    "figure_12_answers": (
        {"figure_12": "suite group prediction correct id text answer"},
        {},
        "--answers {work}/answers/seed0.parquet --tasks {work}/tasks --method stage2/revision",
    ),
    "captioning": (
        {"captioning": "method condition metric value low high"},
        {},
        "--captions {work}/captions/seed0.parquet {work}/captions/seed1.parquet --paired paired"
        " --table {work}/captioning.csv",
    ),
    "figure_c_coupling": ({"coupling": "caption energy rank metric value pairs"}, PAIRS, ""),
    "figure_b14_drift": (
        {
            "drift": "residual factor relative_residual predicted measured predicted_tangential measured_tangential "
            "error"
        },
        {"text": "text_short"},
        "--moved {work}/held_out/short",
    ),
    "figure_dose": (
        {
            "dose": "kind dose steps encoder seed metric value",
            "dose_erasure": "kind dose steps metric value low high",
        },
        {},
        "--tables {work}/dose/encoder0_seed0.csv {work}/dose/encoder1_seed0.csv --alignment {work}/dose/alignment.csv",
    ),
    "figure_h4_costs": (
        {"costs": "data published_usd usd published_relative relative"},
        {},
        f"--published {PUBLISHED}",
    ),
    "figure_followup": (
        {"followup": "method metric q value"},
        {},
        "--moved {work}/held_out/short --published config/followup.yaml",
    ),
    "figure_retrieval": ({"retrieval": "method metric way value low high"}, {}, "--moved {work}/held_out/short"),
}


def run(script, arguments, monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "argv", [script, *map(str, arguments)])
    runpy.run_path(str(ROOT / f"analysis/{script}.py"), run_name="__main__")


@pytest.mark.parametrize("script", SCRIPTS)
def test_script_writes_table_images_and_caption(script, work, tmp_path, monkeypatch):
    tables, sets, options = SCRIPTS[script]
    outs = [tmp_path / f"{name}.csv" for name in tables]
    words = [word for option, name in sets.items() for word in (f"--{option}", work / f"embeddings/{name}")]
    run(script, [*words, *options.format(work=work).split(), "--out", *outs], monkeypatch)
    for out, columns in zip(outs, tables.values(), strict=True):
        table = pd.read_csv(out)
        assert list(table.columns) == columns.split() and len(table)
    for out in [tmp_path / f"{TOGETHER[script]}.csv"] if script in TOGETHER else outs:
        with Image.open(out.with_suffix(".png")) as image:
            assert image.width in (650, 1350) and image.height > 200
        assert out.with_suffix(".pdf").read_bytes().startswith(b"%PDF")
        text = json.loads(out.with_suffix(".json").read_text())
        assert set(text) == {"title", "place", "caption", "alt", "comparisons"}
        assert len(text["title"]) < 60 and len(text["alt"]) > 20
        assert re.match(r"\*\*[^*]+[.]\*\* \S", text["caption"]), text["caption"]
        assert all(set(row) == {"what", "paper", "ours"} for row in text["comparisons"])


def test_missing_file_ends_a_script_with_a_one_line_error(tmp_path, monkeypatch):
    words = ["--moved", tmp_path, "--out", tmp_path / "retrieval.csv"]
    with pytest.raises(SystemExit, match=r"error: .*no held-out pairs here .* `revision measure`"):
        run("figure_retrieval", words, monkeypatch)


def test_every_script_of_the_workflow_is_tested():
    rules = (ROOT / "workflow/rules/figures.smk").read_text()
    scripts = set(re.findall(r'Figure\(\s*"[^"]+",\s*"(\w+)"', rules))
    own_test = {"figure_real_parts", "figure_scaling", "figure_01_dynamics", "figure_gap_causes"}
    assert scripts == set(SCRIPTS) | own_test
