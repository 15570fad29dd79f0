"""Atomic writes: no half file under the final name, and the old content survives an error."""

import pytest
import xxhash

from revision.io.files import atomic_file, atomic_folder, digest, write_json


def test_an_error_leaves_the_old_file_and_no_temporary_one(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), atomic_file(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_that_is_no_refusal_of_the_system_stays_what_it_is(tmp_path):
    with pytest.raises(KeyError, match="lost"), atomic_file(tmp_path / "a.txt"):
        raise KeyError("lost")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "set"
    with pytest.raises(RuntimeError), atomic_folder(path) as temporary:
        (temporary / "a").write_text("half")
        raise RuntimeError
    assert not path.exists()
    with atomic_folder(path) as temporary:
        (temporary / "a").write_text("whole")
    assert (path / "a").read_text() == "whole"


def test_an_older_folder_leaves_its_name_whole(tmp_path, monkeypatch):
    """Whenever something is removed, the name holds the new content already: a kill there leaves no half of the old."""
    path, removed = tmp_path / "set", {}
    with atomic_folder(path) as temporary:
        (temporary / "a").write_text("old")
    monkeypatch.setattr("shutil.rmtree", lambda folder, **_: removed.update({folder: (path / "a").read_text()}))
    with atomic_folder(path) as temporary:
        (temporary / "a").write_text("new")
    assert set(removed.values()) == {"new"}
    assert path not in removed


def test_json_refuses_nan(tmp_path):
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "a.json", {"x": float("nan")})
    assert not (tmp_path / "a.json").exists()


def test_checksum(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert digest(tmp_path / "a") == xxhash.xxh3_128(b"abc").hexdigest()
