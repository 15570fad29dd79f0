"""Held-out pairs: aligners are not measured on rows they were fitted on, and files are read as written."""

import json

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from revision.align import make_aligner
from revision.cli import app
from revision.config.variants import AlignerSettings
from revision.embeddings import write_embeddings
from revision.errors import DataError
from revision.gap.held_out import read_aligner, read_held_out, write_held_out

SETTINGS = {name: AlignerSettings(method=name) for name in ("identity", "procrustes", "c3_centred")}
DIM, HALF = 6, 40


def unit(count, seed, offset):
    rows = np.random.default_rng(seed).standard_normal((count, DIM)) + offset
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def sets():
    """Unpaired texts and images, and paired ones."""
    offset = np.eye(DIM)[0]
    return unit(90, 0, -offset), unit(70, 1, offset), unit(2 * HALF, 2, -offset), unit(2 * HALF, 3, offset)


def test_paired_aligners_are_not_measured_on_pairs_they_were_fitted_on(sets, tmp_path):
    texts, images, probe_text, probe_image = sets
    written = write_held_out(tmp_path / "out", texts, images, (probe_text, probe_image), SETTINGS)
    np.testing.assert_array_equal(written.text, probe_text[HALF:])
    np.testing.assert_array_equal(written.image, probe_image[HALF:])
    np.testing.assert_allclose(written.moved["identity"][0], written.text, atol=1e-6)
    expected = make_aligner("procrustes").fit(probe_text[:HALF], probe_image[:HALF]).transform(written.text)
    np.testing.assert_array_equal(written.moved["procrustes"][0], expected)
    assert written.moved["procrustes"][1] is written.image and written.paired == ["procrustes"]
    assert abs(written.moved["c3_centred"][1].mean(axis=0)).max() < 0.2
    assert written.facts == {"texts": 90, "images": 70, "pairs": HALF, "count": HALF, "dim": DIM}


def test_what_is_read_is_what_was_written(sets, tmp_path):
    written = write_held_out(tmp_path / "out", *sets[:2], sets[2:], SETTINGS)
    read = read_held_out(tmp_path / "out")
    assert list(read.moved) == list(SETTINGS) and (read.facts, read.paired) == (written.facts, written.paired)
    for name, pair in written.moved.items():
        for mine, theirs in zip(read.moved[name], pair, strict=True):
            np.testing.assert_array_equal(mine, theirs)
    assert read.moved["identity"][1] is read.image
    moved = read_aligner(tmp_path / "out", "c3_centred").transform(written.text)
    np.testing.assert_array_equal(moved, written.moved["c3_centred"][0])


def test_an_incomplete_folder_is_refused(sets, tmp_path):
    write_held_out(tmp_path / "out", *sets[:2], sets[2:], SETTINGS)
    (tmp_path / "out/pairs.safetensors").write_bytes(b"")
    for folder in (tmp_path / "out", tmp_path / "none"):
        with pytest.raises(DataError, match=f"{folder.name}: no held-out pairs here"):
            read_held_out(folder)


def test_the_command_writes_the_same_and_refuses_an_unknown_aligner(sets, tmp_path):
    arguments = ["measure", "--out", str(tmp_path / "out"), "--aligners", str(tmp_path / "aligners.yaml")]
    for name, rows in zip(("text", "image", "probe-text", "probe-image"), sets, strict=True):
        write_embeddings(tmp_path / name, [str(i) for i in range(len(rows))], rows, about={})
        arguments += [f"--{name}", str(tmp_path / name)]
    (tmp_path / "aligners.yaml").write_text(yaml.safe_dump({"aligners": {name: {"method": name} for name in SETTINGS}}))
    done = CliRunner().invoke(app, [*arguments, "--name", "identity"])
    assert done.exit_code == 0, done.output
    assert json.loads((tmp_path / "out/manifest.json").read_text())["aligners"] == ["identity"]
    np.testing.assert_array_equal(read_held_out(tmp_path / "out").text, sets[2][HALF:])
    done = CliRunner().invoke(app, [*arguments, "--name", "magic"])
    assert done.exit_code == 1 and "no aligner 'magic'; there are" in done.output
