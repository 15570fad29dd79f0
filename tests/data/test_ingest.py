"""Published formats to corpus tables: contents, disjoint splits and errors for invalid rows."""

import hashlib
import json
import struct
import sys
import tarfile
import tracemalloc
import zlib
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import ImageFile
from typer.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parent))

from datasets_in_small import MAKERS, bunny, densefusion, image, internvl, laion, parquet, pubmedvision

from revision.cli import app
from revision.config import parse
from revision.data.corpus import stream
from revision.data.images import decode_image
from revision.data.ingest import hash_fraction, write_corpus_from
from revision.data.sources import Source, read
from revision.errors import ConfigError, DataError


def write(settings: dict, path: Path, count: int = 1000, hash_range=(0, 1), at_most=True):
    summary = write_corpus_from(Source(**settings), hash_range, count, path, at_most=at_most)
    return pq.read_table(path).to_pylist(), summary


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("bunny", {"id": "000000000", "short": "Caption 0, größer.", "image": "pretrain/images/00000.png"}),
        ("densefusion", {"id": "0", "long": "A long story 0.", "image": "images/0/0.png"}),
        ("pubmedvision", {"id": "PMC0", "short": "A lesion 0.", "image": "images/pmc_0.png"}),
        (
            "internvl",
            {"id": "mix-000000000#0", "suite": "", "question": "What?", "answer": "A dog.", "image": "data/coco/1.png"},
        ),
        ("laion", {"id": "000000000", "short": "alt text 000000000", "image": image(0, kind="JPEG")}),
        ("parquet", {"id": "0", "short": "text 0", "image": image(0)}),
    ],
)
def test_every_format_yields_its_first_row_and_image(tmp_path, name, first):
    rows, _ = write(MAKERS[name](tmp_path / "set"), tmp_path / "t.parquet")
    assert rows[0] == first
    block = next(stream(tmp_path / "t.parquet", ("id", "image")))
    assert len(block["id"]) == len(rows)
    assert [decode_image(data, "here").size for data in block["image"]] == [(8, 8)] * len(rows)


def test_rows_and_skipped_rows(tmp_path):
    rows, summary = write(pubmedvision(tmp_path / "p"), tmp_path / "p.parquet")
    assert len(rows) == 8 and summary.skipped == {"several_images": 2}
    assert pq.read_schema(tmp_path / "p.parquet").metadata[b"revision.root"].decode() == str(tmp_path / "p")
    assert pq.read_metadata(tmp_path / "p.parquet").metadata[b"revision.skipped"] == b"{'several_images': 2}"
    rows, summary = write(internvl(tmp_path / "i"), tmp_path / "i.parquet")
    assert [(row["id"], row["question"], row["answer"]) for row in rows] == [
        ("mix-000000000#0", "What?", "A dog."),
        ("mix-000000000#1", "Why?", "So."),
        ("mix-000000001", "Where?", "There."),
        ("dvqa-000000000", "How many?", "5"),
    ]
    assert (summary.rows, summary.used, summary.skipped) == (4, 3, {"no_image": 1})
    assert rows[-1]["image"] == "data/dvqa/images/a.png"


def test_hash_ranges_partition_the_rows(tmp_path):
    settings = bunny(tmp_path / "bunny", rows=120)
    ranges = {"text": (0, 0.6), "reference": (0.6, 0.8), "probe": (0.8, 1)}
    parts = {
        name: [row["id"] for row in write(settings, tmp_path / name, hash_range=limits)[0]]
        for name, limits in ranges.items()
    }
    everything = [f"{row:09d}" for row in range(120)]
    assert sorted(row for part in parts.values() for row in part) == everything
    for name, (low, high) in ranges.items():
        assert parts[name] == [row for row in everything if low <= hash_fraction(row) < high] and len(parts[name]) > 8


def test_rows_of_one_image_stay_in_one_part(tmp_path):
    settings = bunny(tmp_path / "bunny", rows=60)
    path = tmp_path / "bunny/pretrain/bunny_pretrain_laion_2m.json"
    rows = json.loads(path.read_text("utf-8"))
    for row in rows:
        row["image"] = f"{int(row['id']) // 2:05d}.png"
    path.write_text(json.dumps(rows))
    settings["split_by"] = "image"
    halves = [
        {row["image"] for row in write(settings, tmp_path / "t", hash_range=half)[0]} for half in ((0, 0.5), (0.5, 1))
    ]
    assert not halves[0] & halves[1] and len(halves[0] | halves[1]) == 30


def test_a_larger_count_starts_with_the_same_rows_and_bytes_are_reproducible(tmp_path):
    settings = bunny(tmp_path / "bunny")
    few, _ = write(settings, tmp_path / "a", count=5, at_most=False)
    many, _ = write(settings, tmp_path / "b", count=20, at_most=False)
    assert many[:5] == few and len(many) == 20
    write(settings, tmp_path / "c", count=5)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "c").read_bytes()


def test_hash_fraction_is_the_hash_and_is_uniform():
    first = hashlib.blake2b(b"000000000", digest_size=8).hexdigest()
    assert hash_fraction("000000000") == int(first, 16) / 16**16
    values = [hash_fraction(str(n)) for n in range(4000)]
    assert min(values) < 0.01 and max(values) > 0.99 and abs(sum(values) / 4000 - 0.5) < 0.02


def test_memory_does_not_grow_with_the_rows(tmp_path):
    def peak(rows: int, kind: str) -> int:
        lines = [{"id": n, "text": f"caption {n} " + "word " * 40} for n in range(rows)]
        path = tmp_path / f"{rows}.{kind}"
        path.write_text(json.dumps(lines) if kind == "json" else "".join(json.dumps(line) + "\n" for line in lines))
        del lines
        source = Source(path=str(tmp_path), format=kind, fields={"id": "id", "short": "text"}, files=[path.name])
        tracemalloc.start()
        assert sum(1 for _ in read(source)) == rows
        memory = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return memory

    for kind in ("json", "jsonl"):
        assert peak(40_000, kind) < 1.5 * peak(2_000, kind) + 100_000


def replaced(settings: dict, row: int, **changes) -> dict:
    """Change one row of tiny Bunny; None removes a key."""
    path = Path(settings["path"], "pretrain/bunny_pretrain_laion_2m.json")
    rows = json.loads(path.read_text("utf-8"))
    rows[row] |= changes
    for key in [key for key, value in changes.items() if value is None]:
        del rows[row][key]
    path.write_text(json.dumps(rows), "utf-8")
    return settings


def bomb() -> bytes:
    """A PNG whose header claims 30000 x 30000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 30000, 30000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


JSON = r"bunny_pretrain_laion_2m\.json, row 7: "
TURNS = [{"from": "human", "value": "Say."}, {"from": "gpt", "value": " <image>\n "}]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"id": "000000003"}, r"rows 3 and 7 .* have the same id; remove one, or omit `id`"),
        (
            {"conversations": None},
            JSON + r"no 'conversations' in the path conversations\.1\.value; the keys are id, im",
        ),
        ({"conversations": []}, JSON + r"no '1' in the path"),
        ({"conversations": TURNS}, JSON + r"short is empty; fill it or remove the row; or .*skip: \[empty_text\]"),
        ({"image": None}, JSON + r"no image; remove the row; or .*\[no_image\]"),
        (
            {"image": "../../../secret.png"},
            JSON + r"'pretrain/images/.*secret\.png' is not inside .*; correct the path",
        ),
        ({"image": "/etc/passwd"}, JSON + r"'/etc/passwd' is not inside"),
        ({"image": "gone.png"}, JSON + r".*gone\.png does not exist; add the missing images; or .*\[missing_image\]"),
        ({"image": ["00001.png", "00002.png"]}, JSON + r"2 images; a visual token embeds one; or"),
        ({"image": 5}, JSON + r"image is int, not bytes or a path; correct `fields`"),
        ({"id": " "}, JSON + r"the id is empty"),
    ],
)
def test_a_bad_row_is_reported_with_its_fix_and_nothing_is_written(tmp_path, change, message):
    (tmp_path / "secret.png").write_bytes(image())
    settings = replaced(bunny(tmp_path / "set"), 7, **change)
    with pytest.raises(DataError, match=message):
        write(settings, tmp_path / "t.parquet")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["secret.png", "set"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (bomb(), r"00007\.png: the image has more than \d+ pixels; resize it or remove the row"),
        (b"GIF89", r"00007\.png: not a readable image .*; replace the image or remove the row"),
    ],
)
def test_bad_images_are_reported(tmp_path, content, message):
    settings = bunny(tmp_path / "set")
    (tmp_path / "set/pretrain/images/00007.png").write_bytes(content)
    with pytest.raises(DataError, match=JSON + ".*" + message):
        write(settings, tmp_path / "t.parquet")


@pytest.mark.parametrize("lenient", [False, True])
def test_a_truncated_image_is_reported_when_it_is_decoded(tmp_path, monkeypatch, lenient):
    """Also if Pillow is set to accept it, as by the import of lmms-eval."""
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", lenient)
    settings = bunny(tmp_path / "set")
    path = tmp_path / "set/pretrain/images/00007.png"
    path.write_bytes(path.read_bytes()[:50])
    write(settings, tmp_path / "t.parquet")
    block = next(stream(tmp_path / "t.parquet", ("id", "image")))
    with pytest.raises(DataError, match=r"t\.parquet: row 7: not a readable image"):
        decode_image(block["image"][7], "t.parquet: row 7")
    path.unlink()
    with pytest.raises(DataError, match="row 7: not a readable image"):
        decode_image(block["image"][7], "t.parquet: row 7")


def test_a_link_out_of_the_folder_is_rejected_on_writing_and_reading(tmp_path):
    settings = bunny(tmp_path / "set")
    write(settings, tmp_path / "t.parquet")
    outside = tmp_path / "secret.png"
    outside.write_bytes(image())
    path = tmp_path / "set/pretrain/images/00007.png"
    path.unlink()
    path.symlink_to(outside)
    with pytest.raises(DataError, match=JSON + ".*is not inside"):
        write(settings, tmp_path / "u.parquet")
    with pytest.raises(DataError, match="is not inside"):
        next(stream(tmp_path / "t.parquet", ("id", "image")))


@pytest.mark.parametrize(
    ("maker", "file", "content", "message"),
    [
        (bunny, "pretrain/bunny_pretrain_laion_2m.json", b'[{"id": "\xff\xfe"}]', r"\.json, row 0: not JSON in UTF-8"),
        (bunny, "pretrain/bunny_pretrain_laion_2m.json", b'[{"id": 1}, {"id"', r"\.json, row 1: not JSON in UTF-8"),
        (
            bunny,
            "pretrain/bunny_pretrain_laion_2m.json",
            b'{"rows": 1}',
            r"\.json: no rows; the file must be a JSON list of objects",
        ),
        (
            bunny,
            "pretrain/bunny_pretrain_laion_2m.json",
            b"[1]",
            r"\.json, row 0: expected a JSON object, got int; fix the row",
        ),
        (densefusion, "DenseFusion-1M.jsonl", b'{"image_id": 1}\n\xe9\n', r"jsonl, row 1: not JSON in UTF-8"),
        (parquet, "train-00000.parquet", b"PAR1", r"not a readable Parquet file"),
        (laion, "00001.tar", b"no archive", r"00001\.tar: not a complete tar archive"),
        (internvl, "meta.json", b"[]", r"meta\.json: not a meta file of"),
        (internvl, "meta.json", b'{"a": {"root": "../..", "annotation": "opensource/mix.jsonl"}}', r"is not inside"),
        (internvl, "meta.json", b'{"a": {"root": ".", "annotation": "gone.jsonl"}}', r"gone\.jsonl does not exist"),
        (
            internvl,
            "meta.json",
            b'{"a": {"root": ".", "annotation": "opensource/mix.jsonl", "repeat_time": 2}}',
            r"repeat_time is 2; rows cannot be repeated, so set it to 1",
        ),
    ],
)
def test_bad_files_are_reported(tmp_path, maker, file, content, message):
    settings = maker(tmp_path / "set")
    (tmp_path / "set" / file).write_bytes(content)
    with pytest.raises(DataError, match=message):
        list(read(Source(**settings)))


def test_folders_and_other_members_of_a_shard_are_ignored(tmp_path):
    settings = laion(tmp_path / "set", shards=1, rows=2)
    whole = list(read(Source(**settings)))
    with tarfile.open(tmp_path / "set/00000.tar") as archive:
        archive.extractall(tmp_path / "members", filter="data")
    (tmp_path / "members/000000000.cls").write_text("7")
    with tarfile.open(tmp_path / "set/00000.tar", "w") as archive:
        archive.add(tmp_path / "members", ".")  # a folder, and in it all members
    rows = {Path(row.values.pop("__key__")).name: row.values for row in read(Source(**settings))}
    assert rows == {row.values.pop("__key__"): row.values for row in whole}


def test_a_row_of_a_listed_file_must_be_a_mapping(tmp_path):
    settings = internvl(tmp_path / "set")
    (tmp_path / "set/opensource/mix.jsonl").write_text("[1]\n")
    with pytest.raises(DataError, match=r"mix\.jsonl, row 0: expected a JSON object; fix the row"):
        list(read(Source(**settings)))


@pytest.mark.parametrize("block", [1, 3, 20])
def test_blocks_of_any_size_give_the_same_rows(tmp_path, monkeypatch, block):
    settings = laion(tmp_path / "set")
    whole, summary = write(settings, tmp_path / "whole.parquet")
    monkeypatch.setattr("revision.data.ingest.BLOCK", block)
    rows, again = write(settings, tmp_path / "blocks.parquet")
    assert rows == whole and again == summary
    assert pq.read_metadata(tmp_path / "blocks.parquet").num_row_groups == -(-len(rows) // block)


def test_text_of_a_shard_in_another_encoding_is_reported(tmp_path):
    settings = laion(tmp_path / "set", shards=1, rows=1)
    with tarfile.open(tmp_path / "set/00000.tar", "w") as archive:
        (tmp_path / "x.txt").write_bytes(b"caf\xe9")
        archive.add(tmp_path / "x.txt", "0.txt")
    with pytest.raises(DataError, match=r"00000\.tar, member 0\.txt: not readable as UTF-8 txt"):
        write(settings, tmp_path / "t.parquet")


@pytest.mark.parametrize(
    ("turns", "message"),
    [
        ("hello", "the conversation is not a list of {from, value}"),
        (
            [{"from": "gpt", "value": "first"}, {"from": "human", "value": "then"}],
            "questions and answers do not alternate",
        ),
        ([{"from": "human", "value": "alone"}], "questions and answers do not alternate"),
        ([{"from": "human", "value": "so"}, {"from": "gpt"}], "answer is NoneType, not text"),
    ],
)
def test_bad_conversations_are_reported(tmp_path, turns, message):
    settings = internvl(tmp_path / "set")
    row = {"id": 1, "image": "coco/1.png", "conversations": turns}
    (tmp_path / "set/opensource/mix.jsonl").write_text(json.dumps(row) + "\n")
    with pytest.raises(DataError, match=r"mix\.jsonl, row 0: .*" + message):
        write(settings, tmp_path / "t.parquet")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "xml"}, r"format: 'xml' does not exist.*; there are hub, json, jsonl"),
        ({"skip": ["bad"]}, r"skip.0: 'bad' does not exist; there are .*no_image"),
        ({"files": []}, "files: none given; give patterns"),
        ({"format": "hub"}, "revision: missing; the format hub needs a commit"),
        ({"fields": {"title": "x"}}, "unknown column title; the columns are id, image"),
        ({"fields": {"id": "id"}}, "`fields` has no text column; add one of short"),
    ],
)
def test_bad_settings_are_reported(tmp_path, change, message):
    settings = bunny(tmp_path / "set") | change
    with pytest.raises(ConfigError, match=message):
        write_corpus_from(parse(Source, settings, "source"), (0, 1), 1, tmp_path / "t.parquet")


def test_invalid_range_too_few_rows_and_missing_files_are_reported(tmp_path):
    settings = bunny(tmp_path / "set")
    with pytest.raises(ConfigError, match=r"share \[0.5, 0.2\] is not a range in \[0, 1\]"):
        write(settings, tmp_path / "t", hash_range=(0.5, 0.2))
    with pytest.raises(ConfigError, match="count is 0; request at least 1 row"):
        write(settings, tmp_path / "t", count=0)
    with pytest.raises(DataError, match=r"40 usable rows in its share 0 to 1, but 41 are requested; request fewer"):
        write(settings, tmp_path / "t", count=41, at_most=False)
    with pytest.raises(DataError, match=r"no such folder; download the data set to it"):
        write(settings | {"path": str(tmp_path / "nowhere")}, tmp_path / "t")
    with pytest.raises(DataError, match=r"no file matches '\*\.csv'; correct `files`"):
        write(settings | {"files": ["*.csv"]}, tmp_path / "t")


def test_the_hub_is_used_only_if_allowed(tmp_path, monkeypatch):
    settings = {"path": "someone/set", "format": "hub", "revision": "0" * 40, "fields": {"short": "caption"}}
    with pytest.raises(DataError, match="this data set is on the hub, but HF_HUB_OFFLINE is not 0"):
        write(settings, tmp_path / "t")
    import datasets

    local, asked = parquet(tmp_path / "set"), []

    def load(path, name, *, split, revision, streaming, data_files):
        asked.append((path, split, revision, streaming))
        return datasets_load(local["path"], split=split, streaming=streaming)

    datasets_load = datasets.load_dataset
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setattr(datasets, "load_dataset", load)
    rows, _ = write(settings | {"fields": local["fields"]}, tmp_path / "t")
    assert asked == [("someone/set", "train", "0" * 40, True)]
    assert rows[3] == {"id": "3", "short": "text 3", "image": image(3)}


def corpus(folder, source, *, count, out):
    """Run `revision corpus` on one source with the hash range [0, 1]."""
    tables = {"text": {"source": "one", "share": [0, 1]}}
    # The source's path is absolute, or the id of a data set of the hub.
    settings = {"kind": "sources", "root": "/", "sources": {"one": source}, "tables": tables}
    (folder / "corpus.json").write_text(json.dumps({"corpus": settings}))
    command = ["corpus", "text", "--config", str(folder / "corpus.json"), "--count", str(count), "--out", str(out)]
    return CliRunner().invoke(app, command)


def test_images_of_the_hub_are_unchanged_and_its_errors_are_reported(tmp_path, monkeypatch):
    import datasets

    images = [image(row) for row in range(3)]
    columns = {"id": [*"abc"], "caption": [*"xyz"], "image": [{"bytes": data, "path": None} for data in images]}
    table = datasets.Dataset.from_dict(columns).cast_column("image", datasets.Image())
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: table.to_iterable_dataset())
    fields = {"id": "id", "short": "caption", "image": "image"}
    settings = {"path": "someone/set", "format": "hub", "revision": "0" * 40, "fields": fields}
    run = corpus(tmp_path, settings, count=3, out=tmp_path / "t")
    assert run.exit_code == 0 and f"streaming someone/set at {'0' * 40} from the Hugging Face hub" in run.stderr
    assert [row["image"] for row in pq.read_table(tmp_path / "t").to_pylist()] == images

    def refuse(*_, **__):
        raise ConnectionError("no route")

    monkeypatch.setattr(datasets, "load_dataset", refuse)
    with pytest.raises(DataError, match=r"someone/set: could not be streamed \(ConnectionError: no route\); check id"):
        list(read(Source(**settings)))


def test_corpus_command(tmp_path):
    settings = pubmedvision(tmp_path / "set")
    run = corpus(tmp_path, settings, count=5, out=tmp_path / "t")
    assert run.exit_code == 0, run.output
    assert run.output.strip() == '5 rows from 5 of the source; left out: {"several_images": 1}'
    run = corpus(tmp_path, settings, count=9, out="u")
    assert isinstance(run.exception, DataError) and "8 usable rows" in str(run.exception)
    run = CliRunner().invoke(app, ["corpus", "text", "--config", "nowhere.yaml", "--count", "9", "--out", "u"])
    assert isinstance(run.exception, ConfigError) and "nowhere.yaml: not readable" in str(run.exception)
    run = CliRunner().invoke(app, ["corpus", "tex", "--count", "9", "--out", "u"])
    assert isinstance(run.exception, ConfigError) and "'tex' does not exist (did you mean text?)" in str(run.exception)
