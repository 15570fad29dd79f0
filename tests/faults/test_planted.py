"""Planted faults in configuration, corpora and embeddings: each ends a command with its place and its mend."""

import json
import re
from pathlib import Path

import numpy as np
import yaml
from PIL import Image
from planting import ALIGN, EMBED, FINETUNE, PRETRAIN, Fault, column, cut, flip, rows, said, table
from workflow_copy import copy_checkout, snakemake

CONFIG = Path(__file__).parents[2] / "config"


def configured(*path_and_value):
    """Plant: a folder `config` whose defaults hold another value at a path."""
    *path, key, value = path_and_value

    def plant():
        Path("config/scales").mkdir(parents=True)
        for name in ("schema.yaml", "published.yaml", "scales/tiny.yaml"):
            Path("config", name).write_text((CONFIG / name).read_text())
        config = yaml.safe_load((CONFIG / "default.yaml").read_text())
        target = config
        for part in path:
            target = target[part]
        target[key] = value
        Path("config/default.yaml").write_text(yaml.safe_dump(config))

    return plant


def broken_yaml():
    configured("seeds", [0])()
    Path("config/default.yaml").write_text("seeds: [0\nrun: all")


PLAN = "plan --scale tiny"
CONFIGURATION = [
    Fault("an unknown key", configured("wrold", 1), PLAN, "top level: unknown key wrold; the keys are aligners"),
    Fault("a key of the wrong kind", configured("stage2", "clip_norm", "much"), PLAN, "stage2.clip_norm: 'much' is"),
    Fault("a number out of range", configured("stage2", "warmup_ratio", -1), PLAN, "stage2.warmup_ratio: -1"),
    Fault("an aligner that is not there", configured("base", "aligner", "magic"), PLAN, "'magic' does not .*c3"),
    Fault("a variant of nothing", configured("scaling", "paired", "piared"), "preflight --scale tiny",
          "scaling: 'piared' does not exist; there are .*paired"),
    Fault("a table of nothing", configured("tables", "table_1", "reference", "x"), PLAN,
          "tables.table_1: 'x' does not"),
    Fault("a scale that is not there", configured("seeds", [0]), "plan --scale huge", "'huge' does .* the scales are"),
    Fault("YAML that is cut", broken_yaml, PLAN, r"config/default.yaml: not readable as YAML.*line 2.*mend"),
    Fault("settings that are no JSON", str, "train-encoder --settings {steps:2} --out e",
          "--settings: not JSON .*give"),
    Fault("a setting that is not there", str, """train-encoder --settings '{"step": 2}' --out e""",
          "encoder: unknown key step; the keys are .*steps"),
]  # fmt: skip


def source(files: dict[str, str | bytes], **changes):
    """Plant: a data set `d` of files, and the YAML that describes it."""

    def plant():
        for name, content in files.items():
            Path("d", name).parent.mkdir(parents=True, exist_ok=True)
            Path("d", name).write_bytes(content if isinstance(content, bytes) else content.encode())
        about = {"path": "d", "format": "json", "files": ["*.json"], "images": "images",
                 "fields": {"id": "id", "short": "text", "image": "image"}}  # fmt: skip
        Path("d.yaml").write_text(yaml.safe_dump(about | changes))

    return plant


def one(**changes):
    return json.dumps([{"id": "a", "text": "a dog", "image": "a.png"} | changes])


def bomb():
    Image.new("1", (20000, 20000)).save("big.png")
    content = Path("big.png").read_bytes()
    source({"d.json": one(), "images/a.png": content})()


FROM = "corpus-from d.yaml --count 1 --out out"
IMAGE = {"images/a.png": b""}
CORPORA = [
    Fault("an unreadable picture", source({"d.json": one(), "images/a.png": b"no picture"}), FROM,
          "d.json, row 0: .*picture.*(remove|replace|leave)"),
    Fault("a decompression bomb", bomb, FROM, "d.json, row 0: .*pixels"),
    Fault("a path outside the root", source({"d.json": one(image="../../etc/passwd")}), FROM,
          "d.json, row 0: .*not inside d.*correct the path"),
    Fault("an id twice", source({"d.json": one()[:-1] + "," + one()[1:]}, fields={"id": "id", "short": "text"}),
          "corpus-from d.yaml --count 2 --out out", "d: rows 0 and 1 .* have the same id; remove one"),
    Fault("another encoding", source({"d.json": one(text="größer").encode("utf-16")}), FROM,
          "not JSON in UTF-8 .*mend"),
    Fault("an empty caption", source({"d.json": one(text=" ")}, fields={"id": "id", "short": "text"}), FROM,
          "d.json, row 0: .*empty"),
    Fault("a field that is not there", source({"d.json": json.dumps([{"id": "a"}])}, fields={"short": "text"}), FROM,
          "row 0: no '.*correct `fields"),
    Fault("a file that is cut", source({"d.json": one()[:20]}), FROM, "d.json, row 0: not JSON .*fetch it again"),
    Fault("a table without the column", column("text.parquet", "short", None), f"{EMBED} short",
          "text.parquet: no column short; it has id, long"),
    Fault("a table that is cut", cut("text.parquet"), f"{EMBED} short", "text.parquet: not a readable .*make it again"),
    Fault("a picture in a table is none", column("text.parquet", "image", lambda v: [*v[:7], b"x", *v[8:]]),
          f"{EMBED} image", "text.parquet: row 7: not a readable image .*replace"),
    Fault("a word that the encoder has not", column("text.parquet", "short", lambda v: ["zeppelin", *v[1:]]),
          f"{EMBED} short", "text.parquet: rows 0 to 39: text 'zeppelin': word 'zeppelin' is not .*mend the row"),
    Fault("a caption that is missing", column("text.parquet", "short", lambda v: [*v[:5], None, *v[6:]]),
          f"{EMBED} short", "text.parquet: row 5: column short is empty; fill it or remove the row"),
    Fault("a caption that is missing in training", column("text.parquet", "short", lambda v: [*v[:5], None, *v[6:]]),
          PRETRAIN, "text.parquet: row 5: column short is empty; fill it"),
    Fault("a table that is not there", Path("text.parquet").unlink, f"{EMBED} short", "text.parquet: .*make it again"),
]  # fmt: skip


def arrays(**named):
    """Plant: .npy files in the folder `in`."""

    def plant():
        Path("in").mkdir()
        for name, values in named.items():
            np.save(f"in/{name}.npy", values)

    return plant


def with_row(value):
    values = np.ones((5, 8), np.float32)
    values[3] = value
    return values


def twice():
    arrays(a=np.eye(8)[:2])()
    Path("ids").write_text("x\nx\n")


def listed_but_gone():
    Path("texts/shard-00001.arrow").unlink()


IMPORT = "import in set"
EMBEDDINGS = [
    Fault("NaN", arrays(a=with_row(np.nan)), IMPORT, "a.npy, row 3: NaN; drop the row"),
    Fault("infinity", arrays(a=with_row(np.inf)), IMPORT, "a.npy, row 3: infinity; drop the row"),
    Fault("a zero vector", arrays(a=with_row(0)), IMPORT, "a.npy, row 3: a zero vector; drop the row"),
    Fault("another dimension in the second file", arrays(a=np.ones((2, 8)), b=np.ones((2, 9))), IMPORT,
          "b.npy, row 0: dimension 9 .* 8; embed all shards with one encoder"),
    Fault("no rows", arrays(a=np.ones((0, 8))), IMPORT, "in: holds no rows; an embedding set needs"),
    Fault("an array of objects", arrays(a=np.array([{}])), IMPORT, "a.npy: cannot be read .*export it again"),
    Fault("an id twice", twice, "import in set --ids ids", "id 'x' is in rows 0 and 1; ids must be unique"),
    Fault("too few ids", lambda: (arrays(a=np.ones((2, 8)))(), Path("ids").write_text("x\n")),
          "import in set --ids ids", "only 1 ids were given; give one id a row"),
    Fault("NaN in a set", rows("texts", lambda e: e * np.where(np.arange(40) == 20, np.nan, 1)[:, None]), ALIGN,
          "shard-00000.arrow, row 20 .*id 'text-000000020'.*(NaN|finite)"),
    Fault("a zero vector in a set", rows("texts", lambda e: e * (np.arange(40) != 20)[:, None]), ALIGN,
          "shard-00000.arrow, row 20 .*zero"),
    Fault("modalities of two dimensions", rows("texts", lambda e: e[:, :7]), ALIGN,
          "dimension 7, .* has 8; .*one dual"),
    Fault("one row", rows("texts", lambda e: e[:1]), ALIGN, "texts.*only 1 row; realign needs at least 2"),
    Fault("an empty set", rows("texts", lambda e: e[:0]), ALIGN, "texts.*the set is empty; realign needs"),
    Fault("a constant set", rows("texts", lambda e: np.ones_like(e)), ALIGN,
          "all 40 rows are equal .*check the encoder"),
    Fault("a shard that is cut", cut("texts/shard-00001.arrow"), ALIGN, "00001.arrow: .* bytes where .*restore"),
    Fault("a shard that is gone", listed_but_gone, ALIGN, "shard-00001.arrow: missing; restore it"),
    Fault("an altered shard", flip("texts/shard-00001.arrow", b"text-000000020"), ALIGN, "altered since .*restore"),
    Fault("a set of other rows", column("text.parquet", "id", lambda v: v[::-1]), PRETRAIN,
          "images: row 0 is 'text-000000000', the table has 'text-000000039'; embed this table again"),
    Fault("a set of fewer rows", rows("pictures", lambda e: e[:3]), FINETUNE,
          "3 rows, but the table asks for 40; embed"),
]  # fmt: skip


@table(CONFIGURATION + CORPORA + EMBEDDINGS)
def test_a_planted_fault_is_named_with_its_mend(fault, work, monkeypatch, capsys):
    fault.plant()
    before = sorted(work.iterdir())
    heard = said(fault.command, monkeypatch, capsys)
    assert re.search(fault.said, heard), heard
    assert len(heard) < 1500
    assert sorted(work.iterdir()) == before, "something was left behind"


def test_snakemake_says_what_is_wrong_with_the_configuration(tmp_path):
    """The workflow checks what the commands check, before anything runs."""
    folder = copy_checkout(tmp_path)
    done = snakemake(folder, "run=[revisoin]", "-n", check=False)
    assert done.returncode == 1
    assert "error: configuration run: 'revisoin' does not exist; there are" in done.stderr
    assert "Traceback" not in done.stderr
