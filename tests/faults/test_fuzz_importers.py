"""Mutated files at the importers: nothing runs, memory stays bounded, and only errors that a user can mend come out."""

import os
import pickle
import pickletools
import shutil
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from guarded import guarded
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from revision.embeddings.importers import import_embeddings
from revision.embeddings.unpickler import ALLOWED, read_pickle

ROWS = np.random.default_rng(0).standard_normal((6, 4)).astype(np.float32)
IDS = [f"item-{index}" for index in range(6)]
FUZZ = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))


def entries():
    return [{"id": name, "embed": row, "caption": "a red circle"} for name, row in zip(IDS, ROWS, strict=True)]


def valid(folder: Path, kind: str) -> bytes:
    """The bytes of a good file of that kind."""
    path = folder / kind
    if kind.startswith("pkl"):
        return pickle.dumps(entries(), protocol=int(kind[-1]))
    if kind == "npy":
        np.save(path.with_suffix(".npy"), ROWS)
        return path.with_suffix(".npy").read_bytes()
    if kind == "npz":
        np.savez_compressed(path.with_suffix(".npz"), embeddings=ROWS, ids=np.array(IDS))
        return path.with_suffix(".npz").read_bytes()
    if kind == "parquet":
        pq.write_table(pa.table({"id": IDS, "embedding": list(ROWS)}), path)
    else:
        save_file({"embeddings": ROWS}, path)
    return path.read_bytes()


CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["flip", "set", "cut", "insert", "repeat"]), st.floats(0, 1), st.binary(min_size=1, max_size=9)
    ),
    min_size=1,
    max_size=6,
)


def mutated(data: bytes, changes) -> bytes:
    """The bytes after changes (what, where as a share of the length, with which bytes)."""
    for what, share, piece in changes:
        at = int(share * (len(data) - 1)) if data else 0
        if what == "flip" and data:
            data = data[:at] + bytes([data[at] ^ (1 << piece[0] % 8)]) + data[at + 1 :]
        elif what == "set":
            data = data[:at] + piece + data[at + len(piece) :]
        elif what == "cut":
            data = data[:at]
        elif what == "insert":
            data = data[:at] + piece + data[at:]
        else:
            data = data[:at] + data[at : at + 40] * (piece[0] % 8) + data[at:]
    return data


@pytest.mark.parametrize("kind", ["npy", "npz", "parquet", "safetensors", "pkl0", "pkl2", "pkl4", "pkl5"])
def test_mutated_files_raise_only_errors_to_mend(tmp_path, kind):
    good = valid(tmp_path, kind)
    path = tmp_path / f"in.{kind.rstrip('0245')}"
    path.write_bytes(good)
    assert guarded(lambda: import_embeddings(path, tmp_path / "set")) is None

    @FUZZ
    @given(CHANGES)
    def check(changes):
        path.write_bytes(mutated(good, changes))
        shutil.rmtree(tmp_path / "set", ignore_errors=True)
        error = guarded(lambda: import_embeddings(path, tmp_path / "set"))
        assert error is None or str(path) in str(error) or str(tmp_path / "set") in str(error)
        assert (error is None) == (tmp_path / "set").exists()

    check()


class Call:
    """Pickles as a call of `function`."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


DANGEROUS = (os.system, os.popen, subprocess.Popen, subprocess.call, eval, exec, open, getattr, shutil.rmtree, np.load,
             np.save, np.frombuffer, __import__, type, map, os.unlink)  # fmt: skip
PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**40), 2**40)
    | st.floats()
    | st.text(max_size=8)
    | st.binary(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@FUZZ
@given(st.sampled_from(DANGEROUS), st.lists(PLAIN, max_size=3), PLAIN, st.integers(0, 5))
def test_calls_hidden_in_plain_data_are_refused_by_name(tmp_path_factory, function, arguments, around, protocol):
    path = tmp_path_factory.getbasetemp() / "call.pkl"
    path.write_bytes(pickle.dumps([around, {"id": "a", "embed": [Call(function, *arguments)]}], protocol=protocol))
    error = guarded(lambda: read_pickle(path))
    # Older protocols write empty bytes as a call, too, and the first call is the one that is named.
    assert "which is no data and was not run" in str(error)
    assert function.__name__ in str(error) or (protocol < 3 and "bytes" in str(error))


OPCODES = [opcode.code.encode("latin1") for opcode in pickletools.opcodes]
NAMES = [f"c{module}\n{name}\n".encode() for module, name in ALLOWED]
ARGUMENTS = st.binary(max_size=6) | st.sampled_from([b"\xff\xff\xff\x7f", b"\x00" * 4, b"(2,)", b"1\n", b"latin1\n"])


@FUZZ
@given(st.lists(st.sampled_from(OPCODES) | st.sampled_from(NAMES) | ARGUMENTS, min_size=1, max_size=25))
def test_random_opcodes_with_the_allowed_names(tmp_path_factory, parts):
    path = tmp_path_factory.getbasetemp() / "opcodes.pkl"
    path.write_bytes(b"\x80\x04" + b"".join(parts) + b".")
    guarded(lambda: read_pickle(path))


def nested_tuples(depth: int) -> bytes:
    """A dictionary whose key takes 2^depth steps to hash."""
    return (
        b"\x80\x04}" + b"(K\x01t\x94" + b"".join(b"h" + bytes([level]) + b"\x86\x94" for level in range(depth)) + b"Ns."
    )


def laughing_lists(depth: int) -> list:
    """Lists that hold one list ten times, that one another ten times: 10^depth numbers if written out."""
    value: list = [1.0] * 10
    for _ in range(depth):
        value = [value] * 10
    return value


BOMBS = {
    "a memo place far out": (b"\x80\x04]r\xff\xff\xff\x7f.", "memo index 2147483647"),
    "a length that the file has not": (b"\x80\x04\x8e" + (1 << 40).to_bytes(8, "little") + b"x.", "not a pickle"),
    "an array that the file has not": (
        b"\x80\x04cnumpy\nndarray\n" + pickle.dumps((1 << 36,), protocol=2)[2:-1] + b"\x85R.",
        "an array without numbers",
    ),
    "a tuple of twice the same": (nested_tuples(60).replace(b"\x86", b"h\x00\x86"), "a tuple is repeated"),
    "lists of lists of lists": (pickle.dumps([{"id": "a", "embed": laughing_lists(30)}]), "not a vector of numbers"),
    "an id of lists of lists": (pickle.dumps([{"id": laughing_lists(30), "embed": [1.0]}]), "'id' is list"),
    "one vector for a million rows": (
        pickle.dumps([{"id": "a", "embed": vector} for vector in [np.ones(1 << 16, np.float32)] * 2000]),
        "repeat one vector",
    ),
    "a function's attributes": (
        b"\x80\x04cnumpy.core.numeric\n_frombuffer\nN}\x8c\x0c__defaults__Ns\x86b.", "sets '__defaults__'"
    ),
    "bytes that encode to more": (b"\x80\x04c_codecs\nencode\n\x8c\x02ab\x8c\x03hex\x86R.", "encoding 'hex'"),
}  # fmt: skip


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_in_pickles_are_refused(tmp_path, name):
    data, said = BOMBS[name]
    (tmp_path / "bomb.pkl").write_bytes(data)
    error = guarded(lambda: import_embeddings(tmp_path / "bomb.pkl", tmp_path / "set"))
    assert said in str(error) and not (tmp_path / "set").exists()


def test_a_zip_bomb_and_a_false_header_are_refused(tmp_path):
    np.savez_compressed(tmp_path / "bomb.npz", embeddings=np.ones((1 << 13, 1 << 10), np.float32))
    error = guarded(lambda: import_embeddings(tmp_path / "bomb.npz", tmp_path / "set"))
    assert "a decompression bomb?" in str(error)
    np.save(tmp_path / "e.npy", ROWS)
    lie = (tmp_path / "e.npy").read_bytes().replace(b"(6, 4), }" + b" " * 12, b"(60000000000, 4), }  ")
    with zipfile.ZipFile(tmp_path / "lie.npz", "w") as archive:
        archive.writestr("embeddings.npy", lie)
    error = guarded(lambda: import_embeddings(tmp_path / "lie.npz", tmp_path / "set"))
    assert "declares float32 (60000000000, 4), more than it holds" in str(error)
