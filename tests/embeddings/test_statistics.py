"""Statistics in one file: what they hold, what they predict, and which files are refused."""

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from revision.align import ALIGNERS, make_aligner
from revision.embeddings import open_embeddings, write_embeddings
from revision.embeddings.moments import ArrayRows, moments
from revision.embeddings.statistics import Statistics, facts_of, load_statistics, save_statistics
from revision.errors import DataError


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def statistics(rows, covariance=True):
    return Statistics(moments(rows, unit=True, covariance=covariance), {}, "statistics of texts")


def test_a_file_holds_what_numpy_computes_and_names_the_encoder(tmp_path):
    rows = np.random.default_rng(0).standard_normal((50, 6)).astype(np.float32) + 1
    about = {"encoder": {"name": "clip", "revision": "1"}}
    write_embeddings(tmp_path / "set", [str(i) for i in range(50)], rows, about=about)
    embeddings = open_embeddings(tmp_path / "set")
    save_statistics(tmp_path / "one.safetensors", statistics(rows).moments, [facts_of(embeddings)])
    read = load_statistics(tmp_path / "one.safetensors")
    assert np.allclose(read.moments.mean, unit(rows).mean(axis=0))
    assert np.allclose(read.moments.covariance, np.cov(unit(rows).T, bias=True), atol=1e-7)
    assert read.moments.trace == pytest.approx(np.var(unit(rows), axis=0).sum())
    assert read.facts == facts_of(embeddings) and (read.count, read.dim) == (50, 6)
    assert facts_of(embeddings)["encoder"] == "clip" and str(tmp_path) not in str(facts_of(embeddings))
    np.save(tmp_path / "rows.npy", rows)
    facts = facts_of(ArrayRows(rows, str(tmp_path / "rows.npy")))
    save_statistics(tmp_path / "two.safetensors", statistics(rows, False).moments, [facts, facts], "other")
    read = load_statistics(tmp_path / "two.safetensors")
    assert read.facts["encoder"] == "other" and read.moments.scatter is None


def test_the_mean_after_a_shift_is_predicted_to_third_order():
    """The error falls with the cube of the spread, by the exact mean of the rows."""
    random, errors = np.random.default_rng(0), []
    direction, content = unit(random.standard_normal((1, 8)))[0], random.standard_normal((4000, 8))
    shift = 0.3 * random.standard_normal(8)
    for spread in (0.1, 0.05):
        rows = unit(direction + spread * content)
        exact = unit(1.2 * rows + shift).mean(axis=0)
        predicted = statistics(rows).shifted(1.2, shift)
        errors.append(np.linalg.norm(predicted.mean - exact))
        assert predicted.trace == pytest.approx(1 - exact @ exact, rel=0.01)
        assert errors[-1] < 0.05 * np.linalg.norm(exact - unit((1.2 * rows.mean(axis=0) + shift)[None])[0])
    assert errors[1] < errors[0] / 6


def test_realign_of_statistics_closes_the_gap_as_that_of_the_rows_does(pairs):
    image, text = pairs
    of_rows = make_aligner("realign").fit(text, image)
    of_both = make_aligner("realign").fit_stream(statistics(text), statistics(image, covariance=False))
    assert np.allclose(of_both.transforms_[0].shift, of_rows.transforms_[0].shift)
    left, best = (np.linalg.norm((one.transform(text) - image).mean(axis=0)) for one in (of_both, of_rows))
    two_steps = np.linalg.norm((make_aligner("realign", steps=2).fit(text, image).transform(text) - image).mean(axis=0))
    assert left < best + 0.05 * two_steps
    exact = make_aligner("realign").fit_stream(ArrayRows(text), statistics(image, covariance=False))
    assert np.allclose(exact.transforms_[1].shift, of_rows.transforms_[1].shift)


def test_every_aligner_is_fitted_on_statistics_or_says_what_it_needs(pairs):
    image, text = (statistics(rows) for rows in pairs)
    fitted = set()
    for name in ALIGNERS:
        try:
            make_aligner(name).fit_stream(text, image)
            fitted.add(name)
        except DataError as error:
            assert "these are statistics, and the aligner needs" in str(error)
    assert {"identity", "mean_shift", "realign", "c3", "c3_centred"} <= fitted
    assert not {"realign_iterated", "decap", "procrustes", "ridge"} & fitted
    bare = statistics(pairs[1], covariance=False)
    with pytest.raises(DataError, match="needs the covariance; add it with `revision stats --covariance"):
        make_aligner("realign").fit_stream(bare, image)
    make_aligner("realign", steps=2).fit_stream(bare, statistics(pairs[0], covariance=False))


def test_other_files_are_refused(tmp_path):
    save_file({"mean": np.zeros(3)}, tmp_path / "other.safetensors")
    (tmp_path / "text.safetensors").write_text("no statistics")
    for name in ("other", "text", "absent"):
        with pytest.raises(DataError, match=rf"{name}\.safetensors: no statistics here.*revision stats --save"):
            load_statistics(tmp_path / f"{name}.safetensors")
    rows = np.random.default_rng(0).standard_normal((9, 3))
    save_statistics(tmp_path / "whole.safetensors", statistics(rows).moments, [{"encoder": "", "digest": "0"}])
    tensors = load_file(tmp_path / "whole.safetensors")
    metadata = {"format": "revision-statistics-1", "count": "9", "dimension": "3", "trace": "0.5"}
    for change in ({"mean": np.full(3, np.nan)}, {"mean": np.zeros(4)}, {"covariance": np.eye(3)}):
        save_file(tensors | change, tmp_path / "bad.safetensors", metadata)
        with pytest.raises(DataError, match="do not fit each other"):
            load_statistics(tmp_path / "bad.safetensors")
