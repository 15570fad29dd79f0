"""Merged parts and their moments equal the set and the moments of a single job."""

import os

import numpy as np
import pytest

from revision.align import Engine, make_aligner
from revision.embeddings import merge_sets, open_embeddings, write_embeddings
from revision.embeddings.moments import Moments, load_moments, merge_all, merge_moments, moments, save_moments
from revision.errors import DataError

ROWS = np.random.default_rng(0).standard_normal((100, 6)).astype(np.float32)
IDS = [f"r-{k}" for k in range(100)]


def write_part(folder, start, stop, **about):
    facts = {"column": "short", "rows": [start, stop, 100]} | about
    return write_embeddings(folder, IDS[start:stop], ROWS[start:stop], shard_rows=30, about=facts)


@pytest.fixture
def parts(tmp_path):
    """Three parts, the last without rows."""
    for name, start, stop in (("0", 0, 64), ("1", 64, 100), ("2", 100, 100)):
        part = write_part(tmp_path / name, start, stop)
        if part.count:
            save_moments(tmp_path / f"{name}.npz", moments(part, unit=True, covariance=True), [part])
    return [tmp_path / name for name in "012"]


def test_merged_parts_are_the_whole_set_without_a_copy(parts, tmp_path):
    merged = merge_sets(parts, tmp_path / "all")
    assert np.array_equal(merged.array(), ROWS) and merged.ids().to_pylist() == IDS
    assert merged.about == {"column": "short"}
    merged.verify()
    written = [shard for part in parts for shard in open_embeddings(part).shards]
    assert [shard.xxh3_128 for shard in merged.shards] == [shard.xxh3_128 for shard in written]
    assert os.path.samefile(parts[0] / "shard-00000.arrow", tmp_path / "all/shard-00000.arrow")
    assert np.array_equal(merged.take(np.array([99, 3, 64, 3])), ROWS[[99, 3, 64, 3]])


def test_a_file_system_without_links_copies(parts, tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError("no links")

    monkeypatch.setattr(os, "link", refuse)
    merge_sets(parts, tmp_path / "all").verify()


def test_merged_moments_equal_those_of_the_whole_and_aligners_fit_from_them(parts, tmp_path):
    merged = merge_sets(parts, tmp_path / "all")
    merge_moments([tmp_path / "0.npz", tmp_path / "1.npz"], tmp_path / "all.npz")
    known, whole = load_moments(tmp_path / "all.npz", merged), moments(merged, unit=True, covariance=True)
    assert known.count == whole.count == 100
    np.testing.assert_allclose(known.mean, whole.mean, rtol=0, atol=1e-12)
    np.testing.assert_allclose(known.covariance, whole.covariance, rtol=0, atol=1e-12)
    assert known.trace == pytest.approx(whole.trace, abs=1e-12)
    target = write_embeddings(tmp_path / "target", IDS, ROWS[::-1].copy() + 0.5)
    passes = []
    engine = Engine(advance=passes.append, known={merged.folder: known, target.folder: moments(target, unit=True)})
    fitted = make_aligner("realign", steps=2).fit_stream(merged, target, engine)
    assert passes == []
    read = make_aligner("realign", steps=2).fit_stream(merged, target)
    np.testing.assert_allclose(fitted.transform(ROWS), read.transform(ROWS), atol=1e-6)


def test_moments_of_another_set_are_refused(parts, tmp_path):
    with pytest.raises(DataError, match=r"0.npz: not the moments of .*1 as it is now"):
        load_moments(tmp_path / "0.npz", open_embeddings(parts[1]))
    (tmp_path / "bad.npz").write_bytes(b"no")
    with pytest.raises(DataError, match="no moments here"):
        load_moments(tmp_path / "bad.npz")


def test_parts_without_rows_are_ignored():
    none, some = Moments(0, np.zeros(3), 0.0), Moments.of(np.arange(6.0).reshape(2, 3))
    assert merge_all([none, some, none]) is some
    assert merge_all([none, none]) is none


def test_parts_that_do_not_belong_together_are_reported(parts, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(
        DataError, match="begins with row 64 of its table, but the previous part ends at 0; name the parts"
    ):
        merge_sets(parts[1:], out)
    with pytest.raises(DataError, match="the parts end at row 64 of 100"):
        merge_sets(parts[:1], out)
    write_part(tmp_path / "other", 64, 100, column="long")
    with pytest.raises(DataError, match="not of the same table, column, encoder and dtype"):
        merge_sets([parts[0], tmp_path / "other"], out)
    for name in ("a", "b"):
        write_embeddings(tmp_path / name, ["same"], ROWS[:1])
    with pytest.raises(DataError, match="id 'same' is in 2 rows"):
        merge_sets([tmp_path / "a", tmp_path / "b"], out)
    with pytest.raises(DataError, match="no parts to merge"):
        merge_sets([], out)
    assert not out.exists()
    out.mkdir()
    (out / "thesis.tex").write_text("years of work")
    with pytest.raises(DataError, match="exists and is no embedding set"):
        merge_sets(parts, out)
    assert [path.name for path in out.iterdir()] == ["thesis.tex"]
