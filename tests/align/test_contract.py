"""What every aligner owes: scikit-learn's contract, arrays equal to streams, unit rows, errors that say where and
what to do.
"""

import numpy as np
import pytest
from scipy.sparse import issparse
from sklearn.utils import estimator_checks as checks

from revision.align import ALIGNERS, Engine, load_aligner, make_aligner, save_aligner
from revision.errors import ConfigError, DataError
from revision.store import write_embeddings

PAIRED = {name for name, cls in ALIGNERS.items() if cls.paired}


def pick(sets, name):
    return (sets[0], sets[1][: len(sets[0])]) if name in PAIRED else sets


def as_transformer(name):
    """The aligner with a target made from X, so that scikit-learn's one-set checks can call it."""

    class OneSet(ALIGNERS[name]):
        def fit(self, X, y=None):
            dense = not issparse(X) and np.ndim(X) == 2
            return super().fit(X, np.asarray(X)[::-1] ** 3 if dense else X)

    return OneSet


ON_CLASS = [
    checks.check_no_attributes_set_in_init,
    checks.check_parameters_default_constructible,
    checks.check_estimator_cloneable,
    checks.check_estimator_repr,
    checks.check_do_not_raise_errors_in_init_or_set_params,
    checks.check_get_params_invariance,
    checks.check_set_params,
    checks.check_mixin_order,
    checks.check_valid_tag_types,
]
FITTING = [
    checks.check_dont_overwrite_parameters,
    checks.check_estimators_fit_returns_self,
    checks.check_f_contiguous_array_estimator,
    checks.check_estimators_nan_inf,
    checks.check_estimators_unfitted,
    checks.check_fit1d,
    checks.check_fit2d_predict1d,
    checks.check_fit_idempotent,
    checks.check_n_features_in,
    checks.check_n_features_in_after_fitting,
    checks.check_dict_unchanged,
    checks.check_readonly_memmap_input,
    checks.check_complex_data,
    checks.check_estimator_sparse_array,
]


@pytest.mark.parametrize("check", ON_CLASS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", sorted(ALIGNERS))
def test_scikit_learn_checks_of_parameters(name, check):
    check(name, make_aligner(name))


@pytest.mark.parametrize("check", FITTING, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", ["mean_shift", "realign", "c3", "gaussian_ot"])
def test_scikit_learn_checks_of_fitting(name, check):
    check(name, as_transformer(name)())


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
    with pytest.raises(DataError, match=r"aligner\.safetensors: altered.*fit anew"):
        load_aligner(tmp_path / "fitted")
    with pytest.raises(DataError, match=r"no saved aligner here.*revision align --save"):
        load_aligner(tmp_path / "nothing")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").write_text("years of work")
    with pytest.raises(DataError, match="holds no aligner"):
        save_aligner(make_aligner("realign").fit(*sets), tmp_path / "other")
    assert (tmp_path / "other" / "thesis.tex").read_text() == "years of work"


def test_unknown_names_are_listed():
    with pytest.raises(ConfigError, match=r"'re_align' does not exist; the aligners are .*realign"):
        make_aligner("re_align")
    with pytest.raises(ConfigError, match="unknown parameter stepz; it has epsilon, steps"):
        make_aligner("realign", stepz=2)


@pytest.mark.parametrize(
    ("value", "fault"), [(np.nan, "NaN"), (np.inf, "infinity"), (-np.inf, "infinity"), (0.0, "a zero vector")]
)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("name", ["identity", "realign", "gaussian_ot"])
def test_rows_without_a_direction_are_named(sets, name, dtype, value, fault):
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


def test_bad_row_in_a_set_is_named_with_file_and_id(tmp_path, sets):
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


def test_words_are_no_embeddings(sets):
    with pytest.raises(DataError, match="source: "):
        make_aligner("realign").fit([["a", "b"], ["c", "d"]], sets[1])
