"""Texts and numbers of the figure scripts, from made-up tables."""

import json

import captioning
import figure_06_samples
import figure_12_answers
import figure_h4_costs
import figure_retrieval
import figure_scaling
import matplotlib
import numpy as np
import pandas as pd
import pytest
import report
import style
import tables
from figure_inputs import sample
from jinja2 import UndefinedError
from scipy import stats
from working_folder import ROOT

from revision.config import load, read_yaml
from revision.config.variants import ScoreTable
from revision.data.scenes import World
from revision.stats.intervals import Interval


@pytest.mark.parametrize(
    ("scale", "place", "parts", "facts", "chance"),
    [
        (
            "laptop",
            "images of a built-in world",
            "A dual encoder trained from scratch",
            "The built-in world",
            28.0303,
        ),
        ("pretrained", "images of a built-in world", "Trained heads on frozen", "The built-in world", 28.0303),
        ("paper", "real data", "The encoder of config/encoders/llm2clip_l14_336.yaml", "Held-out pairs", None),
    ],
)
def test_report_names_data_and_encoder(scale, place, parts, facts, chance):
    config = load(ROOT / "config", scale).model_dump(mode="json") | {"scale": "a scale of my own"}
    setting = report.setting(config)
    assert (setting["place"], setting["facts"]) == (place, facts)
    assert setting["chance"] == (chance and pytest.approx(chance, abs=1e-3))
    assert setting["parts"].startswith(parts)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.71899, "0.719"),
        (0.0004292, "0.0004292"),
        (9726.6, "9,727"),
        (240, "240"),
        (0, "0"),
        (-37.5, "-37.5"),
        (8.754e10, "8.754 × 10¹⁰"),
        (-7.994e-16, "-7.994 × 10⁻¹⁶"),
        (None, "–"),
        (float("nan"), "–"),
    ],
)
def test_numbers_are_formatted_for_readers(value, text):
    assert style.number(value) == text


def test_plateau_is_the_first_size_near_the_last_gap():
    assert figure_06_samples.plateau([10, 100, 1000, 10_000], [5.0, 1.2, 1.05, 1.0]) == 1000
    assert figure_06_samples.plateau([10, 100], [1.0, 1.0]) == 10


def test_contents_are_scenes_or_image_paths_or_unknown(work, tmp_path):
    contents = [scene.content().hex() for scene in World().scenes("probe", 0, 160)]
    probe = work / "embeddings/probe_short"
    assert list(sample(probe, work / "data/probe.parquet").contents) == contents
    table = pd.read_parquet(work / "data/probe.parquet").drop(columns="content")
    table.to_parquet(tmp_path / "unknown.parquet")  # the images are in the table
    assert sample(probe, tmp_path / "unknown.parquet").contents is None
    table.assign(image="same.jpg").to_parquet(tmp_path / "paths.parquet")
    assert set(sample(probe, tmp_path / "paths.parquet").contents) == {"same.jpg"}


def test_costs_are_the_published_tokens_times_prices():
    published = read_yaml(ROOT / "config/published.yaml")
    table = figure_h4_costs.measure(published).set_index("data")
    assert table.usd["Paired image-text"] == pytest.approx(221.64 * 1.25 + 16.15 * 10)
    assert table.relative["ReVision-1M"] == pytest.approx((11.64 * 1.25 + 16.15 * 10) / 438.55)
    assert table.published_relative["ReVision-1M"] == 0.37


def test_samples_are_correct_and_wrong_and_from_many_suites():
    rows = [
        {"suite": suite, "group": "g", "question": f"{suite}-{i}", "prediction": "x", "correct": i % 2}
        for suite in "abcdefgh"
        for i in range(10)
    ]
    chosen = figure_12_answers.choose(pd.DataFrame(rows))
    assert chosen.correct.tolist() == [1] * 4 + [0] * 4
    assert chosen.suite.nunique() == 8
    only_wrong = figure_12_answers.choose(pd.DataFrame(rows).assign(correct=0))
    assert only_wrong.correct.tolist() == [0] * 4


def test_captioning_has_a_row_per_replicate_and_its_caption_states_intervals(work):
    paths = sorted((work / "captions").glob("*.parquet"))
    table = captioning.measure(pd.concat(map(pd.read_parquet, paths)))
    assert not table.duplicated([*captioning.REPLICATE, "metric"]).any()
    assert set(table.method + "/" + table.stage) == {
        "revision/stage1", "paired/stage1", "revision/stage2", "blind/stage2",
    }  # fmt: skip
    cells = table.set_index(["metric", "stage", "method", "condition", "seed"]).value.sort_index()
    assert cells["pair_f1", "stage1", "revision", "own", 0] == 1
    # "red" has no object: undefined precision, and every such caption is counted.
    assert np.isnan(cells["object_precision", "stage1", "revision", "mean", 0])
    assert cells["without_object", "stage1", "revision", "mean", 0] == 1
    findings = captioning.findings(table)
    assert [row["method"] for row in findings["stage2"]] == ["revision"]  # the text-only model has no own image
    objects = cells["object_f1", "stage2", "revision"].unstack("condition")
    found, differences = findings["stage2"][0], objects.own - objects[objects.drop(columns="own").mean().idxmax()]
    assert found["own"].value == 1 and found["difference"].value == pytest.approx(differences.mean())
    half = stats.t.ppf(0.975, 1) * differences.std() / np.sqrt(2)
    assert found["difference"].high == pytest.approx(differences.mean() + half)
    # The floors of two seeds differ so much that 0 is in the interval; those of one of them, twice, do not.
    assert len(findings["stage1"]) == 2 and findings["above"] == 0 and findings["without"] == 0
    twice = pd.concat([table[table.seed == 1], table[table.seed == 1].assign(seed=2)])
    assert captioning.findings(twice)["above"] == 2
    numbers = {
        "stage1": [
            {
                "method": "revision",
                "own": Interval(0.25, 0.2, 0.3),
                "highest": "none",
                "difference": Interval(-0.25, -0.5, 0.1),
            }
        ],
        "above": 0,
    }
    caption = style.fill_template("captioning", findings | numbers | {"images": 4, "paired": "paired"})["caption"]
    assert "0 of 1 methods" in caption
    assert "after Stage 1 ReVision 0.25 [0.20, 0.30], -0.25 [-0.50, +0.10] to no visual token." in caption


def test_captions_of_photographs_are_judged_by_cider_alone(work, tmp_path):
    captions = pd.concat(map(pd.read_parquet, sorted((work / "captions").glob("*.parquet"))))
    captions = captions[captions.method.str.startswith("stage1")]
    captions[list(captioning.METRICS)] = None  # contents of photographs are not known
    table = captioning.measure(captions)
    assert set(table.metric) == {"cider"}
    captioning.draw(captioning.summarise(table, "stage1"), "paired", tmp_path / "captioning.csv")
    assert (tmp_path / "captioning.png").is_file()
    findings = captioning.findings(table)
    own = table[(table.condition == "own") & (table.method == "revision")].value.mean()
    assert findings["stage1"][0]["own"].value == pytest.approx(own)
    assert len(findings["stage1"]) == 2 and findings["stage2"] == [] and not findings["scenes"]
    caption = style.fill_template("captioning", findings | {"images": 4, "paired": "paired"})["caption"]
    assert caption.startswith(
        f"**After Stage 1, {findings['above']} of 2 methods write captions of held-out images with a CIDEr-D above"
    )
    assert "object" not in caption and "After Stage 2" not in caption


def trade(steps, other):
    """The retrieval figure's table if ReAlign's steps change R@1 by `steps` and one other method by `other`."""
    methods = dict(zip(figure_retrieval.STEPS[1:], np.cumsum(steps), strict=True)) | {"other": other}
    rows = []
    for name, change in {"identity": 0.0, **methods}.items():
        for way in figure_retrieval.WAYS:
            rows.append(figure_retrieval.row(name, "R@1", way, Interval(0.5 + change, 0, 1)))
            rows.append(figure_retrieval.row(name, "R@1 without common part", way, Interval(0.5, 0, 1)))
            rows.append(figure_retrieval.row(name, "common part", way, Interval(0.1 - change, 0, 1)))
        rows.append(figure_retrieval.row(name, "gap", "both", Interval(0.5 if name == "identity" else 0.1, 0, 1)))
        wide = Interval(change, change - 0.01, change + 0.01)
        rows.append(figure_retrieval.row(name, "change", "both", wide))
    for name, step in zip(figure_retrieval.STEPS[1:], steps, strict=True):
        rows.append(figure_retrieval.row(name, "step", "both", Interval(step, step - 0.01, step + 0.01)))
    return pd.DataFrame(rows)


def explained(table, paired=()):
    """The caption of the retrieval figure."""
    pairs = dict.fromkeys(("texts", "images", "pairs", "count", "dim"), 7)
    return style.fill_template("retrieval", {"pairs": pairs} | figure_retrieval.findings(table, list(paired)))[
        "caption"
    ]


def test_the_explanation_follows_the_numbers():
    first_step = explained(trade((-0.1, 0.0, 0.0), 0.0))
    assert "Clearly below zero: step 1: anchor." in first_step and "rank correlation of -1.00" in first_step
    assert "without a clear loss: other +0.0 [-1.0, +1.0]. With a clear loss: ReAlign step 1 -10.0" in first_step
    assert "a change of +0.0 points instead of -10.0." in first_step
    later_steps = explained(trade((0.0, -0.05, -0.05), -0.2))
    assert "Clearly below zero: step 2: trace, step 3: centroid." in later_steps
    losses = "With a clear loss: ReAlign steps 1+2 -5.0 [-6.0, -4.0], ReAlign -10.0 [-11.0, -9.0], other -20.0"
    assert losses in later_steps
    no_step = explained(trade((0.0, 0.0, 0.0), -0.2), ["other"])
    assert "no step." in no_step and "With a clear loss: none." in no_step


@pytest.mark.parametrize(
    ("accuracies", "expected"),
    [
        ((40, 45, 55), "reaches that of paired data at 1.4 times as many texts as pairs, or 0.57 of their cost."),
        ((51, 52, 55), "reaches that of paired data already at 0.5 times"),
        ((40, 42, 45), "Up to 2 times as many texts as pairs the mean accuracy stays below that of paired data."),
    ],
)
def test_where_texts_overtake_pairs_follows_from_the_curve(accuracies, expected):
    paired = {"method": "paired", "texts": 100, "cost": 1.0, "value": 50}
    curve = [
        {"method": f"r{texts}", "texts": texts, "cost": 0.4 * texts / 100, "value": value}
        for texts, value in zip((50, 100, 200), accuracies, strict=True)
    ]
    table = pd.DataFrame([paired, *curve]).assign(
        metric="accuracy",
        encoders=1,
        seeds=3,
        difference=lambda rows: rows.value - 50,
        difference_low=-1,
        difference_high=9,
    )
    numbers = {"a_text": 0.4} | figure_scaling.overtaking(table, "paired")
    caption = style.fill_template("scaling", numbers)["caption"]
    assert expected in caption
    assert f"the difference is {accuracies[-1] - 50:+.1f} points [-1.0, +9.0]" in caption
    assert "Means over 3 training seeds;" in caption and "conditional on one encoder" in caption


def test_missing_number_of_a_caption_is_an_error():
    with pytest.raises(UndefinedError, match="relative"):
        style.fill_template("costs", {"price": {}})


def test_sidecar_has_plain_numbers_or_null(tmp_path):
    price = dict.fromkeys(("input_per_million", "output_per_million"), 1)
    numbers = {"price": price, "relative": dict.fromkeys(("ReVision-1M", "ReVision-2M"), 1.0)}
    rows = [("x", None, np.float32(0.5)), ("y", 1, None)]
    style.describe(tmp_path / "a.csv", numbers, rows, template="costs")
    text = json.loads((tmp_path / "a.json").read_text())
    assert text["comparisons"] == [
        {"what": "x", "paper": None, "ours": 0.5},
        {"what": "y", "paper": 1.0, "ours": None},
    ]
    with pytest.raises(ValueError, match="JSON"):
        style.describe(tmp_path / "b.csv", numbers, [("x", None, float("nan"))], template="costs")


@pytest.mark.parametrize(
    ("encoders", "expected", "conditional"),
    [(4, "Means over 4 encoders with 3 training seeds each", False), (1, "Means over 3 training seeds", True)],
)
@pytest.mark.usefixtures("legible")
def test_a_table_states_its_design_and_what_it_can_detect(encoders, expected, conditional, tmp_path):
    rng = np.random.default_rng(0)
    rows = [
        {"method": f"stage2/{method}", "encoder": e, "seed": s, "suite": suite, "group": "general", "question": q}
        for method in ("revision", "no_align", "blind")
        for e in range(encoders)
        for s in range(3)
        for suite in ("colour", "count")
        for q in range(40)
    ]
    level = {"stage2/revision": 0.6, "stage2/no_align": 0.6, "stage2/blind": 0.1}
    frame = pd.DataFrame(rows)
    frame["correct"] = (rng.random(len(frame)) < frame.method.map(level)).astype(int)
    frame.to_parquet(tmp_path / "answers.parquet")
    settings = ScoreTable(title="t", rows=["blind", "no_align", "revision"], reference="revision", published={})
    table = tables.measure([tmp_path / "answers.parquet"], settings, [])
    whole = table[(table.suite == "average") & (table.group == "all")].set_index("method")
    numbers = tables.precision(whole)
    about = {"title": "t", "place": "p", "reference": "ReVision", "note": "", "compares": False}
    caption = style.fill_template("table", about | numbers)["caption"]
    with matplotlib.rc_context(style.STYLE):
        tables.draw(table.assign(published_average=np.nan), "revision", tmp_path / "table.csv")
    assert (tmp_path / "table.png").stat().st_size > 5000
    assert expected in caption and ("conditional on one encoder" in caption) == conditional
    assert caption.startswith("**Clearly different from ReVision: Blind.** Accuracy after Stage 2 on 80 questions.")
    difference, detectable = whole.difference["no_align"], sorted(whole.detectable[["no_align", "blind"]])
    assert f"Within noise of the reference: No Align ({difference:+.1f} points)." in caption
    assert f"detects differences of {detectable[0]:.1f} to {detectable[1]:.1f} points" in caption
