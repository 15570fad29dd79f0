import json

import numpy as np
import pytest
from typer.testing import CliRunner

from revision.cli import app
from revision.embeddings import write_embeddings


@pytest.fixture(scope="module")
def run():
    return lambda *words: CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    """Pairs [120, 8] as .npy and as shards, the texts also in reverse order."""
    folder = tmp_path_factory.mktemp("sets")
    rng = np.random.default_rng(0)
    content = rng.standard_normal((120, 8))
    ids = [f"p{i}" for i in range(120)]
    for name, rows in (("image", content + 1), ("text", content + 0.3 * rng.standard_normal((120, 8)) - 1)):
        rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
        np.save(folder / f"{name}.npy", rows)
        write_embeddings(folder / name, ids, rows, about={})
        write_embeddings(folder / f"{name}-reversed", ids[::-1], rows[::-1], about={})
        write_embeddings(folder / f"{name}-renamed", [f"q{i}" for i in ids], rows, about={})
    return folder


def test_arrays_shards_and_reordered_shards_give_the_same_numbers(run, sets):
    results = []
    for image, text in (("image.npy", "text.npy"), ("image", "text"), ("image", "text-reversed")):
        result = run("gap", "--image", sets / image, "--text", sets / text, "--aligner", "realign", "--json")
        assert result.exit_code == 0, result.output
        results.append(json.loads(result.stdout))
    assert results[0]["paired"] and results[0]["methods"]["realign"]["text_to_image_at_1"] > 0.3
    assert all(other["methods"] == results[0]["methods"] for other in results[1:])
    assert "order of the images" in results[2]["notes"][0]


def test_sets_with_other_ids_are_not_paired(run, sets):
    result = run("gap", "--image", sets / "image", "--text", sets / "text-renamed", "--json")
    report = json.loads(result.stdout)
    assert not report["paired"] and "0 of 120 ids" in report["notes"][0]
    assert report["methods"]["identity"]["pair_cosine"] is None and "pair_cosine" in report["needs_pairs"]


def test_unpaired_where_asked_and_where_the_counts_differ(run, sets, tmp_path):
    asked = run("gap", "--image", sets / "image", "--text", sets / "text", "--unpaired", "--json")
    np.save(tmp_path / "few.npy", np.load(sets / "text.npy")[:100])
    fewer = run("gap", "--image", sets / "image.npy", "--text", tmp_path / "few.npy", "--json")
    for result, reason in (
        (asked, "Treated as unpaired (--unpaired)."),
        (fewer, "Not paired: 120 images and 100 texts."),
    ):
        report = json.loads(result.stdout)
        assert not report["paired"] and report["notes"][0] == reason
        assert report["methods"]["identity"]["text_to_image_at_1"] is None


def test_table_and_page(run, sets, tmp_path):
    words = "gap", "--image", sets / "image", "--text", sets / "text", "--aligner", "realign", "--html"
    result = run(*words, tmp_path / "gap.html")
    assert result.exit_code == 0, result.output
    words_of = " ".join(result.stdout.split())
    assert "realign" in words_of and "floor: RMS gap" in words_of and "k = 20" not in words_of
    assert (tmp_path / "gap.html").read_text().startswith("<!doctype html>")
    again = run(*words, tmp_path / "gap.html")
    assert again.exit_code == 1 and "--force" in again.output
    full = run(*words, tmp_path / "gap.html", "--force", "--full")
    assert full.exit_code == 0 and "k = 20" in full.stdout and "frame of section 3" in full.stdout


def test_without_aligners_all_rows_are_measured_and_nothing_is_said_of_fitting(run, sets):
    words = "gap", "--image", sets / "image.npy", "--text", sets / "text.npy"
    report = json.loads(run(*words, "--json").stdout)
    assert report["counts"]["image_measured"] == 120 and report["counts"]["image_fitted"] == 0
    assert report["warnings"] == [] and "fit" not in report["choices"]
    for shown in (run(*words).stdout, run(*words, "--full").stdout):
        assert "itted on" not in shown.replace("Logistic regression, fitted on", "")


def test_rows_in_another_order_are_questioned(run, sets, tmp_path):
    np.save(tmp_path / "shuffled.npy", np.random.default_rng(1).permutation(np.load(sets / "text.npy")))
    words = "gap", "--image", sets / "image.npy", "--text", tmp_path / "shuffled.npy"
    result = run(*words, "--json")
    (warning,) = json.loads(result.stdout)["warnings"]
    assert "Are these pairs?" in warning and "(chance 0.00833)" in warning and "--unpaired" in warning
    assert "warning: Are these pairs?" in result.stderr and "Are these pairs?" in run(*words).stderr
    unpaired = run(*words, "--unpaired", "--full")
    assert unpaired.stderr == "" and "R@1" not in unpaired.stdout and "Ridge" not in unpaired.stdout


def test_bad_input_is_one_line_and_exit_code_1(run, sets, tmp_path):
    np.save(tmp_path / "objects.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    np.save(tmp_path / "flat.npy", np.zeros(3))
    np.save(tmp_path / "whole.npy", np.ones((3, 2), np.int64))
    (tmp_path / "text.csv").write_text("1,2")
    (tmp_path / "words.npy").write_text("1,2")
    (tmp_path / "cut.npy").write_bytes((sets / "text.npy").read_bytes()[:200])
    for name, words in (
        ("absent.npy", "no such file"),
        ("objects.npy", "objects.npy: not a .npy file of numbers, it holds Python objects; write a numeric"),
        ("words.npy", "words.npy: not a .npy file of numbers, in spite of its name; write the array with `numpy.save`"),
        ("cut.npy", "cut.npy: not a .npy file of numbers, damaged"),
        ("whole.npy", "expected floats [rows, dimensions], got int64 (3, 2); convert it with"),
        ("flat.npy", "expected floats [rows, dimensions]"),
        ("text.csv", "revision import"),
    ):
        result = run("gap", "--image", sets / "image.npy", "--text", tmp_path / name)
        assert result.exit_code == 1 and words in result.output and "Traceback" not in result.output
        assert result.stderr.count("\n") == 1 and "allow_pickle" not in result.stderr
    words = "gap", "--image", sets / "image", "--text", sets / "text", "--aligner", "nonsense"
    assert run(*words).exit_code == 1 and "realign" in run(*words).output
    assert "realign" in json.loads(run(*words, "--json").stdout)["error"]


def test_an_empty_set_is_refused(run, sets, tmp_path):
    write_embeddings(tmp_path / "none", [], np.empty((0, 8)))
    result = run("gap", "--image", sets / "image", "--text", tmp_path / "none")
    assert result.exit_code == 1 and "only 0 rows" in result.output


def test_sets_of_other_dimensions_get_what_needs_no_common_space(run, sets, tmp_path):
    text = np.load(sets / "text.npy")
    np.save(tmp_path / "wide.npy", np.concatenate([text, text[:, :4] ** 2], axis=1))
    words = "gap", "--image", sets / "image.npy", "--text", tmp_path / "wide.npy"
    found = json.loads(run(*words, "--json").stdout)
    assert found["methods"]["identity"]["cka"] > 0.1 and found["methods"]["identity"]["gap"] is None
    assert "dimension 8 and texts 12" in found["notes"][1]
    result = run(*words, "--html", tmp_path / "gap.html")
    assert result.exit_code == 0 and "linear CKA" in " ".join(result.stdout.split()), result.output
    assert "centroid" not in result.stdout
    named = run(*words, "--aligner", "realign")
    assert named.exit_code == 0 and "realign left out: an aligner needs two sets of one dimension" in named.stderr


def test_captions_and_classes_from_files(run, sets, tmp_path):
    image, text = (np.load(sets / f"{name}.npy") for name in ("image", "text"))
    np.save(tmp_path / "captions.npy", np.concatenate([text, text[::-1] + 0.01]))
    np.save(tmp_path / "image_of.npy", np.concatenate([np.arange(120), np.arange(120)[::-1]]))
    np.save(tmp_path / "labels.npy", np.arange(120) % 4)
    np.save(tmp_path / "prompts.npy", text[:8])
    np.save(tmp_path / "class_of.npy", np.arange(8) % 4)
    words = ["gap", "--image", sets / "image.npy", "--text", tmp_path / "captions.npy", "--json"]
    words += ["--aligner", "realign", "--image-of", tmp_path / "image_of.npy"]
    classes = [f"--{name.replace('_', '-')}={tmp_path / name}.npy" for name in ("labels", "prompts", "class_of")]
    result = run(*words, *classes)
    assert result.exit_code == 0, result.output
    for values in json.loads(result.stdout)["methods"].values():
        assert values["text_to_image_captions_at_10"] > 0.3 and 0 <= values["zero_shot_at_1"] <= 1
        assert values["text_to_image_at_1"] is None
    assert len(image) == 120 and "all three" in run(*words, classes[0]).output
    np.save(tmp_path / "image_of.npy", np.zeros(240))
    assert "image_of.npy: expected integers of shape (n,)" in run(*words).output
