import json
import re

import numpy as np
import pytest

from revision.align import ALIGNERS, Aligner, make_aligner
from revision.errors import ConfigError, DataError
from revision.gap.measure import SuiteSettings, run_suite
from revision.gap.metrics import METRICS
from revision.gap.page import render
from revision.gap.tables import label, number, order, summary, tables
from revision.geometry.neighbours import mixing_rate, neighbour_overlap
from revision.geometry.ranking import mixed_modality_ndcg
from revision.geometry.representations import linear_cka, mutual_knn
from revision.geometry.separability import linear_separability, relative_modality_gap
from revision.geometry.uniformity import alignment, uniformity

REFERENCE = {"clip": (0.8514, 0.0014648), "convirt": (0.8231, 0.00029964)}


def test_suite_of_real_arrays(real):
    name, image, text = real
    names = [n for n in ("realign", "gaussian_ot", "c3_centred", "procrustes") if n in ALIGNERS]
    suite = run_suite(image, text, names, paired=True, settings=SuiteSettings(fit_share=1))
    before, after = suite.methods["identity"], suite.methods["realign"]
    assert before["gap"] == pytest.approx(REFERENCE[name][0], abs=5e-5)
    assert after["gap"] == pytest.approx(REFERENCE[name][1], abs=2e-6)
    assert {values.pop("gap_floor") is None for method, values in suite.methods.items() if method != "identity"} == {
        True
    }
    assert all(np.isfinite(value) for values in suite.methods.values() for value in values.values())
    assert before["residual_ratio"] == pytest.approx(1 - before["gap"] ** 2 / (2 - 2 * before["pair_cosine"]), abs=1e-6)
    assert suite.drift[0].error < 0.02 * np.linalg.norm(suite.drift[0].measured)
    if name == "clip":
        assert before["image_to_text_at_1"] == pytest.approx(0.552)
        assert after["image_to_text_at_1"] == pytest.approx(0.390)
        assert round(before["relative_gap"], 3) == 0.591
    json.dumps(suite.to_dict(), allow_nan=False)


def test_suite_is_the_same_for_the_same_seed_and_measures_rows_it_was_not_fitted_on(pairs):
    runs = [run_suite(*pairs, ["realign"], paired=True).to_dict() for _ in range(2)]
    assert json.dumps(runs[0]) == json.dumps(runs[1])
    assert runs[0]["counts"]["image_fitted"] == runs[0]["counts"]["image_measured"] == 200
    assert runs[0]["methods"]["identity"]["neighbour_overlap"] == 1
    assert runs[0]["methods"]["realign"]["gap"] < 0.3 * runs[0]["methods"]["identity"]["gap"]


def test_metrics_that_share_neighbours_or_come_from_other_papers_are_those_of_their_modules(pairs):
    image, text = pairs
    suite = run_suite(image, text, ["i0t"], paired=True, settings=SuiteSettings(fit_share=1))
    aligner = make_aligner("i0t").fit(text, image)
    sets = {"identity": pairs, "i0t": (aligner.transform_target(image), aligner.transform(text))}
    for name, (images, texts) in sets.items():
        expected = {
            "mixing_rate": mixing_rate(texts, images),
            "neighbour_overlap": neighbour_overlap(text, texts),
            "relative_gap": relative_modality_gap(images, texts),
            "separability": linear_separability(images, texts),
            "alignment": alignment(images, texts),
            "uniformity": uniformity(texts),
            "mixed_ndcg_at_10": mixed_modality_ndcg(images, texts),
            "mutual_knn": mutual_knn(images, texts),
            "cka": linear_cka(images, texts),
        }
        assert {metric: suite.methods[name][metric] for metric in expected} == pytest.approx(expected, abs=1e-5)
    assert suite.image["uniformity"] == pytest.approx(uniformity(image), abs=1e-6)


def test_unpaired_sets_get_every_metric_that_needs_no_pairs(pairs):
    suite = run_suite(pairs[0][:300], pairs[1], ["all"], paired=False)
    for values in suite.methods.values():
        assert {name for name, value in values.items() if value is None} == {
            name for name, metric in METRICS.items() if metric.needs_pairs
        }
    left_out = {name for name, aligner in ALIGNERS.items() if aligner.paired}
    assert not left_out & set(suite.methods)
    assert sorted(warning.split(" is left out: ")[0] for warning in suite.warnings) == sorted(left_out)


class Unfittable(Aligner):
    """An aligner that cannot be fitted."""

    name = "unfittable"

    def _fit(self, source, target, engine):
        raise DataError("this aligner cannot be fitted")


def test_an_aligner_that_cannot_be_fitted_is_left_out_with_a_warning(pairs, monkeypatch):
    monkeypatch.setitem(ALIGNERS, "unfittable", Unfittable)
    suite = run_suite(*pairs, ["all"], paired=True)
    assert suite.warnings == ["unfittable is left out: this aligner cannot be fitted"]
    assert run_suite(*pairs, ["unfittable"], paired=True).warnings == suite.warnings
    assert set(suite.methods) == set(ALIGNERS) - {"unfittable"}


def test_fewer_rows_than_dimensions_are_noted_and_end_the_spectrum():
    image, text = np.random.default_rng(0).standard_normal((2, 80, 48))
    suite = run_suite(image, text, ["mean_shift"], paired=True)
    assert suite.counts["image_measured"] == 40
    assert any(note.startswith("No more rows than dimensions: spectra end at rank n - 1") for note in suite.notes)
    assert all(np.isfinite(value) for value in suite.methods["identity"].values())


def test_invalid_input_is_refused(pairs):
    with pytest.raises(ConfigError, match="aligner 'nonsense' does not exist"):
        run_suite(*pairs, ["nonsense"], paired=True)
    for rows, aligners in ((40, ["realign"]), (20, [])):
        with pytest.raises(DataError, match="only 20 rows"):
            run_suite(pairs[0][:rows], pairs[1][:rows], aligners, paired=True)
    with pytest.raises(ConfigError, match="fit_share"):
        run_suite(*pairs, [], paired=True, settings=SuiteSettings(fit_share=0))
    broken = pairs[1].copy()
    broken[7, 0] = np.nan
    with pytest.raises(DataError, match="text, row 7: NaN"):
        run_suite(pairs[0], broken, [], paired=True)


@pytest.mark.parametrize("paired", [True, False])
def test_page_is_self_contained_described_and_the_same_every_time(pairs, paired):
    suite = run_suite(*pairs, ["realign"], paired=paired)
    page = render(suite, "<images> & texts")
    assert page == render(suite, "<images> & texts")
    assert "&lt;images&gt; &amp; texts" in page and "<script" not in page
    assert not re.findall(r'(?:src|href)="(?!data:)', page)
    images = re.findall(r"<img [^>]*>", page)
    assert len(images) == 4 and all(re.search(r'alt="[^"]{20,}"', image) for image in images)
    assert number(suite.methods["realign"]["gap"]) in page
    shown = {metric for table in tables(suite) for metric in table.metrics}
    assert shown == {metric for metric in METRICS.values() if paired or not metric.needs_pairs}


def test_rows_are_ordered_by_gap_and_the_best_without_pairs_are_marked(pairs):
    suite = run_suite(*pairs, ["realign", "capdec", "ridge", "mean_shift"], paired=True)
    gaps = [suite.methods[name]["gap"] for name in order(suite)[1:]]
    assert order(suite)[0] == "identity" and gaps == sorted(gaps)
    table = summary(suite)
    assert [row.label for row in table.rows] == [*map(label, order(suite)), "chance"]
    marked = [row.label for row in table.rows if row.best[0]]
    unpaired = [name for name in order(suite)[1:] if not ALIGNERS[name].paired]
    at_floor = [name for name in unpaired if suite.methods[name]["gap"] <= 1.2 * suite.methods[name]["gap_floor"]]
    assert marked == list(dict.fromkeys([unpaired[0], *at_floor])) and 0 < len(marked) < len(unpaired)
    column = [metric.label for metric in table.metrics].index("text to image R@1")
    recall = {name: suite.methods[name]["text_to_image_at_1"] for name in unpaired}
    assert {row.label for row in table.rows if row.best[column]} == {
        name for name, value in recall.items() if value == max(recall.values())
    }


@pytest.mark.parametrize("fit_share", [0.5, 1.0])
def test_floor_of_the_suite_is_that_of_the_rows_that_it_measures(pairs, fit_share):
    image, text = pairs
    values = run_suite(image, text, ["mean_shift"], paired=True, settings=SuiteSettings(fit_share=fit_share)).methods
    if fit_share == 1:
        assert values["mean_shift"]["gap_floor"] is None
        assert values["identity"]["gap_floor"] == pytest.approx(np.sqrt(np.var(image - text, axis=0).sum() / 400))
        return
    order = np.random.default_rng(0).permutation(400)
    fit, held = np.sort(order[:200]), np.sort(order[200:])
    moved = make_aligner("mean_shift").fit(text[fit], image[fit]).transform(text[held])
    trace = np.var(image[held] - moved, axis=0).sum()
    assert values["mean_shift"]["gap_floor"] == pytest.approx(np.sqrt(trace * (1 / 200 + 1 / 200)))
