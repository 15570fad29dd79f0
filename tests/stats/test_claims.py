"""Every kind of criterion and every verdict on planted tables, and what the shipped claims cover."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from revision.errors import ConfigError
from revision.stats.claims import NOT_RUN, NOT_TESTABLE, SMALLER, Claim, judge, p_value, read_claims, verdict_table
from revision.stats.criteria import CONTRADICTED, INCONCLUSIVE, SUPPORTED, Tables, decide
from revision.stats.intervals import Interval, random_effects
from revision.stats.multiplicity import count_verdicts, false_discoveries, multiplicity
from revision.stats.paired import Answers, paired_table
from revision.stats.published import read_published

ROOT = Path(__file__).parents[2]
CLAIMS = ROOT / "config/claims.yaml"
PUBLISHED = ROOT / "config/published.yaml"


def planted(folder, frame, name="tables/planted.csv"):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(frame).to_csv(path, index=False)
    return name


def claim(*criteria, **settings):
    entries = [{"quantity": "q"} | criterion for criterion in criteria]
    return Claim(**{"id": "c", "statement": "s", "place": "p", "criteria": entries} | settings)


def pairs(folder, *rows):
    """Plant tables/pairs.csv with (first, second, low, high) after Stage 2, over all suites."""
    frame = [
        {"stage": "stage2", "first": a, "second": b, "group": "all", "difference": (x + y) / 2, "low": x, "high": y}
        for a, b, x, y in rows
    ]
    return folder / planted(folder, frame, "tables/pairs.csv")


def tables(folder):
    return Tables(sorted(folder.glob("*/*.csv")))


def judged(folder, **criterion):
    return judge(claim(criterion), tables(folder), "laptop")


@pytest.mark.parametrize(
    ("low", "high", "bounds", "expected"),
    [
        (0.1, 0.3, (0, np.inf), SUPPORTED),
        (-0.3, -0.1, (0, np.inf), CONTRADICTED),
        (-0.1, 0.3, (0, np.inf), INCONCLUSIVE),
        (0.1, 0.3, (-np.inf, 0.5), SUPPORTED),
        (0.6, 0.7, (-np.inf, 0.5), CONTRADICTED),
        (-0.1, 0.1, (-0.2, 0.2), SUPPORTED),
        (0.3, 0.4, (-0.2, 0.2), CONTRADICTED),
        (0.1, 0.4, (-0.2, 0.2), INCONCLUSIVE),
    ],
)
def test_the_whole_interval_decides(low, high, bounds, expected):
    assert decide(Interval((low + high) / 2, low, high), bounds) == expected


@pytest.mark.parametrize(
    ("margin", "value", "expected"),
    [
        (None, 9.0, INCONCLUSIVE),
        (1, 9.0, SUPPORTED),
        (1, 5.5, INCONCLUSIVE),
        (1, 1.0, CONTRADICTED),
        (1, np.nan, INCONCLUSIVE),
    ],
)
def test_a_number_measured_once_must_clear_its_margin(margin, value, expected):
    assert decide(Interval(value, np.nan, np.nan), (5, np.inf), margin) == expected


@pytest.mark.parametrize(
    ("low", "high", "verdict"), [(0.5, 3, SUPPORTED), (-3, -0.5, CONTRADICTED), (-1, 1, INCONCLUSIVE)]
)
def test_better_reads_the_paired_difference(tmp_path, low, high, verdict):
    both = {"first": "a", "second": "b", "group": "all"}
    rows = [
        {"stage": "stage2", **both, "difference": (low + high) / 2, "low": low, "high": high},
        {"stage": "stage1", **both, "difference": 50, "low": 49, "high": 51},
    ]
    planted(tmp_path, rows, "tables/pairs.csv")
    outcome = judged(tmp_path, kind="better", rows=["a", "b"])
    assert (outcome.verdict, outcome.effect) == (verdict, Interval((low + high) / 2, low, high))
    assert judged(tmp_path, kind="better", rows=["a", "b"], between=[-4, 4]).verdict == SUPPORTED
    assert judged(tmp_path, kind="better", rows=["a", "x"]).reason == "tables/pairs.csv: no row with second x"


def test_value_over_replicates_has_students_interval(tmp_path):
    values = np.array([0.30, 0.34, 0.38])
    source = planted(tmp_path, {"method": ["a"] * 3, "seed": range(3), "gap": values})
    about = {"kind": "value", "source": source, "metric": "gap", "where": {"method": "a"}, "over": "seed"}
    expected = stats.t.interval(0.95, 2, loc=values.mean(), scale=stats.sem(values))
    outcome = judged(tmp_path, **about, above=0.1)
    assert outcome.verdict == SUPPORTED and (outcome.effect.low, outcome.effect.high) == pytest.approx(expected)
    assert judged(tmp_path, **about, below=0.1).verdict == CONTRADICTED
    assert judged(tmp_path, **about, above=0.33).verdict == INCONCLUSIVE


def test_value_uses_the_interval_of_its_row_or_is_exact_or_measured_once(tmp_path):
    rows = [{"m": "with", "value": 2.0, "low": 1.0, "high": 3.0}, {"m": "once", "value": 2.0}]
    about = {"kind": "value", "source": planted(tmp_path, rows), "metric": "value"}
    assert judged(tmp_path, **about, where={"m": "with"}, above=0).effect == Interval(2, 1, 3)
    assert judged(tmp_path, **about, where={"m": "with"}, above=1.5).verdict == INCONCLUSIVE
    once = judged(tmp_path, **about, where={"m": "once"}, above=1)
    assert (once.verdict, once.reason) == (INCONCLUSIVE, "measured once: no interval")
    assert judged(tmp_path, **about, where={"m": "once"}, above=1, exact=True).effect == Interval(2, 2, 2)


def test_difference_and_ratio_are_paired_by_replicate(tmp_path):
    first, second = np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.2, 2.5, 3.4, 4.9])
    source = planted(
        tmp_path, {"method": ["a"] * 4 + ["b"] * 4, "seed": [0, 1, 2, 3] * 2, "x": [*first, *second]}
    )  # fmt: skip
    about = {"source": source, "metric": "x", "of": {"method": "a"}, "to": {"method": "b"}, "over": "seed"}
    outcome = judged(tmp_path, kind="difference", **about, below=0)
    change = first - second
    expected = stats.t.interval(0.95, 3, loc=change.mean(), scale=stats.sem(change))
    assert outcome.verdict == SUPPORTED and (outcome.effect.low, outcome.effect.high) == pytest.approx(expected)
    ratio = judged(tmp_path, kind="ratio", **about, below=1)
    assert ratio.verdict == SUPPORTED and ratio.effect.value == pytest.approx(stats.gmean(first / second))
    assert judged(tmp_path, kind="ratio", **about, above=1).verdict == CONTRADICTED
    assert judged(tmp_path, kind="difference", **about, between=[-0.6, 0]).verdict == INCONCLUSIVE


def test_ratio_of_two_columns_of_one_row(tmp_path):
    source = planted(tmp_path, {"factor": [0.5, 1.0], "measured": [1.0, 9.5], "predicted": [1.0, 10.0]})
    about = {"kind": "ratio", "source": source, "metric": "measured", "to_metric": "predicted", "where": {"factor": 1}}
    assert judged(tmp_path, **about, between=[0.9, 1.1], margin=0.02).verdict == SUPPORTED
    assert judged(tmp_path, **about, between=[0.9, 1.1], exact=True).effect.value == pytest.approx(0.95)
    assert judged(tmp_path, **about, above=2, margin=0.02).verdict == CONTRADICTED


def test_correlation_and_slope(tmp_path):
    rng = np.random.default_rng(1)
    x = np.geomspace(1, 100, 40)
    source = planted(tmp_path, {"x": x, "y": x**2 * np.exp(0.05 * rng.standard_normal(40)), "z": rng.random(40)})
    slope = judged(tmp_path, kind="slope", source=source, metric="y", x="x", between=[1.8, 2.2])
    assert slope.verdict == SUPPORTED and slope.effect.low < 2 < slope.effect.high
    assert judged(tmp_path, kind="slope", source=source, metric="y", x="x", below=1).verdict == CONTRADICTED
    up = judged(tmp_path, kind="correlation", source=source, metric="y", x="x", above=0)
    y = pd.read_csv(tmp_path / source).y
    assert up.verdict == SUPPORTED and up.effect.value == pytest.approx(np.corrcoef(x, y)[0, 1])
    assert judged(tmp_path, kind="correlation", source=source, metric="z", x="x", above=0).verdict == INCONCLUSIVE


def test_all_criteria_must_hold(tmp_path):
    source = planted(tmp_path, {"m": [1.0], "n": [5.0]})
    good, bad, open_, absent = (
        {"kind": "value", "source": source, "metric": metric, "above": bound, "exact": exact}
        for metric, bound, exact in (("m", 0, True), ("n", 9, True), ("m", 0, False), ("q", 0, True))
    )
    for criteria, verdict in (
        ((good, good), SUPPORTED),
        ((good, open_, bad), CONTRADICTED),
        ((good, open_), INCONCLUSIVE),
        ((good, absent), NOT_RUN),
    ):
        assert judge(claim(*criteria), tables(tmp_path), "laptop").verdict == verdict


def test_not_run_has_a_reason(tmp_path):
    criterion = {"kind": "value", "source": "tables/none.csv", "metric": "x", "above": 0}
    assert judged(tmp_path, **criterion).reason == "tables/none.csv was not made"
    other = judge(claim(criterion, scales=("paper",)), tables(tmp_path), "laptop")
    assert (other.verdict, other.reason) == (NOT_RUN, "needs scale paper")
    planted(tmp_path, {"a": [1.0, 2.0]}, "tables/none.csv")
    assert "no column x" in judged(tmp_path, kind="value", source="tables/none.csv", metric="x", above=0).reason
    assert "2 different values" in judged(tmp_path, kind="value", source="tables/none.csv", metric="a", above=0).reason


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (
            "{kind: magic, metric: x, above: 0}",
            "claim c: .*'magic' .* does not match any of the expected tags: 'better'",
        ),
        ("{kind: slope, source: t, quantity: q, x: n, above: 0}", "slope.metric: Field required"),
        ("{kind: value, source: t, quantity: q, metric: x}", "exactly one of above, below and between"),
        (
            "{kind: value, source: t, quantity: q, metric: x, above: 0, below: 1}",
            "exactly one of above, below and between",
        ),
        ("{kind: better, rows: [a]}", r"criteria\.0\.better\.rows\.1: Field required"),
        ("{kind: better, rows: [a, b], upside: 0}", "upside: Extra inputs are not permitted"),
        (
            "{kind: better, rows: [a, b]}], requires: [{kind: better, rows: [a]}",
            "requires.0.better.rows.1: Field required",
        ),
    ],
)
def test_a_malformed_claim_reports_its_id_and_key(tmp_path, entry, message):
    path = tmp_path / "claims.yaml"
    path.write_text(f"- {{id: c, statement: s, place: p, criteria: [{entry}]}}\n")
    with pytest.raises(ConfigError, match=message):
        read_claims(path)


def test_repeated_ids_and_missing_files_are_refused(tmp_path):
    path = tmp_path / "claims.yaml"
    path.write_text("- &c {id: c, statement: s, place: p, criteria: [{kind: better, rows: [a, b]}]}\n- *c\n")
    with pytest.raises(ConfigError, match="more than one claim has the id c; ids must be unique"):
        read_claims(path)
    with pytest.raises(ConfigError, match="no such file"):
        read_claims(tmp_path / "none.yaml")


def test_the_shipped_claims_cover_the_paper():
    claims = read_claims(CLAIMS)
    assert len(claims) >= 40
    places = " ".join(claim.place for claim in claims)
    for number in range(1, 9):
        assert re.search(rf"tables? [\d and]*\b{number}\b", places), f"table {number}"
    for number in (1, 3, 4, 5, 6, 7, 8, 9, 10, 11):
        assert re.search(rf"figure {number}\D", places + " "), f"figure {number}"
    assert {"appendix C", "theorem B.14", "appendix H.4", "section 4", "section 5"} <= {claim.place for claim in claims}
    table = verdict_table(claims, [], "laptop")
    assert set(table.verdict) == {NOT_RUN} and table.reason.str.len().min() > 0 and table.criterion.str.len().min() > 10


def test_a_claim_without_criteria_is_refused(tmp_path):
    (tmp_path / "claims.yaml").write_text("- {id: empty, statement: s, place: p, criteria: []}\n")
    with pytest.raises(ConfigError, match=r"claims\.yaml: claim empty: criteria: Tuple should have at least 1 item"):
        read_claims(tmp_path / "claims.yaml")


def test_a_criterion_reads_as_a_sentence():
    better = {"kind": "better", "rows": ["a", "b"]}
    value = {"kind": "value", "source": "t", "quantity": "gap", "metric": "x"}
    names = {"a": "ReAlign", "b": "No Align"}
    for criterion, sentence in (
        (better, "ReAlign minus No Align, accuracy after Stage 2, points: above 0"),
        (
            better | {"group": "reasoning", "between": [-1, 1], "stage": "stage1"},
            "ReAlign minus No Align, accuracy on reasoning suites after Stage 1, points: between -1 and 1",
        ),
        (value | {"below": 0.5, "margin": 0.1}, "gap: below 0.5 with 0.1 to spare"),
    ):
        assert claim(criterion).criteria[0].describe(names.__getitem__) == sentence


# Figure 1's criteria, written before its first result. A change here is a change of what the project claims to have
# tested.
FIGURE_1 = {
    "leak_over_isotropic": ("below", 0.5),
    "leak_baseline_distance": ("below", 0.1),
    "leak_baseline_correlation": ("above", 0.5),
    "gamma_cosine": ("above", 0.95),
    "gamma_drift_end": ("below", 0.5),
    "delta_condition_ratio": ("above", 3.0),
    "delta_condition_ratio_min": ("above", 3.0),
    "rho_eig_early": ("above", 0.8),
    "rho_eig": ("above", 0.8),
    "rho_eig_over_chance": ("above", 0.0),
    "zeta_condition_ratio": ("above", 1.0),
    "gamma_angle": ("above", 80.0),
}


def test_the_criteria_of_figure_1_are_those_written_before_the_results():
    claims = [claim for claim in read_claims(CLAIMS) if claim.place.startswith("figure 1")]
    criteria = [criterion for claim in claims if not claim.second_version_of for criterion in claim.criteria]
    criteria = [criterion for criterion in criteria if criterion.source == "figures/figure_1_summary.csv"]
    sides = {
        criterion.where["metric"]: ("below", criterion.below) if criterion.above is None else ("above", criterion.above)
        for criterion in criteria
    }
    assert sides == FIGURE_1 and len(criteria) == len(FIGURE_1)


@pytest.mark.parametrize("scale", ["laptop", "photos", "pretrained", "pretrained_gpu"])
def test_the_committed_verdicts_follow_from_the_committed_tables(scale):
    results = ROOT / "reference" / scale
    committed = pd.read_csv(results / "tables/claims.csv")
    sources = [*results.glob("figures/*.csv"), *results.glob("tables/*.csv")]
    columns = ["id", "verdict", "effect", "low", "high", "verdict_without_control", "published", "p", "exploratory"]
    judged = verdict_table(read_claims(CLAIMS), sources, scale, published=read_published(PUBLISHED))
    pd.testing.assert_frame_equal(judged[columns], committed[columns])


def test_only_declared_sources_are_read(tmp_path):
    criterion = {"kind": "value", "metric": "x", "above": 0, "exact": True}
    declared, stale = (planted(tmp_path, {"x": [1.0]}, f"tables/{name}.csv") for name in ("declared", "stale"))
    claims = [claim(criterion | {"source": source}) for source in (declared, stale)]
    verdicts = verdict_table(claims, [tmp_path / declared], "laptop")
    assert verdicts.verdict.tolist() == [SUPPORTED, NOT_RUN]
    assert verdicts.reason[1] == "tables/stale.csv was not made"


def test_two_files_of_one_source_are_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"other/tables/a.csv: .*tables/a.csv is also named tables/a.csv; give one"):
        Tables([tmp_path / "tables/a.csv", tmp_path / "other/tables/a.csv"])


def test_what_a_table_lacks_is_the_reason_that_nothing_was_judged(tmp_path):
    source = planted(tmp_path, {"method": ["a", "b", "b"], "seed": [0, 1, 2], "gap": [0.1, 0.2, 0.3]})
    sides = {"of": {"method": "a"}, "to": {"method": "b"}, "over": "seed"}
    for criterion, reason in (
        ({"kind": "difference", "metric": "gap", **sides}, "no seed is on both sides"),
        ({"kind": "value", "metric": "gap", "where": {"scale": "tiny"}}, "no column scale"),
        (
            {"kind": "correlation", "metric": "gap", "x": "seed"},
            "3 rows; a correlation or slope with an interval takes 4",
        ),
    ):
        outcome = judged(tmp_path, source=source, above=0, **criterion)
        assert (outcome.verdict, outcome.reason) == (NOT_RUN, f"{source}: {reason}")


CONTROL = {"kind": "better", "rows": ["paired", "no_align"]}


@pytest.mark.parametrize("name", ["supported", "inconclusive", "contradicted"])
@pytest.mark.parametrize(("low", "high", "holds"), [(0.2, 1, True), (-0.5, 1, False), (-1, -0.2, False)])
def test_a_claim_is_decided_only_where_its_positive_control_holds(tmp_path, name, low, high, holds):
    ends = {"supported": (1, 2), "inconclusive": (-1, 2), "contradicted": (-2, -1)}[name]
    path = pairs(tmp_path, ("revision", "c3", *ends), ("paired", "no_align", low, high))
    controlled = claim({"kind": "better", "rows": ["revision", "c3"]}, requires=[CONTROL])
    row = verdict_table([controlled], [path], "laptop", str.upper).iloc[0]
    assert row.verdict_without_control == name and row.verdict == (name if holds else NOT_TESTABLE)
    assert (row.effect, row.low, row.high) == (sum(ends) / 2, *ends)
    measured = (
        f"PAIRED minus NO_ALIGN, accuracy after Stage 2, points: above 0; measured: {(low + high) / 2:.3g} [{low:g}, "
    )
    assert row.reason == "" if holds else measured in row.reason


def test_a_missing_control_is_not_met_and_a_claim_that_was_not_run_stays_so(tmp_path):
    path = pairs(tmp_path, ("revision", "c3", 1, 2))
    claims = [claim({"kind": "better", "rows": rows}, requires=[CONTROL]) for rows in (("revision", "c3"), ("x", "y"))]
    table = verdict_table(claims, [path], "laptop")
    assert table.verdict.tolist() == [NOT_TESTABLE, NOT_RUN]
    assert "measured: tables/pairs.csv: no row with first paired" in table.reason[0]


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(-1, 2, SMALLER), (-2, -1, SMALLER), (-1, 2.7, INCONCLUSIVE), (0.5, 2, SUPPORTED)],
)
def test_an_interval_below_the_published_effect_is_smaller_than_published(tmp_path, low, high, verdict):
    path = pairs(tmp_path, ("revision", "no_align", low, high), ("paired", "no_align", -1, 1))
    printed = {"table": "table1", "rows": ["ReVision", "No Align"]}
    plain = claim({"kind": "better", "rows": ["revision", "no_align"]}, published=printed)
    blocked = plain.model_copy(update={"requires": claim(CONTROL).criteria})
    table = verdict_table([plain, blocked], [path], "laptop", published=read_published(PUBLISHED))
    assert table.verdict.tolist() == [verdict, NOT_TESTABLE] and table.published.tolist() == pytest.approx([2.66] * 2)
    below = "the interval is below the published effect, +2.66"
    assert [below in reason for reason in table.reason] == [verdict == SMALLER] * 2
    assert verdict_table([plain], [path], "laptop").verdict[0] != SMALLER


def test_the_published_effect_of_a_group_is_the_mean_over_its_benchmarks():
    published = read_published(PUBLISHED)
    printed = {"table": "table1", "rows": ["ReVision", "No Align"]}
    general = claim({"kind": "better", "rows": ["a", "b"], "group": "general"}, published=printed)
    expected = np.mean([79.65 - 73.63, 36.13 - 35.73, 76.71 - 75.23, 47.97 - 43.53])
    assert general.published_effect(published) == pytest.approx(expected)
    for table, rows in (("table9", ["ReVision", "No Align"]), ("table1", ["ReVision", "Nobody"])):
        absent = claim({"kind": "better", "rows": ["a", "b"]}, published={"table": table, "rows": rows})
        with pytest.raises(ConfigError, match=f"published effect {table}, {rows[0]} minus {rows[1]}, all: no"):
            absent.published_effect(published)


def test_a_second_version_names_an_existing_claim_and_a_reason(tmp_path):
    path = tmp_path / "claims.yaml"
    first, second = "- {id: a, ", "- {id: b, second_version_of: %s, %s"
    rest = "statement: s, place: p, criteria: [{kind: better, rows: [x, y]}]}\n"
    path.write_text(first + rest + second % ("a", "reason: badly posed, exploratory: [laptop], ") + rest)
    table = verdict_table(read_claims(path), [pairs(tmp_path, ("x", "y", 1, 2))], "laptop")
    assert table.verdict.tolist() == [SUPPORTED] * 2 and table.second_version_of.tolist() == ["", "a"]
    assert table.exploratory.tolist() == [False, True] and table.replaced_because[1] == "badly posed"
    assert count_verdicts(table).to_numpy().sum() == 1
    path.write_text(first + rest + second % ("c", "reason: r, ") + rest)
    with pytest.raises(ConfigError, match="claim b: second_version_of: no claim c"):
        read_claims(path)
    path.write_text(first + rest + second % ("a", "") + rest)
    with pytest.raises(ConfigError, match="takes second_version_of, the id of the first, and a reason"):
        read_claims(path)


def test_the_interval_of_a_difference_of_differences_is_that_of_paired_draws(tmp_path):
    rng = np.random.default_rng(0)
    draws = rng.multivariate_normal([5, 1, 2, 4], np.full((4, 4), 0.6) + 0.4 * np.diag([1.0, 2, 3, 4]), 200_000).T
    names = "abcd"
    rows = []
    for first in range(4):
        for second in range(4):
            if first != second:
                change = draws[first] - draws[second]
                half = 1.959964 * change.std()
                rows.append((names[first], names[second], change.mean() - half, change.mean() + half))
    pairs(tmp_path, *rows)
    for than, other in ((["c", "d"], draws[2] - draws[3]), (["c", "a"], draws[2] - draws[0])):
        effect = judged(tmp_path, kind="larger_gain", rows=["a", "b"], than=than).effect
        gain = draws[0] - draws[1] - other
        half = 1.959964 * gain.std()
        assert (effect.value, effect.low, effect.high) == pytest.approx(
            (gain.mean(), gain.mean() - half, gain.mean() + half)
        )


def test_the_interval_of_a_difference_of_differences_is_that_of_its_answers(tmp_path):
    rng = np.random.default_rng(7)
    shape = (4, 2, 60)
    trainings = 0.1 * rng.standard_normal((4, *shape[:2], 1))
    correct = rng.random((4, *shape)) + trainings + 0.4 * rng.standard_normal((4, 1, 1, 60)) > 0.5
    table = paired_table(Answers(list("abcd"), {"suite": correct.astype(float)}, {"suite": "all"}))
    table.assign(stage="stage2").drop_duplicates(["first", "second"]).to_csv(
        tmp_path / planted(tmp_path, {}, "tables/pairs.csv"), index=False
    )
    a, b, c, d = correct.astype(float)
    for than, other in ((["c", "d"], c - d), (["c", "a"], c - a)):
        expected = random_effects([a - b - other])
        interval = expected.interval()
        effect = judged(tmp_path, kind="larger_gain", rows=["a", "b"], than=than).effect
        assert effect.degrees_of_freedom == pytest.approx(expected.degrees_of_freedom)
        assert (effect.value, effect.low, effect.high) == pytest.approx(
            (100 * interval.value, 100 * interval.low, 100 * interval.high)
        )


def test_seeds_are_nested_in_encoders_where_a_table_has_several(tmp_path):
    rng = np.random.default_rng(8)
    first, second = rng.random((2, 4, 2)) + 1
    rows = [
        {"method": method, "encoder": e, "seed": s, "loss": values[e, s]}
        for method, values in (("a", first), ("b", second))
        for e in range(4)
        for s in range(2)
    ]
    sides = {"metric": "loss", "of": {"method": "a"}, "to": {"method": "b"}, "over": "seed", "above": 0}
    for frame, count in ((rows, 4), ([row for row in rows if row["encoder"] == 2], 2)):
        source = planted(tmp_path, frame, f"tables/{count}.csv")
        change, log_ratio = first - second, np.log(first / second)
        if count == 4:
            change, log_ratio = change.mean(axis=1), log_ratio.mean(axis=1)
        else:
            change, log_ratio = change[2], log_ratio[2]
        ends = stats.t.interval(0.95, count - 1, change.mean(), stats.sem(change))
        effect = judged(tmp_path, kind="difference", source=source, **sides).effect
        assert (effect.value, effect.low, effect.high) == pytest.approx((change.mean(), *ends))
        ends = stats.t.interval(0.95, count - 1, log_ratio.mean(), stats.sem(log_ratio))
        effect = judged(tmp_path, kind="ratio", source=source, **sides).effect
        assert (effect.low, effect.high) == pytest.approx(tuple(np.exp(ends)))


def test_a_partial_correlation_holds_a_column_fixed(tmp_path):
    rng = np.random.default_rng(2)
    fixed, x = rng.standard_normal((2, 500))
    y = 3 * fixed + 0.3 * x + rng.standard_normal(500)
    x = x - 2 * fixed
    source = planted(tmp_path, {"x": x, "y": y, "fixed": fixed})
    about = {"kind": "correlation", "source": source, "metric": "y", "x": "x", "above": 0}
    assert judged(tmp_path, **about).verdict == CONTRADICTED
    outcome = judged(tmp_path, **about, given="fixed")
    r = np.corrcoef([x, y, fixed])
    expected = (r[0, 1] - r[0, 2] * r[1, 2]) / np.sqrt((1 - r[0, 2] ** 2) * (1 - r[1, 2] ** 2))
    assert outcome.verdict == SUPPORTED and outcome.effect.value == pytest.approx(expected)
    half = stats.norm.ppf(0.975) / np.sqrt(500 - 4)
    ends = np.tanh(np.arctanh(expected) + np.array([-half, half]))
    assert (outcome.effect.low, outcome.effect.high) == pytest.approx(tuple(ends))


@pytest.mark.parametrize(
    ("low", "high", "bounds", "expected"),
    [
        (0, 2, {}, 0.05),
        (-1, 1, {}, 1.0),
        (-2, 0, {}, 0.05),
        (1, 2, {}, 2 * stats.norm.sf(3 * stats.norm.ppf(0.975))),
        (-1, 1, {"between": [-1, 1.5]}, 0.05),
        (0, 0, {}, 1.0),
        (1, 1, {}, 0.0),
    ],
)
def test_the_p_value_agrees_with_the_interval(tmp_path, low, high, bounds, expected):
    pairs(tmp_path, ("a", "b", low, high))
    one = claim({"kind": "better", "rows": ["a", "b"]} | bounds)
    assert p_value(one, judge(one, tables(tmp_path), "laptop")) == pytest.approx(expected)


@pytest.mark.parametrize("freedom", [2, 3, 7.5])
def test_the_p_value_is_that_of_the_t_statistic(tmp_path, freedom):
    error, effect = 0.8, 1.7
    half = stats.t.ppf(0.975, freedom) * error
    path = pairs(tmp_path, ("a", "b", effect - half, effect + half))
    pd.read_csv(path).assign(degrees_of_freedom=freedom).to_csv(path, index=False)
    one = claim({"kind": "better", "rows": ["a", "b"]})
    expected = 2 * stats.t.sf(effect / error, freedom)
    assert p_value(one, judge(one, tables(tmp_path), "laptop")) == pytest.approx(expected)


def test_questions_beyond_the_paper_are_a_family_of_their_own(tmp_path):
    path = pairs(tmp_path, ("a", "b", 1, 2))
    criterion = {"kind": "better", "rows": ["a", "b"]}
    claims = [claim(criterion, id="asked"), claim(criterion, id="own", place="beyond the paper")]
    table = verdict_table(claims, [path], "laptop")
    assert table.family.tolist() == ["training", "beyond the paper"]
    counts = count_verdicts(table)
    assert counts.index.tolist() == table.family.tolist() and counts.supported.tolist() == [1, 1]
    assert [sentence.split(":")[0] for sentence in multiplicity(table)] == ["Training", "Beyond the paper"]


def test_multiplicity_is_stated_by_family(tmp_path):
    source = planted(
        tmp_path, {"m": ["once", "sampled"], "x": [2, 2], "low": [np.nan, 1], "high": [np.nan, 3]}, "figures/f.csv"
    )
    prices = planted(tmp_path, {"x": [1.0]}, "figures/costs.csv")
    # The second pair has z = 2.2 and p = 0.028; Holm's method doubles it, as the second smallest of three.
    z = stats.norm.ppf(0.975)
    path = pairs(tmp_path, ("a", "b", 4 - z, 4 + z), ("a", "c", 2.2 - z, 2.2 + z), ("a", "d", -z, z))
    criteria = [
        *(
            {"kind": "value", "source": source, "metric": "x", "where": {"m": m}, "above": 0}
            for m in ("once", "sampled")
        ),
        {"kind": "better", "rows": ["a", "b"]},
        {"kind": "better", "rows": ["a", "c"]},
        {"kind": "better", "rows": ["a", "d"]},
        {"kind": "better", "rows": ["a", "x"]},
        {"kind": "value", "source": prices, "metric": "x", "above": 0, "exact": True},
    ]
    claims = [claim(criterion, id=f"c{number}") for number, criterion in enumerate(criteria)]
    table = verdict_table(claims, [tmp_path / source, tmp_path / prices, path], "laptop")
    assert multiplicity(table) == [
        "Geometry: 2 tests. With an interval only: 1; at 5%, 0.1 of these would be decided by chance if every true"
        " effect were on its bound. Measured once, with a margin of unknown error rate: 1.",
        "Training: 3 tests. With a p-value: 3, of which 2 decided by the criteria alone and 1 after Holm's correction"
        " (not c3).",
        "Arithmetic: 1 tests. Exact, without sampling error: 1.",
    ]
    # Four tests have an interval: one of the geometry and three of training, of which three were decided.
    assert false_discoveries(table) == (
        "3 of 4 tests with an interval were decided; at 5% each, chance is expected to decide 0.2 at most (7% of the"
        " 3). Effects measured once, with a margin of unknown error rate: 1."
    )
    assert count_verdicts(table).to_dict("index") == {
        "geometry": {SUPPORTED: 1, INCONCLUSIVE: 1, NOT_RUN: 0},
        "training": {SUPPORTED: 2, INCONCLUSIVE: 1, NOT_RUN: 1},
        "arithmetic": {SUPPORTED: 1, INCONCLUSIVE: 0, NOT_RUN: 0},
    }
