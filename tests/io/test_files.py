"""Atomic writes: no partial file under the final name, and an error keeps the old content."""

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


def test_errors_other_than_os_errors_pass_unchanged(tmp_path):
    with pytest.raises(KeyError, match="lost"), atomic_file(tmp_path / "a.txt"):
        raise KeyError("lost")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_appears_complete_or_not_at_all(tmp_path):
    path = tmp_path / "set"
    with pytest.raises(RuntimeError), atomic_folder(path) as temporary:
        (temporary / "a").write_text("half")
        raise RuntimeError
    assert not path.exists()
    with atomic_folder(path) as temporary:
        (temporary / "a").write_text("whole")
    assert (path / "a").read_text() == "whole"


def test_an_older_folder_is_renamed_before_it_is_removed(tmp_path, monkeypatch):
    """When the old folder is removed, the new one already has its name, so a kill leaves no part of the old one."""
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
