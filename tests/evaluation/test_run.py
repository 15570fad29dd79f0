"""Checkpoints through lmms-eval end to end, against known answers."""

import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fakes import ANSWERS, COUNT, SUITES, FakeEncoder, FakeWorld

from revision.errors import ConfigError, DataError
from revision.evaluation.run import ANSWERS as ANSWER_SCHEMA
from revision.evaluation.run import Checkpoint, evaluate


def accuracy(run, method):
    """Accuracy of seed 0 by suite."""
    rows = run.answers[(run.answers.method == method) & (run.answers.seed == 0)]
    return rows.groupby("suite").correct.mean().to_dict()


def test_a_perfect_model_has_accuracy_1_on_every_suite(run):
    assert accuracy(run, "perfect") == dict.fromkeys(SUITES, 1.0)
    assert dict(zip(run.answers.suite, run.answers.group, strict=True)) == SUITES
    assert len(run.answers) == 4 * len(SUITES) * COUNT


@pytest.mark.parametrize("method", ["yes", "blind"])
def test_constant_yes_is_at_chance_on_balanced_existence(run, method):
    assert accuracy(run, method) == dict.fromkeys(SUITES, 0.0) | {"existence": 0.5}


def test_answers_have_question_and_prediction_in_order(run):
    rows = run.answers[(run.answers.method == "perfect") & (run.answers.seed == 1) & (run.answers.suite == "count")]
    assert rows.question.tolist() == [f"count-{k:06d}" for k in range(COUNT)]
    assert rows.prediction.tolist() == [ANSWERS["count"][k % 4] for k in range(COUNT)]
    # The fake generates "Yes.\nNo."; the task stops at the end of the line.
    assert set(run.answers[run.answers.method == "blind"].prediction) == {"Yes."}


def test_each_image_is_encoded_once_over_suites_and_checkpoints(run):
    assert sum(run.encoder.batches) == COUNT


def test_the_table_has_its_schema_and_nothing_else_is_written(run):
    assert pq.read_schema(run.folder / "answers.parquet").equals(ANSWER_SCHEMA)
    assert [path.name for path in run.folder.iterdir()] == ["answers.parquet"]


def test_answers_depend_neither_on_folder_nor_on_batch_size(run, tasks, tmp_path):
    shutil.copytree(tasks, tmp_path / "moved")
    for name, folder, batch in (("a", tasks, 5), ("b", tmp_path / "moved", 64)):
        checkpoints = [Checkpoint("perfect", 0, 0, tmp_path / "perfect")]
        evaluate(checkpoints, folder, FakeEncoder(), tmp_path / name, batch_size=batch)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_limit_and_choice_of_suites(tasks, tmp_path):
    checkpoints = [Checkpoint("blind", 0, 3, tmp_path / "blind")]
    table = evaluate(checkpoints, tasks, None, tmp_path / "a", suites=["relation", "colour"], limit=5).to_pandas()
    assert table.suite.tolist() == ["relation"] * 5 + ["colour"] * 5 and set(table.seed) == {3}
    assert pq.read_table(tmp_path / "a").num_rows == 10


def test_progress_is_one_line_per_checkpoint(tasks, tmp_path):
    lines = []
    checkpoints = [Checkpoint("blind", 0, 0, tmp_path / "blind")]
    evaluate(checkpoints, tasks, None, tmp_path / "a", limit=2, progress=lines.append)
    assert lines == [f"blind, encoder 0, seed 0: {2 * len(SUITES)} answers so far"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(checkpoints=[]), "no checkpoints"),
        (
            dict(checkpoints=[Checkpoint("a", 0, 0, "x"), Checkpoint("a", 0, 0, "y")]),
            r"a \(encoder 0, seed 0\) is given twice",
        ),
        (dict(encoder=None), "perfect reads images; give encoder=<folder>"),
        (dict(limit=0), "limit is 0"),
        (dict(suites=["colour", "smell"]), "unknown suite smell; the suites are colour, count, existence, relation"),
    ],
)
def test_invalid_settings_raise(tasks, tmp_path, change, message):
    settings = dict(checkpoints=[Checkpoint("a", 0, 0, "perfect")], encoder=FakeEncoder()) | change
    with pytest.raises(ConfigError, match=message):
        evaluate(tasks=tasks, answers=tmp_path / "a", **settings)
    assert list(tmp_path.iterdir()) == []


def test_unreadable_images_are_reported_and_nothing_is_written(tasks, tmp_path):
    shutil.copytree(tasks, tmp_path / "tasks")
    path = tmp_path / "tasks" / "count.parquet"
    table = pq.read_table(path)
    images = table["image"].to_pylist()
    images[17]["bytes"] = images[17]["bytes"][:60]
    column = pa.array(images, type=table.schema.field("image").type)
    pq.write_table(table.set_column(1, table.schema.field("image"), column), path)
    with pytest.raises(DataError, match=r"count\.parquet, row count-000017: not a readable image"):
        evaluate([Checkpoint("a", 0, 0, "perfect")], tmp_path / "tasks", FakeEncoder(), tmp_path / "a")
    assert [entry.name for entry in tmp_path.iterdir()] == ["tasks"]


def test_lmms_eval_finds_the_model_by_its_entry_point(tasks, monkeypatch):
    from lmms_eval.evaluator import simple_evaluate
    from lmms_eval.models import get_model
    from lmms_eval.tasks import TaskManager

    from revision.evaluation.lmms_model import ReVisionLmms

    assert get_model("revision") is ReVisionLmms
    encoder = FakeEncoder()
    monkeypatch.setattr("revision.encoders.load_encoder", lambda folder: encoder)
    results = simple_evaluate(
        model="revision",
        model_args="checkpoint=work/perfect,encoder=work/encoder",
        tasks=["revision_hallucination"],
        batch_size=16,
        bootstrap_iters=0,
        task_manager=TaskManager(include_path=str(tasks), include_defaults=False),
    )
    assert results["results"]["revision_existence"]["accuracy,none"] == 1.0
    assert sum(encoder.batches) == COUNT


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (dict(), "give encoder="),
        (dict(encoder="e", blnd=True), "unknown blnd; the arguments are"),
    ],
)
def test_model_arguments(settings, message):
    from revision.evaluation.lmms_model import ReVisionLmms

    with pytest.raises(ConfigError, match=message):
        ReVisionLmms("perfect", **settings)


def test_several_images_and_other_request_types_raise():
    from lmms_eval.api.instance import Instance

    from revision.evaluation.images import ImageEmbeddings
    from revision.evaluation.lmms_model import ReVisionLmms

    model = ReVisionLmms("perfect", images=ImageEmbeddings(FakeEncoder()))
    model.task_dict = {"two": {"test": [{"images": FakeWorld().images([3, 4])}]}}
    arguments = ("which count is it ?", {}, lambda doc: list(doc["images"]), 0, "two", "test")
    request = Instance(
        request_type="generate_until", arguments=arguments, idx=0,
        metadata={"task": "two", "doc_id": 0, "repeats": 1},
    )  # fmt: skip
    with pytest.raises(ConfigError, match="two 0: 2 images; the model takes exactly one: leave the question out"):
        model.generate_until([request])
    for unsupported in (model.loglikelihood, model.generate_until_multi_round):
        with pytest.raises(NotImplementedError, match="generate_until tasks only"):
            unsupported([request])


def test_sampling_raises(tasks, tmp_path):
    shutil.copytree(tasks, tmp_path / "tasks")
    path = tmp_path / "tasks" / "colour.yaml"
    path.write_text(path.read_text().replace("do_sample: false", "do_sample: true"))
    with pytest.raises(ConfigError, match="decodes greedily"):
        evaluate([Checkpoint("a", 0, 0, tmp_path / "blind")], tmp_path / "tasks", None, tmp_path / "a", limit=1)


def test_images_are_encoded_once_in_batches():
    from revision.evaluation.images import ImageEmbeddings
    from revision.evaluation.suites import suite_table
    from revision.evaluation.tasks.utils import doc_to_visual

    encoder = FakeEncoder()
    images = ImageEmbeddings(encoder, batch_size=4)
    docs = suite_table(FakeWorld(), "colour", 10).to_pylist()
    images.add((row, doc_to_visual(doc)[0]) for row, doc in enumerate(docs))
    images.add((("again", row), doc_to_visual(doc)[0]) for row, doc in enumerate(docs))
    assert encoder.batches == [4, 4, 2] and len(images) == 10
    np.testing.assert_array_equal(images.take([9, ("again", 3)])[:, 0].numpy(), [9.0, 3.0])
