"""The contract of every aligner: scikit-learn's checks, the same result for arrays and streams, rows of unit length,
and errors that report location and fix.
"""

import numpy as np
import pytest
from sklearn.utils import estimator_checks as checks

from revision.align import ALIGNERS, Engine, load_aligner, make_aligner, save_aligner
from revision.align.base import array_rows
from revision.align.transforms import Linear, Shift
from revision.embeddings import write_embeddings
from revision.errors import ConfigError, DataError

SHIFTS = ("identity", "mean_shift", "c3", "c3_centred", "i0t")
PAIRED = {name for name, cls in ALIGNERS.items() if cls.paired}


def pick(sets, name):
    return (sets[0], sets[1][: len(sets[0])]) if name in PAIRED else sets


class FromOneSet:
    """An aligner whose target is made from X, so that scikit-learn's one-set checks can call it."""

    def fit(self, X, y=None):
        table = np.asarray(X)
        usable = table.ndim == 2 and table.dtype.kind in "fiu"  # otherwise `fit` has to refuse X
        return super().fit(X, table.astype(np.float64)[::-1] ** 3 if usable else X)


# Attributes of this module, since scikit-learn pickles the classes.
ONE_SET = {name: type(f"OneSet_{name}", (FromOneSet, cls), {"__module__": __name__}) for name, cls in ALIGNERS.items()}
globals().update({cls.__name__: cls for cls in ONE_SET.values()})

NOT_APPLICABLE = {
    "check_estimators_dtypes": "its integers hold zero vectors, which have no direction",
    "check_transformer_preserve_dtypes": "the contract is float32, whatever comes in",
    "check_dtype_object": "it wants a TypeError; a DataError is a ValueError",
}
SPREAD_FAILS = {"check_fit2d_1feature": "unit rows of dimension 1 are 1 or -1 and have no spread to align"}
SEVERAL_ROWS_FAILS = {"check_fit2d_1sample": "it expects another message than 'only 1 row'"}
NOISE_FAILS = {
    "check_methods_sample_order_invariance": "noise belongs to the row's number",
    "check_methods_subset_invariance": "noise belongs to the row's number",
}
IDENTITY_FAILS = {"check_estimators_nan_inf": "its fit does not read the values"}


def expected_to_fail(aligner):
    return (
        NOT_APPLICABLE
        | (SPREAD_FAILS if aligner.name not in (*SHIFTS, "decap", "procrustes") else {})
        | (SEVERAL_ROWS_FAILS if aligner.name not in (*SHIFTS, "decap") else {})
        | (NOISE_FAILS if aligner.name in ("c3", "c3_centred", "capdec") else {})
        | (IDENTITY_FAILS if aligner.name == "identity" else {})
    )


@checks.parametrize_with_checks([cls() for cls in ONE_SET.values()], expected_failed_checks=expected_to_fail)
def test_scikit_learn_checks(estimator, check, monkeypatch):
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")  # else the checks of array inputs are skipped
    check(estimator)


@pytest.mark.parametrize("name", sorted(ALIGNERS))
def test_streams_equal_arrays_and_rows_have_length_one(tmp_path, sets, name):
    source, target = (rows.astype(np.float32) for rows in pick(sets, name))
    of_source = write_embeddings(tmp_path / "y", [str(i) for i in range(len(source))], source, shard_rows=101)
    of_target = write_embeddings(tmp_path / "x", [str(i) for i in range(len(target))], target, shard_rows=64)
    engine = Engine(threads=2, block_rows=50)
    streamed = make_aligner(name).fit_stream(of_source, of_target, engine)
    written = streamed.transform_stream(of_source, tmp_path / "out", engine=engine).array()
    direct = make_aligner(name).fit(source, target).transform(source)
    assert direct.dtype == np.float32
    assert np.abs(written - direct).max() < 1e-6
    assert np.abs(np.linalg.norm(direct.astype(np.float64), axis=1) - 1).max() < 1e-6


@pytest.mark.parametrize("name", sorted(ALIGNERS))
def test_saved_aligner_gives_the_same_bytes(tmp_path, sets, name):
    source, target = pick(sets, name)
    aligner = make_aligner(name).fit(source, target)
    save_aligner(aligner, tmp_path / "fitted")
    loaded = load_aligner(tmp_path / "fitted")
    assert loaded.get_params() == aligner.get_params()
    assert loaded.n_features_in_ == 24
    assert np.array_equal(loaded.transform(source), aligner.transform(source))
    assert np.array_equal(loaded.transform_target(target), aligner.transform_target(target))
    assert np.array_equal(loaded.transform(source[:1]), aligner.transform(source)[:1])
    before = [(tmp_path / "fitted" / file).read_bytes() for file in ("aligner.json", "aligner.safetensors")]
    save_aligner(loaded, tmp_path / "fitted")
    assert before == [(tmp_path / "fitted" / file).read_bytes() for file in ("aligner.json", "aligner.safetensors")]


def test_altered_or_missing_aligner_is_refused(tmp_path, sets):
    save_aligner(make_aligner("realign").fit(*sets), tmp_path / "fitted")
    tensors = tmp_path / "fitted" / "aligner.safetensors"
    data = bytearray(tensors.read_bytes())
    data[-1] ^= 1
    tensors.write_bytes(data)
    with pytest.raises(DataError, match=r"aligner\.safetensors: altered.*fit the aligner again"):
        load_aligner(tmp_path / "fitted")
    with pytest.raises(DataError, match=r"no saved aligner here.*revision align --save"):
        load_aligner(tmp_path / "nothing")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").write_text("years of work")
    with pytest.raises(DataError, match="holds no aligner"):
        save_aligner(make_aligner("realign").fit(*sets), tmp_path / "other")
    assert (tmp_path / "other" / "thesis.tex").read_text() == "years of work"


def test_unknown_names_are_reported_with_the_known_ones():
    with pytest.raises(ConfigError, match=r"'re_align' does not exist; the aligners are .*realign"):
        make_aligner("re_align")
    with pytest.raises(ConfigError, match="aligner 'c3': noise must be a number, got 'abc'"):
        make_aligner("c3", noise="abc")
    with pytest.raises(ConfigError, match="unknown parameter stepz; it has epsilon, steps"):
        make_aligner("realign", stepz=2)


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("bc_align", {"energy": 0}, r"energy must lie in \(0, 1\], got 0"),
        ("gaussian_ot", {"shrinkage": 2}, r"shrinkage must lie in \[0, 1\], got 2"),
        ("ridge", {"regularisation": 0}, "ridge: regularisation must be above 0, got 0"),
    ],
)
def test_parameters_out_of_range_are_reported(sets, name, parameters, message):
    with pytest.raises(ConfigError, match=message):
        make_aligner(name, **parameters).fit(sets[0], sets[1][: len(sets[0])])


@pytest.mark.parametrize(
    ("value", "fault"), [(np.nan, "NaN"), (np.inf, "infinity"), (-np.inf, "infinity"), (0.0, "a zero vector")]
)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("name", ["identity", "realign", "gaussian_ot"])
def test_rows_without_a_direction_are_reported(sets, name, dtype, value, fault):
    source, target = (rows.astype(dtype) for rows in sets)
    broken = source.copy()
    broken[123, :] = 0.0
    broken[123, 4] = value
    aligner = make_aligner(name).fit(source, target)
    with pytest.raises(DataError, match=f"source, row 123: {fault}; drop the row"):
        aligner.transform(broken)
    if name != "identity":
        with pytest.raises(DataError, match=f"source, row 123: {fault}; drop the row"):
            make_aligner(name).fit(broken, target)
        broken_target = target.copy()
        broken_target[5] = value
        with pytest.raises(DataError, match=f"target, row 5: {fault}; drop the row"):
            make_aligner(name).fit(source, broken_target)


@pytest.mark.parametrize("further", [[], [Linear(np.eye(24), np.zeros(24))]])
def test_a_row_that_a_shift_moves_to_zero_is_reported(sets, further):
    rows = array_rows(np.eye(24), "source")
    with pytest.raises(DataError, match="source, row 5: a vector that a shift moves to zero or infinity; drop the row"):
        Engine().moments(rows, transforms=[Shift(1.0, -np.eye(24)[5]), *further])


def test_bad_row_in_a_set_is_reported_with_file_and_id(tmp_path, sets):
    rows = sets[0].copy()
    rows[437] = 0.0
    names = [f"caption-{index}" for index in range(700)]
    source = write_embeddings(tmp_path / "y", names, rows, shard_rows=200)
    target = write_embeddings(tmp_path / "x", names, sets[1][:700])
    with pytest.raises(DataError, match=r"shard-00002\.arrow, row 37 \(id 'caption-437'\): a zero vector"):
        make_aligner("realign").fit_stream(source, target, Engine(threads=2, block_rows=64))


def test_dimensions_of_modalities_must_agree(sets):
    with pytest.raises(DataError, match=r"source, row 0 has dimension 24, target, row 0 has 20; .*one dual encoder"):
        make_aligner("realign").fit(sets[0], sets[1][:, :20])
    with pytest.raises(DataError, match="X has 20 features, but ReAlign is expecting 24"):
        make_aligner("realign").fit(*sets).transform(sets[0][:, :20])


def test_sets_of_other_dimension_or_without_rows_are_reported_with_their_file(tmp_path, sets):
    names = [str(index) for index in range(700)]
    source = write_embeddings(tmp_path / "y", names, sets[0])
    narrow = write_embeddings(tmp_path / "x", names, sets[1][:700, :20])
    shards = r"y/shard-00000\.arrow, row 0 \(id '0'\) has dimension 24, .*x/shard-00000\.arrow, row 0 .* has 20; both"
    with pytest.raises(DataError, match=shards):
        make_aligner("realign").fit_stream(source, narrow)
    empty = write_embeddings(tmp_path / "none", [], sets[1][:0])
    with pytest.raises(DataError, match=r"none, row 0: the set is empty; realign needs at least 2 rows of each"):
        make_aligner("realign").fit_stream(source, empty)
    aligner = make_aligner("realign").fit(*sets)
    with pytest.raises(DataError, match=r"x/shard-00000\.arrow, row 0 .*: X has 20 features.*the encoder that it was"):
        aligner.transform_stream(narrow, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", sorted(ALIGNERS))
def test_empty_set_is_refused(sets, name):
    with pytest.raises(DataError, match=r"source, row 0: the set is empty; .* needs at least"):
        make_aligner(name).fit(sets[0][:0], sets[1])


@pytest.mark.parametrize("name", ["realign", "gaussian_ot", "bc_align", "aniso_align", "realign_iterated"])
def test_one_row_or_a_constant_set_has_no_scale(sets, name):
    with pytest.raises(DataError, match=r"source, row 0: only 1 row; .* needs at least 2"):
        make_aligner(name).fit(sets[0][:1], sets[1])
    with pytest.raises(DataError, match=r"source, row 0: all 50 rows are equal \(T = 0\), so .* has no scale"):
        make_aligner(name).fit(np.tile(sets[0][:1], (50, 1)), sets[1])
    with pytest.raises(DataError, match=r"target, row 0: all 50 rows are equal"):
        make_aligner(name).fit(sets[0], np.tile(sets[1][:1], (50, 1)))


def test_one_row_is_enough_for_a_shift(sets):
    moved = make_aligner("mean_shift").fit(sets[0][:1], sets[1][:1]).transform(sets[0][:1])
    assert np.abs(moved - sets[1][:1]).max() < 1e-7


def test_text_is_refused(sets):
    with pytest.raises(DataError, match="source: "):
        make_aligner("realign").fit([["a", "b"], ["c", "d"]], sets[1])
