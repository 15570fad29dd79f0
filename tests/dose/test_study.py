"""The study on the toy task of colours: its table, resuming, and that a larger gap costs more."""

import json

import numpy as np
import pandas as pd
import pytest
import yaml
from typer.testing import CliRunner

from revision.cli import app
from revision.config import parse
from revision.config.dose import DoseSections, DoseSettings
from revision.dose import study
from revision.dose.study import Trainer, conditions, run_study
from revision.embeddings import open_embeddings, write_embeddings
from revision.errors import ConfigError, DataError

LOOP = {"epochs": 8, "batch_size": 32, "learning_rate": 0.01}
DOSE = {
    "seeds": [0],
    "captions": 192,
    "questions": 64,
    "steps": [0, 2, 8],
    "stage1": LOOP,
    "stage2": LOOP | {"epochs": 2, "schedule": "constant"},
    "gap": [0.0, 8.0],
    "trace": [1.0],
    "rotation": [0.0],
    "residual": [0.0, 2.0],
    "noise": [0.1],
    "aligners": ["realign"],
}


@pytest.fixture(scope="module")
def values(colours):
    """Settings of a replicate; texts are the images, shifted and with noise."""
    image = open_embeddings(colours / "e")
    rows = image.array()
    offset = np.linspace(-0.4, 0.4, rows.shape[1], dtype=np.float32)
    text = rows + offset + 0.05 * np.random.default_rng(1).standard_normal(rows.shape).astype(np.float32)
    text /= np.linalg.norm(text, axis=1, keepdims=True)
    write_embeddings(colours / "text", image.ids().to_pylist(), text)
    table, images = str(colours / "t.parquet"), str(colours / "e")
    tables = dict.fromkeys(("captions", "validation_captions", "instructions", "validation_instructions"), table)
    sets = ("image", "reference", "validation_image", "instruction_image", "validation_instruction_image")
    inputs = {"llm": str(colours / "llm"), "text": str(colours / "text")} | tables | dict.fromkeys(sets, images)
    return {"dose": DOSE, "aligners": {"realign": {"method": "realign"}}, "inputs": inputs, "encoder": 2, "seed": 1}


@pytest.fixture(scope="module")
def table(values, tmp_path_factory):
    out = tmp_path_factory.mktemp("study") / "table.csv"
    run_study(parse(DoseSections, values, "test"), out)
    return out


def test_table_has_every_condition_step_and_metric_once(table):
    rows = pd.read_csv(table, dtype={"dose": str})
    assert list(rows.columns) == ["kind", "dose", "steps", "encoder", "seed", "metric", "value"]
    assert set(rows.encoder) == {2} and set(rows.seed) == {1} and rows.value.notna().all()
    assert not rows.duplicated(["kind", "dose", "steps", "metric"]).any()
    found = set(rows.kind + " " + rows.dose)
    doses = {"gap 0", "gap 8", "trace 1", "rotation 0", "residual 0", "residual 2", "noise 0.1"}
    assert found == doses | {"aligner realign", "aligner paired", "aligner blind"}
    for _, part in rows.groupby(["kind", "dose"]):
        blind = part.dose.iloc[0] == "blind"
        zero_shot = {("caption_loss", 0)} - ({("caption_loss", 0)} if blind else set())
        expected = {(metric, step) for metric in ("accuracy", "answer_loss") for step in (0, 2, 8)} | zero_shot
        assert set(zip(part.metric, part.steps, strict=True)) == expected


def test_a_gap_costs_caption_loss_and_paired_images_answer_better_than_no_image(table):
    rows = pd.read_csv(table, dtype={"dose": str}).set_index(["kind", "dose", "metric", "steps"]).value
    assert rows["gap", "8", "caption_loss", 0] > rows["gap", "0", "caption_loss", 0] + 0.1
    assert rows["aligner", "paired", "accuracy", 8] > rows["aligner", "blind", "accuracy", 8] + 30
    assert rows["aligner", "paired", "answer_loss", 8] < rows["aligner", "blind", "answer_loss", 8]


def test_doses_without_effect_share_one_training(table):
    rows = pd.read_csv(table, dtype={"dose": str}).set_index(["kind", "dose", "steps", "metric"]).value.sort_index()
    for kind, dose in (("trace", "1"), ("rotation", "0"), ("residual", "0")):
        assert rows[kind, dose].equals(rows["gap", "0"])


def test_an_interrupted_study_resumes_with_the_same_bytes(values, table, tmp_path, monkeypatch):
    sections, out, trained = parse(DoseSections, values, "test"), tmp_path / "again.csv", []
    curve = Trainer.curve

    def killed(self, condition):
        if len(trained) == 3:
            raise KeyboardInterrupt
        trained.append(condition.kind)
        return curve(self, condition)

    monkeypatch.setattr(Trainer, "curve", killed)
    with pytest.raises(KeyboardInterrupt):
        run_study(sections, out)
    assert not out.exists() and len(list((tmp_path / "again.csv.conditions").iterdir())) == 3
    reported = []
    monkeypatch.setattr(Trainer, "curve", curve)
    run_study(sections, out, reported.append)
    assert len(reported) == 4 and out.read_bytes() == table.read_bytes()
    assert not (tmp_path / "again.csv.conditions").exists()


def test_blocks_of_other_settings_are_not_reused(values, tmp_path, monkeypatch):
    calls = []
    block = [{"steps": 0, "metric": "accuracy", "value": 1.0}]
    monkeypatch.setattr(Trainer, "curve", lambda self, condition: calls.append(condition.dose) or block)
    monkeypatch.setattr(study.shutil, "rmtree", lambda folder: None)
    run_study(parse(DoseSections, values, "test"), tmp_path / "t.csv")
    once = len(calls)
    run_study(parse(DoseSections, values, "test"), tmp_path / "t.csv")
    assert len(calls) == once == 7
    run_study(parse(DoseSections, values | {"seed": 0}, "test"), tmp_path / "t.csv")
    assert len(calls) == 2 * once


def test_the_command_reads_its_file_and_reports_a_missing_row(values, tmp_path, monkeypatch):
    monkeypatch.setattr(Trainer, "curve", lambda self, condition: [{"steps": 0, "metric": "m", "value": 1.0}])
    (tmp_path / "dose.yaml").write_text(yaml.safe_dump(values))
    done = CliRunner().invoke(app, ["dose", "--config", str(tmp_path / "dose.yaml"), "--out", str(tmp_path / "t.csv")])
    assert done.exit_code == 0, done.output
    assert "encoder 2, seed 1, gap 8" in done.output and len(pd.read_csv(tmp_path / "t.csv")) == 10
    more = json.loads(json.dumps(values))
    more["dose"]["questions"] = 300
    with pytest.raises(DataError, match=r"t.parquet: 256 rows, the study needs 300; lower dose.questions"):
        run_study(parse(DoseSections, more, "test"), tmp_path / "x.csv")


def test_pairs_must_be_left_for_the_residual(values):
    sections = parse(DoseSections, values, "test")
    rows = np.eye(8, dtype=np.float32)[np.arange(193) % 8]
    with pytest.raises(DataError, match="193 captions, of which 192 are trained on; the residual needs at least 2"):
        next(conditions(sections, rows, rows, rows))


def test_steps_start_at_0_and_determine_the_questions():
    assert parse(DoseSettings, DOSE, "dose").instructions == 4 * 32
    with pytest.raises(ConfigError, match=r"dose, steps: \[4, 8\] must ascend from 0"):
        parse(DoseSettings, DOSE | {"steps": [4, 8]}, "dose")
