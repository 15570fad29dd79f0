"""Embedding sets: round trips, and detection of any damage."""

import json
import re
import signal
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from revision.embeddings import EmbeddingWriter, open_embeddings, write_embeddings
from revision.errors import DataError


def table(n=50, d=4, seed=0):
    return [f"row-{i}" for i in range(n)], np.random.default_rng(seed).standard_normal((n, d)).astype(np.float32)


@given(
    n=st.integers(1, 60),
    d=st.integers(1, 9),
    shard_rows=st.integers(1, 70),
    block=st.integers(1, 70),
    dtype=st.sampled_from(["float16", "float32"]),
)
@settings(max_examples=40)
def test_round_trip(tmp_path_factory, n, d, shard_rows, block, dtype):
    ids, rows = table(n, d)
    folder = tmp_path_factory.mktemp("store") / "set"
    embeddings = write_embeddings(folder, ids, rows, dtype=dtype, shard_rows=shard_rows, about={"encoder": "e"})
    assert (embeddings.count, embeddings.dim, embeddings.dtype, embeddings.about) == (n, d, dtype, {"encoder": "e"})
    assert embeddings.ids().to_pylist() == ids
    assert np.array_equal(embeddings.array(), rows.astype(dtype).astype(np.float32))
    blocks = list(embeddings.blocks(block))
    assert max(map(len, blocks)) <= block
    assert np.array_equal(np.concatenate(blocks), rows.astype(dtype))
    assert [shard.rows for shard in embeddings.shards] == [shard_rows] * (n // shard_rows) + [n % shard_rows] * (
        n % shard_rows > 0
    )
    embeddings.verify()


def test_blocks_are_views_of_the_file(tmp_path):
    embeddings = write_embeddings(tmp_path / "set", *table())
    (block,) = embeddings.blocks(100)
    assert not block.flags.owndata
    assert not block.flags.writeable
    before = pa.total_allocated_bytes()
    assert sum(len(part) for part in embeddings.blocks(7)) == 50
    assert pa.total_allocated_bytes() == before


def test_shards_are_plain_arrow_files(tmp_path):
    ids, rows = table()
    write_embeddings(tmp_path / "set", ids, rows)
    read = pa.ipc.open_file(tmp_path / "set" / "shard-00000.arrow").read_all()
    assert read.column("id").to_pylist() == ids
    assert np.allclose(np.array(read.column("embedding").to_pylist()), rows)


def test_same_rows_same_bytes_however_appended(tmp_path):
    ids, rows = table()
    write_embeddings(tmp_path / "a", ids, rows, shard_rows=20)
    write_embeddings(tmp_path / "b", ids, rows, shard_rows=20)
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert all((tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes() for name in names)
    with EmbeddingWriter(tmp_path / "c", 4, shard_rows=20) as writer:
        for start in range(0, 50, 7):
            writer.append(ids[start : start + 7], rows[start : start + 7])
    assert np.array_equal(writer.result.array(), rows)
    assert writer.result.ids().to_pylist() == ids


def damage(path, how):
    data = path.read_bytes()
    if how == "cut":
        path.write_bytes(data[: len(data) // 2])
    elif how == "flip":
        middle = data.index(b"row-7") if b"row-7" in data else len(data) // 2
        path.write_bytes(data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :])
    elif how == "gone":
        path.unlink()


@pytest.mark.parametrize(("how", "message"), [("cut", "truncated or altered"), ("gone", "missing")])
def test_truncated_or_missing_shard_is_reported_at_opening(tmp_path, how, message):
    write_embeddings(tmp_path / "set", *table(), shard_rows=20)
    damage(tmp_path / "set" / "shard-00001.arrow", how)
    with pytest.raises(DataError, match=rf"shard-00001\.arrow: .*{message}.*write the set again"):
        open_embeddings(tmp_path / "set")


def test_manifest_with_another_count_than_its_shards_is_reported(tmp_path):
    write_embeddings(tmp_path / "set", *table())
    manifest = json.loads((tmp_path / "set/manifest.json").read_text())
    (tmp_path / "set/manifest.json").write_text(json.dumps(manifest | {"count": manifest["count"] + 1}))
    with pytest.raises(DataError, match=r"manifest.json: counts 51 rows, but its shards have 50"):
        open_embeddings(tmp_path / "set")


def test_altered_shard_is_detected_by_its_checksum(tmp_path):
    write_embeddings(tmp_path / "set", *table(), shard_rows=20)
    damage(tmp_path / "set" / "shard-00002.arrow", "flip")
    with pytest.raises(DataError, match=r"shard-00002\.arrow: altered since it was written.*restore it from a copy"):
        open_embeddings(tmp_path / "set").verify()


def test_shard_of_another_dimension_or_format_is_reported(tmp_path):
    write_embeddings(tmp_path / "set", *table(d=4))
    write_embeddings(tmp_path / "other", *table(d=5))
    shard = tmp_path / "set" / "shard-00000.arrow"
    manifest = json.loads((tmp_path / "set" / "manifest.json").read_text())

    def put(data):
        shard.write_bytes(data)
        manifest["shards"][0]["bytes"] = len(data)
        (tmp_path / "set" / "manifest.json").write_text(json.dumps(manifest))
        return open_embeddings(tmp_path / "set")

    with pytest.raises(
        DataError, match=r"shard-00000\.arrow: holds fixed_size_list.*\[5\], the manifest says 4 x float32"
    ):
        put((tmp_path / "other" / "shard-00000.arrow").read_bytes()).array()
    with pytest.raises(DataError, match=r"shard-00000\.arrow: not a readable shard"):
        put(b"not arrow at all, but long enough to look like something").array()


def test_manifest_of_other_rows_or_of_another_version_is_reported(tmp_path):
    write_embeddings(tmp_path / "set", *table())
    path = tmp_path / "set/manifest.json"
    manifest = json.loads(path.read_text())
    manifest["shards"][0]["rows"] = manifest["count"] = 49
    path.write_text(json.dumps(manifest))
    with pytest.raises(DataError, match=r"shard-00000\.arrow: 50 rows where the manifest says 49"):
        open_embeddings(tmp_path / "set").array()
    path.write_text(json.dumps(manifest | {"format": "revision-embeddings-9"}))
    with pytest.raises(
        DataError, match="format 'revision-embeddings-9', but this version reads 'revision-embeddings-1'"
    ):
        open_embeddings(tmp_path / "set")


def test_location_of_a_row_has_shard_and_id(tmp_path):
    ids, rows = table()
    with EmbeddingWriter(tmp_path / "set", 4, shard_rows=30) as writer:
        for start in (0, 20, 40):
            writer.append(ids[start : start + 20], rows[start : start + 20])
    embeddings = open_embeddings(tmp_path / "set")
    assert embeddings.location(25) == f"{tmp_path}/set/shard-00000.arrow, row 25 (id 'row-25')"
    assert embeddings.location(49) == f"{tmp_path}/set/shard-00001.arrow, row 19 (id 'row-49')"
    assert embeddings.location(50) == f"{tmp_path}/set, row 50"


@pytest.mark.parametrize(("value", "fault"), [(np.nan, "NaN"), (np.inf, "infinity")])
def test_non_finite_values_are_reported_with_their_row(tmp_path, value, fault):
    ids, rows = table()
    rows[31, 2] = value
    with pytest.raises(DataError, match=f"set, row 31: {fault}; drop the row or embed it again"):
        write_embeddings(tmp_path / "set", ids, rows)
    assert list(tmp_path.iterdir()) == []


def test_values_too_large_for_float16_are_refused(tmp_path):
    ids, rows = table()
    rows[3, 1] = 1e6
    with pytest.raises(DataError, match="too large for float16; use float32"):
        write_embeddings(tmp_path / "set", ids, rows, dtype="float16")


def test_duplicate_ids_are_reported(tmp_path):
    ids, rows = table()
    ids[40] = ids[3]
    with pytest.raises(DataError, match="id 'row-3' is in rows 3 and 40; ids must be unique"):
        write_embeddings(tmp_path / "set", ids, rows, shard_rows=7)
    assert list(tmp_path.iterdir()) == []


def test_wrong_shapes_are_refused(tmp_path):
    ids, rows = table()
    with pytest.raises(DataError, match="49 ids for 50 rows; give one id for each row"):
        write_embeddings(tmp_path / "set", ids[1:], rows)
    with (
        pytest.raises(DataError, match=r"row 50: block of shape \(50, 3\), but the set has dimension 4"),
        EmbeddingWriter(tmp_path / "set", 4) as writer,
    ):
        writer.append(ids, rows)
        writer.append(ids, rows[:, :3])
    with pytest.raises(DataError, match=r"must have shape \(n, d\), got \(4,\)"):
        write_embeddings(tmp_path / "set", ids, rows[0])
    with pytest.raises(DataError, match="dtype 'float8' is not one of float16, float32"):
        write_embeddings(tmp_path / "set", ids, rows, dtype="float8")
    with pytest.raises(DataError, match="dimension and shard_rows must be at least 1, got 4 and 0"):
        write_embeddings(tmp_path / "set", ids, rows, shard_rows=0)
    assert list(tmp_path.iterdir()) == []


def test_foreign_folders_are_never_replaced(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("years of work")
    with pytest.raises(DataError, match="exists and is no embedding set"):
        write_embeddings(tmp_path / "mine", *table())
    assert (tmp_path / "mine" / "thesis.tex").read_text() == "years of work"
    with pytest.raises(DataError, match=r"no embedding set here.*revision import"):
        open_embeddings(tmp_path / "mine")


def test_a_set_whose_manifest_was_removed_is_replaced(tmp_path):
    """Snakemake removes the manifest, an output, before it repeats a rule, but not the shards."""
    ids, rows = table()
    write_embeddings(tmp_path / "set", ids, rows, shard_rows=20)
    (tmp_path / "set" / "manifest.json").unlink()
    embeddings = write_embeddings(tmp_path / "set", ids[:5], rows[:5])
    assert sorted(path.name for path in embeddings.folder.iterdir()) == ["manifest.json", "shard-00000.arrow"]
    (tmp_path / "set" / "manifest.json").unlink()
    (tmp_path / "set" / "notes.txt").write_text("mine")
    with pytest.raises(DataError, match="exists and is no embedding set"):
        write_embeddings(tmp_path / "set", ids, rows)


def test_an_older_set_is_replaced_only_by_a_complete_one(tmp_path):
    ids, rows = table()
    write_embeddings(tmp_path / "set", ids, rows)
    with pytest.raises(DataError, match="NaN"):
        write_embeddings(tmp_path / "set", ids, np.full_like(rows, np.nan))
    assert np.array_equal(open_embeddings(tmp_path / "set").array(), rows)
    assert write_embeddings(tmp_path / "set", ids[:5], rows[:5]).count == 5


def test_a_failed_write_names_the_file_and_leaves_nothing(tmp_path):
    program = (
        "import resource, signal, sys, numpy as np; from revision.embeddings import write_embeddings;"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000));"
        "write_embeddings(sys.argv[1], [str(i) for i in range(9999)], np.ones((9999, 8)))"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path / "set")], capture_output=True, text=True)
    assert done.returncode != 0
    assert re.search(r"File too large: .*/set'", done.stderr)
    assert list(tmp_path.iterdir()) == []


def test_killed_writer_leaves_no_set_under_the_final_name(tmp_path):
    program = (
        "import os, signal, sys, numpy as np; from revision.embeddings import EmbeddingWriter\n"
        "with EmbeddingWriter(sys.argv[1], 8, shard_rows=10) as writer:\n"
        "    for start in range(0, 10**9, 10):\n"
        "        writer.append([str(start + i) for i in range(10)], np.ones((10, 8)))\n"
        "        if start == 50: os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", program, str(tmp_path / "set")]).returncode == -signal.SIGKILL
    assert not (tmp_path / "set").exists()
    with pytest.raises(DataError, match="no embedding set here"):
        open_embeddings(tmp_path / "set")
    assert write_embeddings(tmp_path / "set", *table()).count == 50
