"""Importers: every format gives the same rows, no pickle runs code, and every bad row is reported."""

import collections
import pickle

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import save_file

from revision.embeddings.importers import import_embeddings, source_files
from revision.embeddings.unpickler import read_pickle
from revision.errors import DataError

ROWS = np.random.default_rng(0).standard_normal((30, 6)).astype(np.float32)
IDS = [f"item-{index}" for index in range(30)]


def entries(rows=ROWS, ids=IDS, text="caption"):
    return [{"id": name, "embed": row, text: "a red circle"} for name, row in zip(ids, rows, strict=True)]


def write_pickles(folder, protocol=4):
    folder.mkdir()
    for part in range(3):
        rows = slice(part * 10, part * 10 + 10)
        data = pickle.dumps(entries(ROWS[rows], IDS[rows], "image_path"), protocol=protocol)
        (folder / f"embeds_{[2, 10, 11][part]}.pkl").write_bytes(data)
    return folder


def write_npy(path):
    np.save(path / "e.npy", ROWS)
    return path / "e.npy"


def write_npz(path):
    np.savez(path / "e.npz", embeddings=ROWS, ids=np.array(IDS))
    return path / "e.npz"


def write_parquet(path):
    pq.write_table(pa.table({"id": IDS, "embedding": list(ROWS), "note": ["x"] * 30}), path / "e.parquet")
    return path / "e.parquet"


def write_safetensors(path):
    save_file({"image_features": ROWS}, path / "e.safetensors")
    return path / "e.safetensors"


@pytest.mark.parametrize("write", [write_npy, write_npz, write_parquet, write_safetensors])
def test_every_format_gives_the_rows(tmp_path, write):
    source = write(tmp_path)
    imported = import_embeddings(source, tmp_path / "set")
    assert np.array_equal(imported.array(), ROWS)
    has_ids = write in (write_npz, write_parquet)
    assert imported.ids().to_pylist() == (IDS if has_ids else [f"e:{row}" for row in range(30)])
    assert imported.about == {"imported_from": source.name}


@pytest.mark.parametrize("protocol", range(6))
def test_pickle_folders_of_the_released_code_are_read_in_numeric_order(tmp_path, protocol):
    imported = import_embeddings(write_pickles(tmp_path / "pkl", protocol), tmp_path / "set", dtype="float16")
    assert np.array_equal(imported.array(), ROWS.astype(np.float16).astype(np.float32))
    assert imported.ids().to_pylist() == IDS


def test_pickle_with_lists_and_numpy_ids(tmp_path):
    rows = [{"id": np.int64(i), "embed": row.tolist(), "caption": "a"} for i, row in enumerate(ROWS)]
    (tmp_path / "e.pkl").write_bytes(pickle.dumps(rows))
    imported = import_embeddings(tmp_path / "e.pkl", tmp_path / "set")
    assert imported.ids().to_pylist() == [str(i) for i in range(30)]
    assert np.array_equal(imported.array(), ROWS)


class Run:
    """Has the unpickler call `function(*arguments)`."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_malicious_pickle_is_refused_without_running(tmp_path, protocol):
    import os

    for function, name in ((os.system, "system"), (eval, "eval"), (getattr, "getattr"), (np.load, "load")):
        proof = tmp_path / "proof"
        attack = Run(function, f"touch {proof}" if function is os.system else f"open({str(proof)!r}, 'w')")
        (tmp_path / "evil.pkl").write_bytes(pickle.dumps([{"id": "a", "embed": attack}], protocol=protocol))
        with pytest.raises(
            DataError, match=rf"evil\.pkl: .*it asks for [\w.]+\.{name}, which is not data and was not run"
        ):
            import_embeddings(tmp_path / "evil.pkl", tmp_path / "set")
        assert not proof.exists()
        assert not (tmp_path / "set").exists()


def test_plain_containers_are_read_and_other_objects_refused(tmp_path):
    value = {
        "a": [1, 2.5, None, (True, "x")],
        "b": {b"raw"},
        "c": collections.OrderedDict(z=np.arange(3)),
        "d": np.float32(2),
    }
    (tmp_path / "plain.pkl").write_bytes(pickle.dumps(value))
    data = read_pickle(tmp_path / "plain.pkl")
    assert np.array_equal(data["c"]["z"], np.arange(3))
    assert {key: data[key] for key in "abd"} == {key: value[key] for key in "abd"}
    (tmp_path / "path.pkl").write_bytes(pickle.dumps(collections.Counter("aab")))
    with pytest.raises(DataError, match=r"asks for collections\.Counter"):
        read_pickle(tmp_path / "path.pkl")


RECONSTRUCT, SCALAR = np._core.multiarray._reconstruct, np._core.multiarray.scalar
EMPTY, SINGLE, TWO = (np.ndarray, (0,), b"b"), np.dtype("<f4"), np.array([1, 2], "<f4").tobytes()


class Built(Run):
    """Has the unpickler call `function(*arguments)` and set `state` on the result."""

    def __init__(self, function, arguments, state):
        self.call = (function, arguments, state)


def test_arrays_that_python_2_pickled_as_text_are_read(tmp_path):
    state = (1, (2,), SINGLE, False, TWO.decode("latin1"))
    (tmp_path / "old.pkl").write_bytes(pickle.dumps(Built(RECONSTRUCT, EMPTY, state), protocol=2))
    assert read_pickle(tmp_path / "old.pkl").tolist() == [1, 2]


@pytest.mark.parametrize(
    "value",
    [
        Run(np.dtype, "O"),
        Built(RECONSTRUCT, EMPTY, (1, (2,), SINGLE, False, [1, 2])),
        Built(RECONSTRUCT, EMPTY, (1, (2,), "f4", False, TWO)),
        Built(RECONSTRUCT, EMPTY, (1, (-2,), SINGLE, False, TWO)),
        Built(RECONSTRUCT, EMPTY, (1, (3,), SINGLE, False, TWO)),
        Run(np._core.numeric._frombuffer, TWO, SINGLE, (3,), "C"),
        Run(SCALAR, SINGLE, b"12"),
    ],
)
def test_inconsistent_arrays_are_refused(tmp_path, value):
    (tmp_path / "odd.pkl").write_bytes(pickle.dumps(value))
    with pytest.raises(DataError, match=r"odd\.pkl: not a pickle of plain arrays"):
        read_pickle(tmp_path / "odd.pkl")


def test_only_the_byte_order_of_a_pickled_dtype_is_used(tmp_path):
    """numpy would trust a state that declares numbers to be objects, and follow them as pointers."""
    kind = Built(np.dtype, ("f4",), (3, ">", None, ("a",), {"a": (np.dtype("f4"), 0)}, 8, 8, 63))
    state = (1, (2,), kind, False, np.array([1, 2], ">f4").tobytes())
    (tmp_path / "odd.pkl").write_bytes(pickle.dumps(Built(RECONSTRUCT, EMPTY, state)))
    assert read_pickle(tmp_path / "odd.pkl").tolist() == [1, 2]


def test_missing_pickle_is_a_file_not_found_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_pickle(tmp_path / "nowhere.pkl")


def test_object_arrays_hidden_in_npy_are_not_unpickled(tmp_path):
    proof = tmp_path / "proof"
    np.save(tmp_path / "evil.npy", np.array([[Run(open, str(proof), "w")]], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match=r"evil\.npy: cannot be read .*Python objects"):
        import_embeddings(tmp_path / "evil.npy", tmp_path / "set")
    assert not proof.exists()


@pytest.mark.parametrize(("value", "fault"), [(np.nan, "NaN"), (np.inf, "infinity"), (0.0, "a zero vector")])
def test_bad_rows_are_reported_with_file_and_row(tmp_path, value, fault):
    rows = ROWS.copy()
    rows[17] = value
    np.save(tmp_path / "e.npy", rows)
    with pytest.raises(DataError, match=rf"e\.npy, row 17: {fault}; drop the row or embed it again"):
        import_embeddings(tmp_path / "e.npy", tmp_path / "set")
    assert not (tmp_path / "set").exists()


def test_files_of_different_dimension_are_reported(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    np.save(folder / "1.npy", ROWS)
    np.save(folder / "2.npy", ROWS[:, :5])
    with pytest.raises(
        DataError, match=r"2\.npy, row 0: dimension 5, but the rows before have 6; embed all files with one"
    ):
        import_embeddings(folder, tmp_path / "set")
    mixed = entries()
    mixed[4]["embed"] = ROWS[4, :3]
    (tmp_path / "mixed.pkl").write_bytes(pickle.dumps(mixed))
    with pytest.raises(DataError, match=r"mixed\.pkl, row 4: dimension 3, but the rows before have 6"):
        import_embeddings(tmp_path / "mixed.pkl", tmp_path / "set")


def test_duplicate_ids_are_reported(tmp_path):
    np.savez(tmp_path / "e.npz", embeddings=ROWS, ids=np.array([*IDS[:29], "item-3"]))
    with pytest.raises(DataError, match="id 'item-3' is in rows 3 and 29"):
        import_embeddings(tmp_path / "e.npz", tmp_path / "set")


def test_given_ids_must_match_the_rows(tmp_path):
    np.save(tmp_path / "e.npy", ROWS)
    assert import_embeddings(tmp_path / "e.npy", tmp_path / "set", ids=IDS).ids().to_pylist() == IDS
    with pytest.raises(DataError, match="only 29 ids were given"):
        import_embeddings(tmp_path / "e.npy", tmp_path / "set", ids=IDS[:29])
    with pytest.raises(DataError, match="30 rows for 31 ids"):
        import_embeddings(tmp_path / "e.npy", tmp_path / "set", ids=[*IDS, "more"])


def test_unusable_sources_are_reported_with_the_reason(tmp_path):
    with pytest.raises(DataError, match="does not exist; name a file or a folder of files"):
        source_files(tmp_path / "nothing")
    (tmp_path / "e.csv").write_text("1,2")
    with pytest.raises(DataError, match=r"files ending in '\.csv' are not supported; convert to one of \.pkl"):
        source_files(tmp_path / "e.csv")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no file of a supported format"):
        source_files(tmp_path / "empty")
    np.save(tmp_path / "none.npy", ROWS[:0])
    with pytest.raises(DataError, match="holds no rows"):
        import_embeddings(tmp_path / "none.npy", tmp_path / "set")
    np.save(tmp_path / "flat.npy", ROWS[0])
    with pytest.raises(
        DataError, match=r"flat\.npy: float32 of shape \(6,\), expected floating-point numbers of shape"
    ):
        import_embeddings(tmp_path / "flat.npy", tmp_path / "set")
    np.savez(tmp_path / "two.npz", left=ROWS, right=ROWS)
    with pytest.raises(DataError, match="holds left, right; rename the embeddings to 'embedding'"):
        import_embeddings(tmp_path / "two.npz", tmp_path / "set")


def pickled(value):
    return lambda path: path.with_suffix(".pkl").write_bytes(pickle.dumps(value))


def tabled(values):
    return lambda path: pq.write_table(pa.table({"embedding": values}), path.with_suffix(".parquet"))


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (pickled({"a": 1}), r"e\.pkl: holds dict, expected a list"),
        (pickled([{"id": "a", "embed": "red"}]), r"row 0: 'embed' is str, not a vector of numbers"),
        (pickled([{"id": "a", "embed": np.array(["red"])}]), r"row 0: 'embed' is not a vector of numbers \("),
        (tabled([[1.0, 2.0], [1.0, 2.0, 3.0]]), r"from row 0: column 'embedding' holds vectors of lengths \[2, 3\]"),
        (tabled([["a", "b"], ["c", "d"]]), r"column 'embedding' holds list<.*string>, expected lists of numbers"),
        (
            lambda path: np.save(path.with_suffix(".npy"), ROWS[None]),
            r"an array of shape \(1, 30, 6\), expected \(n, d\); write one file per modality",
        ),
        (lambda path: np.savez(path.with_suffix(".npz"), embeddings=ROWS, ids=["a", "b"]), "2 ids for 30 rows"),
    ],
)
def test_other_content_is_reported(tmp_path, write, message):
    write(tmp_path / "e")
    (source,) = tmp_path.iterdir()
    with pytest.raises(DataError, match=message):
        import_embeddings(source, tmp_path / "set")
    assert not (tmp_path / "set").exists()


@pytest.mark.parametrize("write", [write_npy, write_npz, write_parquet, write_safetensors])
def test_damaged_files_are_reported(tmp_path, write):
    source = write(tmp_path)
    source.write_bytes(source.read_bytes()[:40])
    with pytest.raises(DataError, match=rf"{source.name}: cannot be read .*export it again"):
        import_embeddings(source, tmp_path / "set")


def test_damaged_pickle_is_reported(tmp_path):
    (tmp_path / "cut.pkl").write_bytes(pickle.dumps(entries())[:200])
    with pytest.raises(DataError, match=r"cut\.pkl: not a pickle of plain arrays"):
        import_embeddings(tmp_path / "cut.pkl", tmp_path / "set")
    (tmp_path / "odd.pkl").write_bytes(pickle.dumps([{"id": "a"}]))
    with pytest.raises(DataError, match=r"odd\.pkl, row 0: expected a dictionary with 'id' and 'embed'"):
        import_embeddings(tmp_path / "odd.pkl", tmp_path / "set")
