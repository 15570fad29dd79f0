"""Scale `photos` in small, command by command: from a folder of captioned images to scored captions."""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from PIL import Image
from typer.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "mllm"))

from colour_world import COLOURS, build
from packages_in_small import make_packages

from revision.cli import app
from revision.config.corpus import PHOTO_TABLES
from revision.embeddings import open_embeddings
from revision.errors import ConfigError

ROWS = 160
SHARES = {"encoder": 0.4, "text": 0.2, "reference": 0.1, "probe": 0.1, "validation": 0.1, "evaluation": 0.1}
HEADS = {
    "kind": "pretrained_heads", "dim": 8, "hidden": 16, "side": 32, "images": 1000, "captions": 2, "steps": 6,
    "batch": 32, "vision_package": "small_vision", "text_package": "small_text",
}  # fmt: skip
LOOP = {"epochs": 1, "batch_size": 8, "learning_rate": 0.01, "validate_every": 100}


def run(*words):
    done = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert done.exit_code == 0, done.output


def write(path, **sections):
    path.write_text(json.dumps(sections))
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Images of four colours with two captions each, packages with random weights, and all tables."""
    folder = tmp_path_factory.mktemp("photos")
    (folder / "set").mkdir()
    lines = ["image,caption"]
    for row in range(ROWS):
        colour = COLOURS[row % 4]
        Image.new("RGB", (20 + row % 5, 24), colour).save(folder / f"set/{row:03d}.png")
        lines += [f"{row:03d}.png,{colour}", f"{row:03d}.png,{colour} colour"]
    (folder / "set/captions.csv").write_text("\n".join(lines) + "\n")
    make_packages(folder)
    build(folder)
    settings = write(folder / "corpus.json", corpus={"kind": "photos", "root": str(folder / "set"), "shares": SHARES})
    for table in PHOTO_TABLES:
        run("corpus", table, "--count", "1000", "--config", settings, "--out", folder / f"{table}.parquet")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        settings = write(folder / "encoder.json", encoder=HEADS)
        encoder, table = folder / "encoder", folder / "encoder.parquet"
        run("train-encoder", "--config", settings, "--table", table, "--out", encoder)
        yield folder


def test_captions_of_photographs_are_trained_on_and_scored(folder):
    def embed(table, column):
        out = folder / f"{table}_{column}"
        source = folder / f"{table}.parquet"
        run("embed", source, "--encoder", folder / "encoder", "--column", column, "--out", out)
        return str(out)

    text, reference, validation = embed("text", "short"), embed("reference", "image"), embed("validation", "image")
    run("align", text, folder / "aligned", "--target", reference, "--method", "realign")
    assert open_embeddings(folder / "aligned").count == pq.read_metadata(folder / "text.parquet").num_rows
    training = {
        "llm": str(folder / "llm"), "embeddings": str(folder / "aligned"), "captions": str(folder / "text.parquet"),
        "validation_embeddings": validation, "validation_captions": str(folder / "validation.parquet"),
        "out": str(folder / "stage1"),
    }  # fmt: skip
    run("pretrain", "--config", write(folder / "stage1.json", loop=LOOP, trainings=[training]))
    suites = write(folder / "tasks.json", suites={"kind": "photos", "captions": 1000})
    run("tasks", "--config", suites, "--table", folder / "evaluation.parquet", "--out", folder / "tasks")
    checkpoint = {"method": "stage1/revision", "encoder": 0, "seed": 0, "folder": str(folder / "stage1")}
    scored = write(folder / "evaluate.json", checkpoints=[checkpoint])
    out = folder / "captions.parquet"
    run("evaluate", "--config", scored, "--tasks", folder / "tasks", "--encoder", folder / "encoder", "--captions", out)
    captions = pq.read_table(out).to_pandas()
    images = pq.read_table(folder / "evaluation.parquet").to_pandas()
    assert set(captions.condition) == {"own", "other", "mean", "none"}
    assert set(captions.image) == set(images.id) and len(captions) == 4 * len(images)
    assert captions.cider.between(0, 10).all() and captions.object_f1.isna().all()


def test_causes_of_the_gap_are_studied_on_the_same_pairs(folder):
    points = [{"at": "base"}, {"at": "warm", "encoder": {"temperature": 0.3}}]
    causes = {"base": HEADS, "studies": [{"cause": "temperature", "points": points}], "probe": 1000}
    settings = write(folder / "causes.json", causes=causes)
    tables = [folder / "encoder.parquet", folder / "probe.parquet"]
    run("gap-causes", "--config", settings, "--tables", *tables, "--out", folder / "causes.csv")
    table = pd.read_csv(folder / "causes.csv").pivot(index="at", columns="metric", values="value")
    assert list(table.temperature) == pytest.approx([0.03, 0.3])
    assert table.gap_start.nunique() == 1 and table.gap.nunique() == 2 and (table.gap_noise > 0).all()


def test_fewer_training_images_than_a_batch_are_an_error(folder, tmp_path):
    settings = write(tmp_path / "encoder.json", encoder=HEADS | {"batch": 100})
    command = ["train-encoder", "--config", str(settings), "--table", str(folder / "encoder.parquet")]
    result = CliRunner().invoke(app, [*command, "--out", str(tmp_path / "encoder")])
    assert isinstance(result.exception, ConfigError) and "encoder.batch: 100 is more than the" in str(result.exception)


def test_missing_captions_repeat(folder):
    from revision.contrastive.pairs import TablePairs

    pairs = TablePairs(folder / "encoder.parquet")
    assert pairs.captions(0) == pairs.captions(2) != pairs.captions(1)
    assert pairs.captions(None)[0].count(".") == 2
    assert np.mean([len(block) for block in pairs.images()]) == len(pairs.captions(0))
