"""The commands import, embed, stats, verify, align and batch: output, files, errors and exit codes."""

import json
import re
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import typer
from typer.testing import CliRunner

from revision.align import make_aligner
from revision.cli import align, share
from revision.cli import app as revision_app
from revision.embeddings import open_embeddings, write_embeddings
from revision.io.files import write_checksums, write_json

app = typer.Typer()
align.register(app)
share.register(app)


def call(*arguments, code=0):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output
    return result


@pytest.fixture
def sets(tmp_path):
    rng = np.random.default_rng(0)
    names = [f"n{i}" for i in range(200)]
    source, target = (rng.standard_normal((200, 8)) + rng.standard_normal(8) for _ in range(2))
    write_embeddings(tmp_path / "texts", names, source, shard_rows=60)
    write_embeddings(tmp_path / "images", names, target)
    return tmp_path


@pytest.mark.parametrize("command", ["import", "embed", "stats", "align"])
def test_help_has_examples(command):
    text = call(command, "--help").output
    assert "Examples" in text
    assert f"revision {command}" in text
    assert "--json" in text


def test_import_writes_a_set_and_reports_it(tmp_path):
    rows = np.random.default_rng(0).standard_normal((20, 3)).astype(np.float32)
    np.save(tmp_path / "e.npy", rows)
    (tmp_path / "ids.txt").write_text("\n".join(f"x{i}" for i in range(20)) + "\n")
    arguments = ("import", tmp_path / "e.npy", tmp_path / "set", "--ids", tmp_path / "ids.txt", "--json")
    report = json.loads(call(*arguments).stdout)
    assert (report["count"], report["dim"], report["dtype"]) == (20, 3, "float32")
    assert report["rows_per_second"] > 0
    assert open_embeddings(tmp_path / "set").ids().to_pylist() == [f"x{i}" for i in range(20)]
    assert "exists" in json.loads(call(*arguments, code=1).stdout)["error"]
    call(*arguments, "--force")
    nowhere = ("import", tmp_path / "e.npy", tmp_path / "other", "--ids", tmp_path / "no.txt", "--json")
    assert "no.txt: does not exist; give a text file" in json.loads(call(*nowhere, code=1).stdout)["error"]


class Letters:
    """An encoder that counts letters."""

    name, revision, dim = "letters", "1", 3

    def encode_texts(self, texts):
        return np.array([[1 + text.count(letter) for letter in "abc"] for text in texts], np.float32)


def test_embed_writes_a_set_and_does_not_overwrite_it(tmp_path, monkeypatch):
    texts = ["a cab", "bac", "abba"]
    pq.write_table(pa.table({"id": ["p", "q", "r"], "short": texts}), tmp_path / "text.parquet")
    monkeypatch.setattr("revision.encoders.load_encoder", lambda folder: Letters())
    arguments = ("embed", tmp_path / "text.parquet", "--encoder", tmp_path, "--column", "short", "--json")
    report = json.loads(call(*arguments, "--out", tmp_path / "set").stdout)
    assert (report["count"], report["dim"]) == (3, 3)
    assert report["rows_per_second"] > 0
    embeddings = open_embeddings(tmp_path / "set")
    assert np.array_equal(embeddings.array(), Letters().encode_texts(texts))
    assert embeddings.ids().to_pylist() == ["p", "q", "r"]
    refused = json.loads(call(*arguments, "--out", tmp_path / "set", code=1).stdout)["error"]
    assert "add --force to replace it" in refused
    call(*arguments, "--out", tmp_path / "set", "--force")
    part = json.loads(call(*arguments, "--out", tmp_path / "part", "--part", 2, "--parts", 2, code=1).stdout)["error"]
    assert part == "part 2 of 2: parts are numbered from 0 to 1"


def test_system_errors_are_reported_without_a_traceback(sets):
    (sets / "file").write_text("no folder")
    arguments = ("align", sets / "texts", sets / "file" / "out", "--target", sets / "images")
    result = call(*arguments, code=1)
    assert re.search(r"error: .*Not a directory: .*file/", result.stderr)
    assert "Traceback" not in result.output


def test_stats_equal_numpy(sets):
    reports = json.loads(call("stats", sets / "texts", sets / "images", "--json").stdout)
    for report, name in zip(reports, ("texts", "images"), strict=True):
        rows = open_embeddings(sets / name).array().astype(np.float64)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        assert report["trace"] == pytest.approx(np.var(rows, axis=0).sum())
        assert report["mean_length"] == pytest.approx(np.linalg.norm(rows.mean(axis=0)))
    assert "trace" in call("stats", sets / "texts").output


def test_align_equals_the_library_and_a_saved_aligner_repeats_it(sets):
    arguments = ("align", sets / "texts", sets / "out", "--target", sets / "images", "--param", "steps=2")
    report = json.loads(call(*arguments, "--save", sets / "fitted", "--threads", 2, "--json").stdout)
    assert (report["aligner"], report["count"], report["dtype"]) == ("realign", 200, "float32")
    source, target = open_embeddings(sets / "texts"), open_embeddings(sets / "images")
    expected = make_aligner("realign", steps=2).fit(source.array(), target.array()).transform(source.array())
    written = open_embeddings(sets / "out")
    assert np.abs(written.array() - expected).max() < 1e-6
    assert written.ids().equals(source.ids())
    assert written.about == {"aligner": "realign", "params": {"epsilon": 1e-12, "steps": 2}}
    call("align", sets / "texts", sets / "again", "--fitted", sets / "fitted", "--dtype", "float16")
    assert np.array_equal(
        open_embeddings(sets / "again").array(), written.array().astype(np.float16).astype(np.float32)
    )


def test_align_does_not_overwrite_without_force(sets):
    arguments = ("align", sets / "texts", sets / "images", "--target", sets / "images")
    result = call(*arguments, code=1)
    assert "--force" in result.stderr
    assert "Traceback" not in result.output
    assert open_embeddings(sets / "images").about == {}


def test_verify_reports_altered_files(sets):
    assert "as they were written" in call("verify", sets / "texts", sets / "images").output
    shard = sets / "texts" / "shard-00001.arrow"
    shard.write_bytes(shard.read_bytes().replace(b"n60", b"n61", 1))
    assert "shard-00001.arrow: altered" in call("verify", sets / "images", sets / "texts", code=1).stderr
    write_json(sets / "model/config.json", {"dim": 8})
    write_checksums(sets / "model")
    call("verify", sets / "model")
    write_json(sets / "model/config.json", {"dim": 9})
    assert "config.json: altered" in call("verify", sets / "model", code=1).stderr


def test_arrays_are_aligned_like_sets(sets):
    for name in ("texts", "images"):
        np.save(sets / f"{name}.npy", open_embeddings(sets / name).array())
    call("align", sets / "texts", sets / "out", "--target", sets / "images")
    call("align", sets / "texts.npy", sets / "aligned", "--target", sets / "images.npy")
    aligned = open_embeddings(sets / "aligned")
    assert np.abs(aligned.array() - open_embeddings(sets / "out").array()).max() < 1e-6
    assert aligned.ids().to_pylist()[:2] == ["texts:0", "texts:1"]
    (sets / "words.npy").write_text("a red cube")
    refused = call("align", sets / "words.npy", sets / "other", "--target", sets / "images.npy", code=1).stderr
    assert "words.npy: not a .npy file of numbers" in refused and "allow_pickle" not in refused
    call("stats", sets / "texts", "--save", sets / "texts.npz")
    moments = ("--target", sets / "images", "--source-moments", sets / "texts.npz")
    refused = call("align", sets / "texts.npy", sets / "other", *moments, code=1).stderr
    assert "moments belong to an embedding set; omit them for a .npy file" in refused


def test_align_starts_without_the_large_libraries(sets):
    """Importing them would take longer than aligning 50,000 rows."""
    program = (
        "import sys; from revision.cli import app\n"
        "try: app(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        "print(sorted({'numba', 'pandas', 'scipy', 'sklearn', 'torch', 'transformers'} & set(sys.modules)))"
    )
    arguments = ["align", sets / "texts", sets / "out", "--target", sets / "images", "--json"]
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True)
    report, modules = done.stdout.splitlines()
    assert json.loads(report)["count"] == 200
    assert modules == "[]"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "give either --target"),
        (("--target", "images", "--method", "nothing"), "the aligners are"),
        (("--target", "images", "--param", "steps"), "write name=value"),
        (("--target", "images", "--param", "step=1"), "unknown parameter step"),
        (("--target", "images", "--param", "steps=two"), "steps"),
        (("--target", "nowhere"), "nowhere: no such file or folder"),
        (("--fitted", "nowhere"), "no saved aligner here"),
        (("--fitted", "nowhere", "--param", "steps=1"), "belong to a fit"),
    ],
)
def test_wrong_arguments_exit_with_1_and_report_the_fix(sets, arguments, message, monkeypatch):
    monkeypatch.chdir(sets)
    assert message in json.loads(call("align", "texts", "out", *arguments, "--json", code=1).stdout)["error"]
    assert not (sets / "out").exists()


def test_unknown_option_exits_with_2():
    call("align", "a", "b", "--nonsense", code=2)


def test_batch_writes_what_single_commands_write_and_stops_at_the_first_failure(sets):
    command = "align {0}/texts {0}/{1} --target {0}/images --method c3 --param noise=0.1 --force"

    def batch(*commands):
        return CliRunner().invoke(revision_app, ["batch", *commands])

    assert batch(command.format(sets, "a"), command.format(sets, "b")).exit_code == 0
    call(*command.format(sets, "single").split())
    rows = [open_embeddings(sets / name).array().tobytes() for name in ("a", "b", "single")]
    assert rows[0] == rows[1] == rows[2]
    failed = batch(f"verify {sets}/none", command.format(sets, "c"))
    assert failed.exit_code == 1 and f"error: {sets}/none" in failed.output and not (sets / "c").exists()
