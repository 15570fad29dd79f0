"""Raw records of a run: packed from explicit files, and the tables made again from them."""

import runpy
import sys

import numpy as np
import pandas as pd
import pytest
import stage1_losses
from records import histories
from working_folder import ROOT

from revision.config import load, read_yaml
from revision.errors import DataError


def script(name, monkeypatch, **options):
    words = [
        word
        for option, value in options.items()
        for word in (f"--{option}", *(value if isinstance(value, list) else [value]))
    ]
    monkeypatch.setattr(sys, "argv", [name, *map(str, words)])
    monkeypatch.chdir(ROOT)
    runpy.run_path(str(ROOT / f"analysis/{name}.py"), run_name="__main__")


@pytest.fixture
def run(tmp_path):
    """Answers and checkpoints of four variants, both stages, two seeds; and the configuration."""
    random = np.random.default_rng(0)
    variants = ("blind", "no_align", "revision", "paired")
    for seed in (0, 1):
        answers = [
            {
                "method": f"{stage}/{name}",
                "encoder": 0,
                "seed": seed,
                "suite": suite,
                "group": "general",
                "question": f"{suite}-{i}",
            }
            | {"correct": int(random.integers(2)), "prediction": "red"}
            for stage, names in (("stage1", variants[1:]), ("stage2", variants))
            for name in names
            for suite in ("colour", "count")
            for i in range(20)
        ]
        (tmp_path / "answers").mkdir(exist_ok=True)
        pd.DataFrame(answers).to_parquet(tmp_path / f"answers/encoder0_seed{seed}.parquet")
        for stage, names in (("stage1", variants[1:]), ("stage2", variants)):
            for name in names:
                folder = tmp_path / stage / name / f"encoder0_seed{seed}"
                folder.mkdir(parents=True)
                curve = {"step": [10, 20], "loss": random.random(2), "validation_loss": random.random(2)}
                curve |= {"other_image_loss": [None, 2.0], "mean_image_loss": [None, 1.9]}
                pd.DataFrame(curve).to_csv(folder / "history.csv", index=False)
    config = load(ROOT / "config", "tiny", {"run": list(variants)})
    (tmp_path / "config.yaml").write_text(config.model_dump_json(), encoding="utf-8")
    return tmp_path


def pack(run, monkeypatch, **options):
    files = {"answers": sorted(run.glob("answers/*")), "checkpoints": sorted(run.glob("stage*/*/*"))}
    script("records", monkeypatch, **files, config=run / "config.yaml", out=run / "records", **options)
    return run / "records"


def test_records_have_every_answer_and_curve(run, monkeypatch):
    records = pack(run, monkeypatch, captions=[])
    names = {path.name for path in records.iterdir()}
    assert names == {"answers.parquet", "histories.parquet", "config.yaml", "versions.json"}
    whole = pd.concat([pd.read_parquet(path) for path in sorted(run.glob("answers/*"))], ignore_index=True)
    pd.testing.assert_frame_equal(pd.read_parquet(records / "answers.parquet"), whole)
    curves = pd.read_parquet(records / "histories.parquet")
    one = curves[(curves.stage == "stage2") & (curves.variant == "paired") & (curves.seed == 1)]
    expected = pd.read_csv(run / "stage2/paired/encoder0_seed1/history.csv")
    pd.testing.assert_frame_equal(one[list(expected)].reset_index(drop=True), expected)
    assert len(curves) == 2 * 7 * 2


def test_scored_captions_are_packed_where_there_are_any(run, monkeypatch):
    captions = [run / f"captions{seed}.parquet" for seed in (0, 1)]
    for seed, path in enumerate(captions):
        pd.DataFrame({"method": ["stage1/paired"], "seed": [seed], "cider": [0.1 + seed]}).to_parquet(path)
    packed = pd.read_parquet(pack(run, monkeypatch, captions=captions) / "captions.parquet")
    assert packed.seed.tolist() == [0, 1] and packed.cider.tolist() == [0.1, 1.1]


def test_tables_are_made_again_from_records_alone(run, monkeypatch):
    records, published = pack(run, monkeypatch, captions=[]), ROOT / "config/published.yaml"
    script("recompute", monkeypatch, records=records, published=published, out=run / "again")
    script("pairs", monkeypatch, answers=sorted(run.glob("answers/*")), out=run / "pairs.csv")
    assert (run / "again/pairs.csv").read_bytes() == (run / "pairs.csv").read_bytes()
    table = pd.read_csv(run / "again/table_1.csv")
    row = table[(table.stage == "stage2") & (table.method == "revision") & (table.suite == "count")].iloc[0]
    answers = pd.read_parquet(records / "answers.parquet")
    mine = answers[(answers.method == "stage2/revision") & (answers.suite == "count")]
    assert row.value == pytest.approx(100 * mine.correct.mean())
    average = table[(table.stage == "stage2") & (table.method == "revision") & (table.suite == "average")]
    paper = read_yaml(published)["tables"]["table1"]["rows"]["ReVision"]["avg"]
    assert paper in average.published_average.tolist()
    losses = pd.read_csv(run / "again/stage1_caption_loss.csv")
    assert sorted(set(losses.method)) == ["no_align", "paired", "revision"] and len(losses) == 6


def test_names_of_checkpoints_have_encoder_and_seed(tmp_path):
    for name in ("encoder1_seed0", "encoder0_seed12"):
        folder = tmp_path / "stage1/step_1" / name
        folder.mkdir(parents=True)
        (folder / "history.csv").write_text(
            "step,validation_loss,other_image_loss,mean_image_loss\n5,2.0,,\n10,1.5,1.8,1.7\n", encoding="utf-8"
        )
    curves = histories([tmp_path / "stage1/step_1/encoder1_seed0", tmp_path / "stage1/step_1/encoder0_seed12"])
    assert curves[["stage", "variant", "encoder", "seed", "step"]].values.tolist() == [
        ["stage1", "step_1", 1, 0, 5],
        ["stage1", "step_1", 1, 0, 10],
        ["stage1", "step_1", 0, 12, 5],
        ["stage1", "step_1", 0, 12, 10],
    ]
    losses = stage1_losses.measure(curves)
    assert losses.to_dict("list") == {
        "method": ["step_1"] * 2,
        "encoder": [1, 0],
        "seed": [0, 12],
        "caption_loss": [1.5, 1.5],
        "other_image_loss": [1.8, 1.8],
        "mean_image_loss": [1.7, 1.7],
    }


def test_unusable_input_is_an_error(tmp_path, monkeypatch):
    with pytest.raises(DataError, match="best: not the name of a checkpoint"):
        histories([tmp_path / "stage1/step_1/best"])
    with pytest.raises(SystemExit, match=r"no answers.parquet; name the folder"):
        script("recompute", monkeypatch, records=tmp_path, published=ROOT / "config/published.yaml", out=tmp_path / "o")
