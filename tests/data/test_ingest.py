"""Published formats to corpus tables: what arrives, that parts never meet, and what is said of bad rows."""

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
from revision.data.ingest import share_of, write_corpus_from
from revision.data.sources import Source, read
from revision.errors import ConfigError, DataError


def write(settings: dict, path: Path, count: int = 1000, share=(0, 1), at_most=True):
    written = write_corpus_from(Source(**settings), share, count, path, at_most=at_most)
    return pq.read_table(path).to_pylist(), written


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
def test_first_row_of_every_format_and_its_image(tmp_path, name, first):
    rows, _ = write(MAKERS[name](tmp_path / "set"), tmp_path / "t.parquet")
    assert rows[0] == first
    block = next(stream(tmp_path / "t.parquet", ("id", "image")))
    assert len(block["id"]) == len(rows)
    assert [decode_image(data, "here").size for data in block["image"]] == [(8, 8)] * len(rows)


def test_rows_and_what_is_left_out(tmp_path):
    rows, written = write(pubmedvision(tmp_path / "p"), tmp_path / "p.parquet")
    assert len(rows) == 8 and written.skipped == {"several_images": 2}
    assert pq.read_schema(tmp_path / "p.parquet").metadata[b"revision.root"].decode() == str(tmp_path / "p")
    assert pq.read_metadata(tmp_path / "p.parquet").metadata[b"revision.skipped"] == b"{'several_images': 2}"
    rows, written = write(internvl(tmp_path / "i"), tmp_path / "i.parquet")
    assert [(row["id"], row["question"], row["answer"]) for row in rows] == [
        ("mix-000000000#0", "What?", "A dog."),
        ("mix-000000000#1", "Why?", "So."),
        ("mix-000000001", "Where?", "There."),
        ("dvqa-000000000", "How many?", "5"),
    ]
    assert (written.rows, written.used, written.skipped) == (4, 3, {"no_image": 1})
    assert rows[-1]["image"] == "data/dvqa/images/a.png"


def test_parts_never_meet_and_together_are_everything(tmp_path):
    settings = bunny(tmp_path / "bunny", rows=120)
    shares = {"text": (0, 0.6), "reference": (0.6, 0.8), "probe": (0.8, 1)}
    parts = {
        name: [row["id"] for row in write(settings, tmp_path / name, share=share)[0]] for name, share in shares.items()
    }
    everything = [f"{row:09d}" for row in range(120)]
    assert sorted(one for part in parts.values() for one in part) == everything
    for name, (low, high) in shares.items():
        assert parts[name] == [one for one in everything if low <= share_of(one) < high] and len(parts[name]) > 8


def test_rows_that_share_a_image_stay_in_one_part(tmp_path):
    settings = bunny(tmp_path / "bunny", rows=60)
    path = tmp_path / "bunny/pretrain/bunny_pretrain_laion_2m.json"
    rows = json.loads(path.read_text("utf-8"))
    for row in rows:
        row["image"] = f"{int(row['id']) // 2:05d}.png"
    path.write_text(json.dumps(rows))
    settings["split_by"] = "image"
    halves = [{row["image"] for row in write(settings, tmp_path / "t", share=s)[0]} for s in ((0, 0.5), (0.5, 1))]
    assert not halves[0] & halves[1] and len(halves[0] | halves[1]) == 30


def test_more_rows_begin_with_the_same_rows_and_the_same_bytes_come_again(tmp_path):
    settings = bunny(tmp_path / "bunny")
    few, _ = write(settings, tmp_path / "a", count=5, at_most=False)
    many, _ = write(settings, tmp_path / "b", count=20, at_most=False)
    assert many[:5] == few and len(many) == 20
    write(settings, tmp_path / "c", count=5)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "c").read_bytes()


def test_the_share_of_a_key_is_its_hash_and_shares_are_even():
    first = hashlib.blake2b(b"000000000", digest_size=8).hexdigest()
    assert share_of("000000000") == int(first, 16) / 16**16
    values = [share_of(str(n)) for n in range(4000)]
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
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    for kind in ("json", "jsonl"):
        assert peak(40_000, kind) < 1.5 * peak(2_000, kind) + 100_000


def replaced(settings: dict, row: int, **changes) -> dict:
    """Change one row of tiny Bunny; None takes a key away."""
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
    ("change", "said"),
    [
        ({"id": "000000003"}, r"rows 3 and 7 .* have the same id; remove one, or leave `id` out"),
        (
            {"conversations": None},
            JSON + r"no 'conversations' on the way to conversations\.1\.value; the keys are id, im",
        ),
        ({"conversations": []}, JSON + r"no '1' on the way"),
        ({"conversations": TURNS}, JSON + r"short is empty; fill it or remove the row; or .*skip: \[empty_text\]"),
        ({"image": None}, JSON + r"no image; remove the row; or .*\[no_image\]"),
        (
            {"image": "../../../secret.png"},
            JSON + r"'pretrain/images/.*secret\.png' is not inside .*; correct the path",
        ),
        ({"image": "/etc/passwd"}, JSON + r"'/etc/passwd' is not inside"),
        ({"image": "gone.png"}, JSON + r".*gone\.png does not exist; complete the images; or .*\[missing_image\]"),
        ({"image": ["00001.png", "00002.png"]}, JSON + r"2 images; one visual token shows one; or"),
        ({"image": 5}, JSON + r"image is int, not bytes or a path; correct `fields`"),
        ({"id": " "}, JSON + r"the id is empty"),
    ],
)
def test_a_bad_row_is_named_with_its_mend_and_nothing_is_written(tmp_path, change, said):
    (tmp_path / "secret.png").write_bytes(image())
    settings = replaced(bunny(tmp_path / "set"), 7, **change)
    with pytest.raises(DataError, match=said):
        write(settings, tmp_path / "t.parquet")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["secret.png", "set"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (bomb(), r"00007\.png: the image has more than \d+ pixels; scale it down"),
        (b"GIF89", r"00007\.png: not a readable image .*; replace the image or remove the row"),
    ],
)
def test_bad_images(tmp_path, content, said):
    settings = bunny(tmp_path / "set")
    (tmp_path / "set/pretrain/images/00007.png").write_bytes(content)
    with pytest.raises(DataError, match=JSON + ".*" + said):
        write(settings, tmp_path / "t.parquet")


@pytest.mark.parametrize("lenient", [False, True])
def test_a_image_cut_short_is_named_when_it_is_decoded(tmp_path, monkeypatch, lenient):
    """Also where Pillow was told to accept it, as lmms-eval does when it is imported."""
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", lenient)
    settings = bunny(tmp_path / "set")
    place = tmp_path / "set/pretrain/images/00007.png"
    place.write_bytes(place.read_bytes()[:50])
    write(settings, tmp_path / "t.parquet")
    block = next(stream(tmp_path / "t.parquet", ("id", "image")))
    with pytest.raises(DataError, match=r"t\.parquet: row 7: not a readable image"):
        decode_image(block["image"][7], "t.parquet: row 7")
    place.unlink()
    with pytest.raises(DataError, match="row 7: not a readable image"):
        decode_image(block["image"][7], "t.parquet: row 7")


def test_a_link_out_of_the_folder_is_refused_and_a_changed_table_too(tmp_path):
    settings = bunny(tmp_path / "set")
    write(settings, tmp_path / "t.parquet")
    outside = tmp_path / "secret.png"
    outside.write_bytes(image())
    place = tmp_path / "set/pretrain/images/00007.png"
    place.unlink()
    place.symlink_to(outside)
    with pytest.raises(DataError, match=JSON + ".*is not inside"):
        write(settings, tmp_path / "u.parquet")
    with pytest.raises(DataError, match="is not inside"):
        next(stream(tmp_path / "t.parquet", ("id", "image")))


@pytest.mark.parametrize(
    ("maker", "place", "content", "said"),
    [
        (bunny, "pretrain/bunny_pretrain_laion_2m.json", b'[{"id": "\xff\xfe"}]', r"\.json, row 0: not JSON in UTF-8"),
        (bunny, "pretrain/bunny_pretrain_laion_2m.json", b'[{"id": 1}, {"id"', r"\.json, row 1: not JSON in UTF-8"),
        (bunny, "pretrain/bunny_pretrain_laion_2m.json", b'{"rows": 1}', r"\.json: no rows; a JSON list"),
        (bunny, "pretrain/bunny_pretrain_laion_2m.json", b"[1]", r"\.json, row 0: not a mapping of fields but int"),
        (densefusion, "DenseFusion-1M.jsonl", b'{"image_id": 1}\n\xe9\n', r"jsonl, row 1: not JSON in UTF-8"),
        (parquet, "train-00000.parquet", b"PAR1", r"not a readable Parquet file"),
        (laion, "00001.tar", b"no archive", r"00001\.tar: not a whole tar archive"),
        (internvl, "meta.json", b"[]", r"meta\.json: no meta file of"),
        (internvl, "meta.json", b'{"a": {"root": "../..", "annotation": "opensource/mix.jsonl"}}', r"is not inside"),
        (internvl, "meta.json", b'{"a": {"root": ".", "annotation": "gone.jsonl"}}', r"gone\.jsonl does not exist"),
        (
            internvl,
            "meta.json",
            b'{"a": {"root": ".", "annotation": "opensource/mix.jsonl", "repeat_time": 2}}',
            r"repeat_time 2; every row is read once",
        ),
    ],
)
def test_bad_files(tmp_path, maker, place, content, said):
    settings = maker(tmp_path / "set")
    (tmp_path / "set" / place).write_bytes(content)
    with pytest.raises(DataError, match=said):
        list(read(Source(**settings)))


def test_folders_and_other_members_of_a_shard_are_passed_over(tmp_path):
    settings = laion(tmp_path / "set", shards=1, rows=2)
    whole = list(read(Source(**settings)))
    with tarfile.open(tmp_path / "set/00000.tar") as archive:
        archive.extractall(tmp_path / "members", filter="data")
    (tmp_path / "members/000000000.cls").write_text("7")
    with tarfile.open(tmp_path / "set/00000.tar", "w") as archive:
        archive.add(tmp_path / "members", ".")  # a folder, and in it all members
    found = {Path(one.values.pop("__key__")).name: one.values for one in read(Source(**settings))}
    assert found == {one.values.pop("__key__"): one.values for one in whole}


def test_a_row_of_a_listed_file_must_be_a_mapping(tmp_path):
    settings = internvl(tmp_path / "set")
    (tmp_path / "set/opensource/mix.jsonl").write_text("[1]\n")
    with pytest.raises(DataError, match=r"mix\.jsonl, row 0: not a mapping of fields"):
        list(read(Source(**settings)))


@pytest.mark.parametrize("block", [1, 3, 20])
def test_blocks_of_any_size_give_the_same_rows(tmp_path, monkeypatch, block):
    settings = laion(tmp_path / "set")
    whole, written = write(settings, tmp_path / "whole.parquet")
    monkeypatch.setattr("revision.data.ingest.BLOCK", block)
    rows, again = write(settings, tmp_path / "blocks.parquet")
    assert rows == whole and again == written
    assert pq.read_metadata(tmp_path / "blocks.parquet").num_row_groups == -(-len(rows) // block)


def test_text_of_a_shard_in_another_encoding(tmp_path):
    settings = laion(tmp_path / "set", shards=1, rows=1)
    with tarfile.open(tmp_path / "set/00000.tar", "w") as archive:
        (tmp_path / "x.txt").write_bytes(b"caf\xe9")
        archive.add(tmp_path / "x.txt", "0.txt")
    with pytest.raises(DataError, match=r"00000\.tar, member 0\.txt: not readable as UTF-8 txt"):
        write(settings, tmp_path / "t.parquet")


@pytest.mark.parametrize(
    ("turns", "said"),
    [
        ("hello", "the conversation is no list of {from, value}"),
        ([{"from": "gpt", "value": "first"}, {"from": "human", "value": "then"}], "not question and answer by turns"),
        ([{"from": "human", "value": "alone"}], "not question and answer by turns"),
        ([{"from": "human", "value": "so"}, {"from": "gpt"}], "answer is NoneType, not a text"),
    ],
)
def test_bad_conversations(tmp_path, turns, said):
    settings = internvl(tmp_path / "set")
    row = {"id": 1, "image": "coco/1.png", "conversations": turns}
    (tmp_path / "set/opensource/mix.jsonl").write_text(json.dumps(row) + "\n")
    with pytest.raises(DataError, match=r"mix\.jsonl, row 0: .*" + said):
        write(settings, tmp_path / "t.parquet")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": "xml"}, r"format: 'xml' does not exist.*; there are hub, json, jsonl"),
        ({"skip": ["bad"]}, r"skip.0: 'bad' does not exist; there are .*no_image"),
        ({"files": []}, "files: none named; give patterns"),
        ({"format": "hub"}, "revision: missing; the format hub needs a commit"),
        ({"fields": {"title": "x"}}, "unknown column title; there are id, image"),
        ({"fields": {"id": "id"}}, "fields name no text"),
    ],
)
def test_bad_settings(tmp_path, change, said):
    settings = bunny(tmp_path / "set") | change
    with pytest.raises(ConfigError, match=said):
        write_corpus_from(parse(Source, settings, "source"), (0, 1), 1, tmp_path / "t.parquet")


def test_bad_share_too_few_rows_no_folder_no_file(tmp_path):
    settings = bunny(tmp_path / "set")
    with pytest.raises(ConfigError, match=r"share \[0.5, 0.2\] is no part"):
        write(settings, tmp_path / "t", share=(0.5, 0.2))
    with pytest.raises(ConfigError, match="0 rows asked for; ask for at least 1"):
        write(settings, tmp_path / "t", count=0)
    with pytest.raises(DataError, match=r"40 usable rows in its share 0 to 1, 41 are asked for; ask for fewer"):
        write(settings, tmp_path / "t", count=41, at_most=False)
    with pytest.raises(DataError, match=r"no such folder; put the data set there"):
        write(settings | {"path": str(tmp_path / "nowhere")}, tmp_path / "t")
    with pytest.raises(DataError, match=r"no file matches '\*\.csv'; correct `files`"):
        write(settings | {"files": ["*.csv"]}, tmp_path / "t")


def test_the_hub_is_asked_only_when_it_is_allowed(tmp_path, monkeypatch):
    settings = {"path": "someone/set", "format": "hub", "revision": "0" * 40, "fields": {"short": "caption"}}
    with pytest.raises(DataError, match="this data set is on the hub and HF_HUB_OFFLINE is not 0"):
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
    """`revision corpus` on one source, whole."""
    tables = {"text": {"source": "one", "share": [0, 1]}}
    # The source's path is absolute, or the id of a data set of the hub.
    settings = {"kind": "sources", "root": "/", "sources": {"one": source}, "tables": tables}
    (folder / "corpus.json").write_text(json.dumps({"corpus": settings}))
    words = ["corpus", "text", "--config", str(folder / "corpus.json"), "--count", str(count), "--out", str(out)]
    return CliRunner().invoke(app, words)


def test_images_of_the_hub_come_as_they_are_and_its_errors_are_named(tmp_path, monkeypatch):
    import datasets

    images = [image(row) for row in range(3)]
    held = {"id": [*"abc"], "caption": [*"xyz"], "image": [{"bytes": one, "path": None} for one in images]}
    table = datasets.Dataset.from_dict(held).cast_column("image", datasets.Image())
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


def test_the_command(tmp_path):
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
