"""The task folder: its files, and the errors for one that cannot be used."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from fakes import ANSWERS, COUNT, SUITES, FakeWorld
from PIL import Image

from revision.data.images import decode_image
from revision.errors import ConfigError, DataError
from revision.evaluation.suites import COLUMNS, read_suites, write_tasks
from revision.evaluation.tasks.utils import normalise, score


def test_parquet_contains_questions_and_lossless_images(tasks):
    table = pq.read_table(tasks / "count.parquet")
    assert tuple(table.column_names) == COLUMNS and table.num_rows == COUNT
    row = table.slice(5, 1).to_pylist()[0]
    assert (row["id"], row["answer"], row["group"]) == ("count-000005", ANSWERS["count"][5 % 4], "general")
    pixels = np.asarray(Image.open(io.BytesIO(row["image"]["bytes"])))
    np.testing.assert_array_equal(pixels, FakeWorld().images([5])[0])


def test_groups_and_tasks(tasks):
    group = yaml.safe_load((tasks / "group_revision_general.yaml").read_text())
    assert group["task"] == ["revision_colour", "revision_count"]
    assert yaml.safe_load((tasks / "relation.yaml").read_text())["include"] == "_suite_yaml"
    assert [(s.name, s.group, s.rows) for s in read_suites(tasks)] == [(n, SUITES[n], COUNT) for n in sorted(SUITES)]


def test_same_world_gives_the_same_bytes_and_replaces_the_folder(tasks, tmp_path):
    folder = tmp_path / "tasks"
    write_tasks(FakeWorld(), folder, 3, suites=["colour"])
    write_tasks(FakeWorld(), folder, COUNT)
    names = sorted(path.name for path in folder.iterdir())
    assert names == sorted(path.name for path in tasks.iterdir())
    assert all((folder / name).read_bytes() == (tasks / name).read_bytes() for name in names)


def test_no_path_of_this_machine_is_written(tasks):
    assert not any(str(tasks.parent).encode() in path.read_bytes() for path in tasks.iterdir())


def test_errors_of_writing(tmp_path):
    with pytest.raises(ConfigError, match="unknown suite smell; the suites are colour, count"):
        write_tasks(FakeWorld(), tmp_path / "t", 4, suites=["colour", "smell"])
    with pytest.raises(DataError, match="suite colour: no questions for count 0"):
        write_tasks(FakeWorld(), tmp_path / "t", 0)
    with pytest.raises(ConfigError, match="general is the name of a suite and of a group"):
        write_tasks(FakeWorld({"general": "reasoning"}), tmp_path / "t", 4)
    assert list(tmp_path.iterdir()) == []


def test_errors_of_reading(tasks, tmp_path):
    with pytest.raises(DataError, match="no evaluation tasks there"):
        read_suites(tmp_path / "nowhere")
    table = pq.read_table(tasks / "count.parquet")
    pq.write_table(table.drop_columns(["answer", "image"]), tmp_path / "count.parquet")
    with pytest.raises(DataError, match=r"count\.parquet: missing column image, answer; the columns are id, image"):
        read_suites(tmp_path)
    pq.write_table(table, tmp_path / "count.parquet")
    with pytest.raises(DataError, match=r"count\.yaml: missing task"):
        read_suites(tmp_path)
    (tmp_path / "count.yaml").write_text("task: revision_count")
    pq.write_table(table.slice(0, 0), tmp_path / "count.parquet")
    with pytest.raises(DataError, match="no questions"):
        read_suites(tmp_path)
    (tmp_path / "count.parquet").write_bytes(b"not parquet")
    with pytest.raises(DataError, match=r"count\.parquet: not a readable parquet file"):
        read_suites(tmp_path)


def png(size: tuple[int, int]) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, "red").save(buffer, format="PNG")
    return buffer.getvalue()


@pytest.mark.parametrize("content", [b"", b"not an image", png((8, 8))[:50], png((8, 8))[:-12]])
def test_broken_images_are_reported_with_their_row(content):
    with pytest.raises(DataError, match=r"x\.parquet, row 3: "):
        decode_image(content, "x.parquet, row 3")


def test_truncated_images_raise_although_lmms_eval_accepts_them(monkeypatch):
    monkeypatch.setattr("PIL.ImageFile.LOAD_TRUNCATED_IMAGES", True)
    rows = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(rows).save(buffer, format="PNG")
    with pytest.raises(DataError, match="not a readable image"):
        decode_image(buffer.getvalue()[:1500], "here")
    np.testing.assert_array_equal(np.asarray(decode_image(buffer.getvalue(), "here")), rows)


@pytest.mark.filterwarnings("ignore:Image size")
@pytest.mark.parametrize("side", [12, 40])
def test_large_images_raise_by_our_limit_and_by_pillows(monkeypatch, side):
    with pytest.raises(DataError, match="here: the image has more than 100 pixels"):
        decode_image(png((side, side)), "here", max_pixels=100)
    # Pillow warns above its limit (12 x 12 > 100) and raises above twice its limit (40 x 40 > 200).
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(DataError, match="here: the image has more than 120 pixels"):
        decode_image(png((side, side)), "here", max_pixels=120)


@pytest.mark.parametrize(
    ("prediction", "answer", "accuracy"),
    [
        ("Yes.", "yes", 1),
        ("  the Red  circle ", "red circle", 1),
        ("left, right", "left right", 1),
        ("a an the", "", 1),
        ("reddish", "red", 0),
        ("area", "rea", 0),
        ("", "no", 0),
    ],
)
def test_exact_match_after_normalisation(prediction, answer, accuracy):
    assert score({"answer": answer}, [prediction]) == {"accuracy": float(accuracy)}
    assert normalise(normalise(prediction)) == normalise(prediction)


def test_datasets_reads_the_parquet_files(tasks):
    import datasets

    dataset = datasets.Dataset(pq.read_table(tasks / "colour.parquet"))
    assert isinstance(dataset.features["image"], datasets.Image)
    assert pa.types.is_struct(pq.read_schema(tasks / "colour.parquet").field("image").type)
