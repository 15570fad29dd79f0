"""Folders of captioned images: every layout, the tables made of them, and errors that name file, row and fix."""

import json
import shutil
import sys
import zlib
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parent))

from datasets_in_small import image
from photos_in_small import LAYOUTS, captions, coco, flickr, karpathy, names, package, table

from revision.cli import app
from revision.config.corpus import PHOTO_TABLES, PhotosCorpus
from revision.data import openclipart
from revision.data.captions import read_captions
from revision.data.corpus import stream
from revision.data.images import decode_image
from revision.data.photos import write_photos
from revision.errors import DataError

SHARES = {"encoder": 0.3, "text": 0.2, "reference": 0.2, "probe": 0.1, "validation": 0.1, "evaluation": 0.1}


def corpus(folder, **changes):
    return PhotosCorpus(**{"kind": "photos", "root": str(folder), "shares": SHARES} | changes)


def tables(settings, folder, count=1000):
    """The rows of every table."""
    rows = {}
    for name in PHOTO_TABLES:
        write_photos(settings, name, count, folder / f"{name}.parquet")
        rows[name] = pq.read_table(folder / f"{name}.parquet").to_pylist()
    return rows


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_has_the_same_images_and_captions(tmp_path, layout):
    read = read_captions(LAYOUTS[layout](tmp_path / "set"))
    assert sorted(Path(one.name).name for one in read) == names(40)
    for one in read:
        assert list(one.captions) == captions(int(Path(one.name).stem))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_tables_share_no_image_and_their_images_decode(tmp_path, layout):
    rows = tables(corpus(LAYOUTS[layout](tmp_path / "set", 200)), tmp_path)
    images = {name: {row["image"] for row in part} for name, part in rows.items()}
    assert sum(map(len, images.values())) == len(set().union(*images.values())) == 200
    assert all(images.values())
    for name in PHOTO_TABLES:
        for block in stream(tmp_path / f"{name}.parquet", ("image",)):
            assert {decode_image(file, name).size for file in block["image"]} == {(8, 8)}


def test_rows_are_captions_or_images_with_all_their_captions(tmp_path):
    rows = tables(corpus(table(tmp_path / "set")), tmp_path)
    first = rows["probe"][0]
    number = int(Path(first["id"]).stem)
    assert first["short"] == captions(number)[0] and first["captions"] == captions(number)
    assert first["long"] == f"A dog, number {number}. Dog {number}."
    assert first["image"] == f"Images/{first['id']}"
    one, two = rows["text"][:2]
    assert [one["id"][-2:], two["id"][-2:]] == ["#0", "#1"] and one["image"] == two["image"]
    assert [one["short"], two["short"]] == captions(int(one["id"][:3]))


@pytest.mark.parametrize("make", [karpathy, coco])
def test_splits_of_the_data_set_are_kept(tmp_path, make):
    settings = corpus(make(tmp_path / "set", 200))
    rows = tables(settings, tmp_path)
    train = {one.name for one in read_captions(settings.root) if one.split == "train"}
    for name, part in rows.items():
        inside = {row["id"].partition("#")[0] in train for row in part}
        assert inside == {name in ("encoder", "text", "reference")}, name


def test_the_lists_of_flickr8k_are_splits(tmp_path):
    folder = flickr(tmp_path / "set")
    for name, part in (("train", names(40)[:20]), ("dev", names(40)[20:25]), ("test", names(40)[25:30])):
        (folder / f"Flickr_8k.{name}Images.txt").write_text("\n".join(part) + "\n")
    read = read_captions(folder)
    assert [one.split for one in read] == ["train"] * 20 + ["held-out"] * 10


def test_the_same_image_is_in_the_same_table_of_a_smaller_folder(tmp_path):
    large, small = (tables(corpus(table(tmp_path / str(rows), rows)), tmp_path) for rows in (60, 30))
    for name in PHOTO_TABLES:
        kept = [row["id"] for row in large[name] if int(row["id"][:3]) < 30]
        assert [row["id"] for row in small[name]] == kept


def test_count_is_an_upper_limit(tmp_path):
    written = write_photos(corpus(table(tmp_path / "set")), "text", 5, tmp_path / "t.parquet")
    assert written.rows == 5 and written.used == 3


def edit_json(path, change):
    values = json.loads(path.read_text())
    change(values["images"])
    path.write_text(json.dumps(values))


def cut(path):
    path.write_text(path.read_text()[:100])


BAD = {
    "bad JSON": (karpathy, lambda f: cut(f / "dataset_flickr8k.json"), r"dataset_flickr8k.json: not JSON \("),
    "another layout": (
        karpathy,
        lambda f: (f / "dataset_flickr8k.json").write_text("[]"),
        "no list `images`; give a file in Karpathy's",
    ),
    "missing image": (
        karpathy,
        lambda f: (f / "images/003.png").unlink(),
        r"json, row 3: 003.png is not in .*set; add the image or remove the row; or skip such images: corpus.skip",
    ),
    "absolute path": (
        karpathy,
        lambda f: edit_json(f / "dataset_flickr8k.json", lambda rows: rows[3].update(filename="/etc/passwd")),
        "row 3: '/etc/passwd' is not inside",
    ),
    "path outside": (
        karpathy,
        lambda f: edit_json(f / "dataset_flickr8k.json", lambda rows: rows[3].update(filename="../003.png")),
        "row 3: '../003.png' is not inside",
    ),
    "image twice": (
        karpathy,
        lambda f: edit_json(f / "dataset_flickr8k.json", lambda rows: rows[3].update(filename="001.png")),
        "row 3: image 001.png is also in .*row 1; remove one",
    ),
    "no captions": (
        karpathy,
        lambda f: edit_json(f / "dataset_flickr8k.json", lambda rows: rows[3].update(sentences=[])),
        r"row 3: 003.png has no caption; add one or remove the image; or skip such images: corpus.skip: \[no_caption\]",
    ),
    "unknown split": (
        karpathy,
        lambda f: edit_json(f / "dataset_flickr8k.json", lambda rows: rows[3].update(split="vla")),
        "row 3: split 'vla' is unknown; there are train",
    ),
    "not an image": (
        karpathy,
        lambda f: (f / "images/003.png").write_bytes(b"GIF"),
        "row 3: .*003.png: not a readable image",
    ),
    "decompression bomb": (
        karpathy,
        lambda f: (f / "images/003.png").write_bytes(bomb()),
        "row 3: .*003.png: the image has more than",
    ),
    "id twice": (
        coco,
        lambda f: edit_json(f / "annotations/captions_train2017.json", lambda rows: rows[3].update(id=1)),
        "images, rows 1 and 3: the same id 1",
    ),
    "caption of no image": (
        coco,
        lambda f: edit_json(f / "annotations/captions_train2017.json", lambda rows: rows.pop(3)),
        "annotations, row 6: no image has the id 3",
    ),
    "no caption in a line": (
        flickr,
        lambda f: (f / "Flickr8k.token.txt").write_text("000.png#0\ta dog\n001.png\n"),
        "token.txt, row 1: not `image.jpg#0<TAB>caption`",
    ),
    "line twice": (
        flickr,
        lambda f: (f / "Flickr8k.token.txt").write_text("000.png#0\ta dog\n000.png#0\ta cat\n"),
        "token.txt, rows 0 and 1: the same id 000.png#0",
    ),
    "other columns": (
        table,
        lambda f: (f / "captions.txt").write_text("file,text\n000.png,a dog\n"),
        "the columns are file, text; name them image and caption",
    ),
    "two folders": (
        table,
        lambda f: shutil.copytree(f / "Images", f / "more"),
        r"row \d+: (\d+).png could be Images/\1.png, more/\1.png; add its folder",
    ),
    "not UTF-8": (table, lambda f: (f / "captions.txt").write_bytes(b"image,caption\n\xff"), "not UTF-8"),
    "nothing": (table, lambda f: (f / "captions.txt").unlink(), "no file matches dataset"),
}


def bomb():
    """A small PNG whose header says 60,000 x 60,000 pixels."""
    data = bytearray(image())
    data[16:24] = (60_000).to_bytes(4) * 2
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4)
    return bytes(data)


@pytest.mark.parametrize("name", BAD)
def test_errors_name_file_row_and_fix(tmp_path, name):
    make, damage, message = BAD[name]
    damage(make(tmp_path / "set"))
    # All images in one table, so that the damaged row is read.
    shares = {table: 1e-9 for table in PHOTO_TABLES} | {"encoder": 1 - 5e-9}
    with pytest.raises(DataError, match=message):
        write_photos(corpus(tmp_path / "set", shares=shares), "encoder", 1000, tmp_path / "t.parquet")
    assert not (tmp_path / "t.parquet").exists()


def test_images_can_be_skipped_and_are_counted(tmp_path):
    folder = karpathy(tmp_path / "set")
    (folder / "images/000.png").unlink()
    edit_json(folder / "dataset_flickr8k.json", lambda rows: rows[4].update(sentences=[]))
    shares = {table: 1e-9 for table in PHOTO_TABLES} | {"encoder": 1 - 5e-9}
    settings = corpus(folder, shares=shares, skip=["missing_image", "no_caption"])
    written = write_photos(settings, "encoder", 1000, tmp_path / "t.parquet")
    assert written.skipped == {"missing_image": 1, "no_caption": 1} and written.used == 18


def svg(title, keywords=("animal", "hash"), description=""):
    items = "".join(f"<rdf:li>{word}</rdf:li>" for word in keywords)
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" width="4mm" height="4mm"><metadata>'
        '<rdf:RDF xmlns:cc="http://web.resource.org/cc/" xmlns:dc="http://purl.org/dc/elements/1.1/" '
        'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><cc:Work>'
        f"<dc:title>{title}</dc:title><dc:description>{description}</dc:description>"
        f"<dc:subject><rdf:Bag>{items}</rdf:Bag></dc:subject></cc:Work></rdf:RDF></metadata></svg>"
    ).encode()


@pytest.fixture
def renderer(monkeypatch):
    """A renderer that paints a square in a shade that depends on the file's size."""

    class Renderer:
        @staticmethod
        def svg_to_bytes(svg_path, **options):
            if b"broken" in Path(svg_path).read_bytes():
                raise ValueError("SVG has an invalid size")
            return image(Path(svg_path).stat().st_size)

    monkeypatch.setitem(sys.modules, "resvg_py", Renderer)


def test_drawings_of_the_package_become_a_folder_in_the_csv_layout(tmp_path, renderer):
    icons = {f"icons/{k}.svg": svg("icon set") for k in range(openclipart.SHARED + 1)}
    drawings = {
        "animals/bored_dog.svg": svg("Clipart by Somebody - bored_dog", description="A dog that has nothing to do"),
        "dogs/bored_dog.svg": svg("Clipart by Somebody - bored_dog", description="A dog that has nothing to do"),
        "animals/no_keywords.svg": svg("cat", keywords=()),
        "animals/broken.svg": svg("broken"),
        "animals/not_xml.svg": b"<svg",
    }
    files = {f"{openclipart.DRAWINGS}/{name}": content for name, content in (drawings | icons).items()}
    deb = package(tmp_path / "openclipart-svg_1_all.deb", files)
    done = CliRunner().invoke(app, ["openclipart", "--deb", str(deb), "--out", str(tmp_path / "set")])
    assert done.exit_code == 0 and done.output == f"1 drawings in {tmp_path / 'set'}\n", done.output
    (one,) = read_captions(tmp_path / "set")
    assert one.name == "animals-bored_dog.png"
    assert one.captions == ("bored dog", "animal", "A dog that has nothing to do")
    assert decode_image(tmp_path / "set" / one.name, "here").size == (openclipart.SIDE, openclipart.SIDE)


def test_a_file_that_is_no_package_and_a_machine_without_apt(tmp_path, renderer, monkeypatch):
    (tmp_path / "a.deb").write_bytes(b"PK")
    with pytest.raises(DataError, match="not a Debian package; download openclipart-svg from the page"):
        openclipart.write_openclipart(tmp_path / "a.deb", tmp_path / "set")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        DataError, match=r"apt-get download openclipart-svg` failed .*give it as --deb; or bring a folder"
    ):
        openclipart.download_package(tmp_path)
