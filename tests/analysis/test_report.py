"""The answer, the main figure's numbers and the sections of the report, from made-up tables."""

import json
import re
import sys

import answer
import exhibits
import figure_main
import numpy as np
import pandas as pd
import pytest
import scales
from working_folder import ROOT

from revision.stats.claims import read_claims, verdict_table

CLAIMS = read_claims(ROOT / "config/claims.yaml")


def main_table(aligned=(1.0, 0.5, 1.5), ceiling=(2.0, 1.5, 2.5), seen=(9.0, 8.0, 10.0), left=0.001):
    """The main figure's table: gains over No Align and over Blind, and the fraction of the gap that is left."""
    rows = [
        (what, method, "", value, 0.99 * value, 1.01 * value)
        for what in figure_main.GAP
        for method, value in (("no_align", 0.7), ("revision", 0.7 * left))
    ]
    for what in (figure_main.STAGE1, figure_main.STAGE2):
        rows += [(what, "revision", "no_align", *aligned), (what, "paired", "no_align", *ceiling)]
    rows.append((figure_main.STAGE2, "paired", "blind", *seen))
    return pd.DataFrame(rows, columns=["what", "method", "reference", "value", "low", "high"])


@pytest.mark.parametrize(
    ("changes", "stage1", "stage2"),
    [
        ({}, "alignment helps", "alignment helps"),
        ({"aligned": (-1, -1.5, -0.5)}, "alignment hurts", "alignment hurts"),
        ({"aligned": (0.1, -0.5, 0.7)}, "no effect of alignment is clear", "no effect of alignment is clear"),
        ({"ceiling": (0.1, -0.5, 0.7)}, "cannot rank aligners", "cannot rank aligners"),
        ({"seen": (1, -0.5, 2.5)}, "alignment helps", "this run decides nothing"),
        ({"seen": (1, np.nan, np.nan)}, "alignment helps", "this run decides nothing"),
    ],
)
def test_the_answer_says_what_the_controls_allow(changes, stage1, stage2):
    gap, first, second = answer.sentences(main_table(**changes))
    assert gap[0] == "ReAlign closes the gap" and "0.700 [0.693, 0.707] to 0.000700 [" in gap[1]
    assert stage1 in first[0] and first[0].startswith("After Stage 1") and "nats per token" in first[1]
    assert stage2 in second[0] and second[0].startswith("After Stage 2") and "points" in second[1]
    for head, text in (first, second):
        assert ("Its positive control fails" in text) == ("cannot rank" in head or "decides nothing" in head)


def test_an_answer_without_a_control_says_how_it_fails_and_whether_the_difference_is_clear():
    cases = [((0.1, -0.5, 0.7), (-3, -4, -2)), ((1, 0.5, 1.5), (0.1, -0.5, 0.7))]  # aligned, ceiling
    worse, unclear = (answer.sentences(main_table(aligned=one, ceiling=two))[2][1] for one, two in cases)
    assert "training on pairs is worse than no alignment (-3.0" in worse and "clear by itself" not in worse
    assert "even training on pairs is not clearly better" in unclear and unclear.endswith("clear by itself.")


def test_the_answer_includes_training_on_text_alone_where_a_run_has_it():
    rows = [
        ("text only", "text_revision", "text_no_align", 6, 4, 8),
        ("text only", "paired", "text_no_align", 9, 8, 10),
    ]
    table = main_table()
    head, text = answer.sentences(pd.concat([table, pd.DataFrame(rows, columns=table.columns)]))[-1]
    assert head == "Beyond the paper, with text alone in both stages, alignment helps"
    assert text.startswith("ReAlign raises the accuracy by 6.0 [4.0, 8.0] points against no alignment; the ceiling,")


def test_the_answer_says_where_the_gap_stays_open_and_where_a_control_is_missing():
    table = main_table(left=0.5)
    heads = [head for head, _ in answer.sentences(table[table.method != "paired"])]
    assert heads == [
        "ReAlign does not close the gap",
        *(f"After Stage {stage} this run cannot tell" for stage in (1, 2)),
    ]


def main_figure(folder, monkeypatch, **further):
    """Draw the main figure from made-up gaps, losses and further tables; its table by what, method and reference."""
    gap = pd.DataFrame(
        [
            (caption, method, sample, seed, value)
            for caption in ("short", "long")
            for method, value in (("identity", 0.8), ("realign", 0.001), ("c3", 0.02))
            for sample in ("fitted", "held-out")
            for seed in (0, 1)
        ],
        columns=["caption", "method", "sample", "seed", "gap"],
    )
    losses = pd.DataFrame(
        [
            {"method": method, "encoder": 0, "seed": seed, "caption_loss": loss + seed, "mean_image_loss": 2.0 + seed}
            for method, loss in (("no_align", 1.5), ("revision", 1.2), ("paired", 1.1))
            for seed in (0, 1)
        ]
    )
    words = ["figure_main", "--out", folder / "figure_main.csv"]
    for name, frame in {"gap": gap, "losses": losses, "pairs": None, "captions": None, **further}.items():
        words.append(f"--{name}")
        if frame is not None:
            words.append(folder / f"{name}.csv")
            frame.to_csv(words[-1], index=False)
    monkeypatch.setattr(sys, "argv", [*map(str, words)])
    figure_main.main()
    table = pd.read_csv(folder / "figure_main.csv")
    sidecar = json.loads((folder / "figure_main.json").read_text())
    return table, table.set_index(["what", "method", "reference"]).value.sort_index(), sidecar


def test_the_main_figure_has_gains_with_the_sign_that_more_is_better(tmp_path, monkeypatch):
    pairs = pd.DataFrame(
        [
            ("stage2", first, second, "all", difference, difference - 1, difference + 1)
            for first, second, difference in (
                *(("revision", "no_align", 0.5), ("paired", "no_align", 2.0)),
                *(("blind", "no_align", -30.0), ("paired", "blind", 32.0), ("text_revision", "text_no_align", 7.0)),
            )
        ],
        columns=["stage", "first", "second", "group", "difference", "low", "high"],
    )
    _, table, sidecar = main_figure(tmp_path, monkeypatch, pairs=pairs)
    assert table["fitted", "revision"].item() == 0.001 and table["held-out", "c3"].item() == 0.02
    assert table["stage1", "revision", "no_align"] == pytest.approx(0.3)
    assert table["stage1", figure_main.NO_IMAGE, "no_align"] == pytest.approx(-0.5)
    assert table["stage2", "blind", "no_align"] == -30 and table["stage2", "paired", "blind"] == 32
    assert table["text only", "text_revision", "text_no_align"] == 7
    assert sidecar["caption"].startswith(
        "**ReAlign leaves a gap of 0.001 of 0.8; the caption loss after Stage 1 changes by -0.300 ["
    )
    assert "the accuracy after Stage 2 by +0.5 [-0.5, +1.5] points.**" in sidecar["caption"]
    assert (tmp_path / "figure_main.png").is_file()


def test_the_main_figure_and_the_answer_of_a_run_without_stage_2_are_about_captions(tmp_path, monkeypatch):
    scores = {"no_align": 0.02, "revision": 0.05, "paired": 0.12}
    captions = pd.DataFrame(
        [
            (method, "stage1", condition, 0, seed, "cider", score if condition == "own" else 0.01)
            for method, score in scores.items()
            for condition in ("own", "mean")
            for seed in (0, 1)
        ],
        columns=["method", "stage", "condition", "encoder", "seed", "metric", "value"],
    )
    rows, table, sidecar = main_figure(tmp_path, monkeypatch, captions=captions)
    assert table["captions", "revision", "no_align"] == pytest.approx(0.03)
    assert table["captions", figure_main.NO_IMAGE, "no_align"] == pytest.approx(-0.01)
    assert "nats per token, the CIDEr-D of captions by +0.03 [" in sidecar["caption"]
    assert not any("Stage 2" in sidecar[key] for key in ("alt", "caption"))
    _, loss, cider = answer.sentences(rows)
    assert loss[0] == "After Stage 1 alignment helps" and cider[0] == "In captions after Stage 1, alignment helps"
    assert cider[1].startswith("ReAlign raises the quality of captions of held-out images by 0.03 [0.03, 0.03] CIDEr-D")
    worse = rows.assign(low=rows.low.mask((rows.what == "captions") & (rows.method == "paired"), -0.01))
    assert answer.sentences(worse)[2][0] == "In captions after Stage 1, this run cannot rank aligners"


def test_every_claim_reads_alone():
    for claim in CLAIMS:
        assert not re.match(r"(So|And|But|It|That|This|These|They|Then|Here|Also)\b", claim.statement), claim.id
        assert ", too" not in claim.statement and claim.statement.endswith("."), claim.id


@pytest.mark.parametrize(
    ("place", "section", "targets"),
    [
        ("figure 1a", "arises", ["figure-1a", "figure-1"]),
        ("theorem B.14", "arises", []),
        ("section 4", "closing", []),
        ("figure 9b", "closing", ["figure-9b", "figure-9"]),
        ("figure 10a", "captions", ["figure-10a", "figure-10"]),
        ("figure 12", "training", ["figure-12"]),
        ("tables 1 and 6", "training", ["table-1", "table-6"]),
        ("appendix H.4", "costs", []),
        ("follow-up paper", "beyond", []),
    ],
)
def test_a_place_in_the_paper_has_a_section_and_figures(place, section, targets):
    assert (exhibits.section_of(place), exhibits.places_of(place)) == (section, targets)


def test_a_claim_is_shown_with_what_decided_it(tmp_path):
    path = tmp_path / "tables/pairs.csv"
    path.parent.mkdir()
    rows = [
        ("text_revision", "text_no_align"),
        ("paired", "text_no_align"),
        ("mix_10", "revision"),
        ("paired", "blind"),
    ]
    frame = [
        {"stage": "stage2", "first": a, "second": b, "group": "all", "difference": 1, "low": 0.5, "high": 1.5}
        for a, b in rows
    ]
    pd.DataFrame(frame).to_csv(path, index=False)
    table = verdict_table(CLAIMS, [path], "laptop", exhibits.name_of)
    shown = {"figure-1", "figure-3", "figure-10", "followup", "costs", "zero-shot", "table-text-only", "table-mixtures"}
    tables = {"table-text-only": ["text_revision", "text_no_align"], "table-mixtures": ["mix_10", "revision"]}
    groups = exhibits.placed(table, shown, tables)
    found = {claim["id"]: (section, exhibit) for (section, exhibit), group in groups.items() for claim in group}
    assert found["text_only_needs_alignment"] == ("beyond", "table-text-only")
    assert found["few_images_suffice"] == ("beyond", "table-mixtures")
    assert found["gap_exists"] == ("closing", "not run")
    ran = exhibits.placed(table.assign(verdict="supported"), shown, tables)
    found = {claim["id"]: (section, exhibit) for (section, exhibit), group in ran.items() for claim in group}
    for name, place in {
        "leakage": ("arises", "figure-1"),
        "anisotropic_residual": ("arises", "followup"),
        "long_captions_gap": ("captions", "figure-10"),
        "printed_relative_cost": ("costs", "costs"),
        "zero_shot_loss": ("training", "zero-shot"),
        "anchor_alone": ("training", ""),
    }.items():
        assert found[name] == place, name
    second = {one["id"] for group in groups.values() for claim in group for one in claim["second"]}
    assert len(found) + len(second) == len(CLAIMS) and "realign_closes_long_held_out" in second


@pytest.mark.parametrize(
    ("quantity", "effect", "text"),
    [
        ("a minus b, accuracy after Stage 2, points", (1.234, -0.5, 3), "+1.2 [-0.5, +3.0]"),
        ("caption loss, nats per token", (-0.1234, None, None), "-0.123"),
        ("nearest neighbours kept by ReAlign, percent", (97.94, 97.94, 97.94), "97.9"),
        ("ratio", (0.00045678, 0.0004, 0.0005), "0.000457 [0.000400, 0.000500]"),
        ("ratio", (None, None, None), ""),
    ],
)
def test_an_effect_has_the_format_of_its_unit(quantity, effect, text):
    claim = {"quantity": quantity} | dict(zip(("effect", "low", "high"), effect, strict=True))
    assert exhibits.effect_text(claim) == text


def test_scales_stand_side_by_side(tmp_path, monkeypatch):
    for scale, ends in (("laptop", (0.5, 1.5)), ("tiny", (-3.0, 4.0))):
        for folder in ("tables", "figures"):
            (tmp_path / scale / folder).mkdir(parents=True)
        frame = [
            {"stage": "stage2", "first": "revision", "second": "revision_again", "group": "all"}
            | {"difference": sum(ends) / 2, "low": ends[0], "high": ends[1]}
        ]
        frame[0] |= {"first": "revision_again", "second": "revision"}
        pd.DataFrame(frame).to_csv(tmp_path / scale / "tables/pairs.csv", index=False)
        table = verdict_table(CLAIMS, [tmp_path / scale / "tables/pairs.csv"], scale, exhibits.name_of)
        table.to_csv(tmp_path / scale / "tables/claims.csv", index=False)
    main_table().to_csv(tmp_path / "laptop/figures/figure_main.csv", index=False)
    words = [tmp_path / "laptop", tmp_path / "tiny", "--out", tmp_path / "scales.html"]
    monkeypatch.setattr(sys, "argv", ["scales", *map(str, words)])
    scales.main()
    page = (tmp_path / "scales.html").read_text(encoding="utf-8")
    row = page[page.index('id="claim-same_method_twice"') :].split("</tr>")[0]
    assert 'href="laptop/report.html#claim-same_method_twice">inconclusive</a><small>+1.0 [+0.5, +1.5]</small>' in row
    assert 'href="tiny/report.html#claim-same_method_twice">inconclusive</a><small>+0.5 [-3.0, +4.0]</small>' in row
    assert page.count('<tr id="claim-') == 1, "claims that no scale ran are left out"
    assert "After Stage 2 alignment helps" in page and "nothing in its columns is a finding" in page
    effects = page[page.index('id="effects"') :].split("</section>")[0]
    assert effects.count("</th></tr>\n<tr><td>No Align</td><td>0.700</td></tr>") == 2, "fitted and held out, one scale"
    after = effects[effects.index("after Stage 2 on images") :]
    assert "<td>ReAlign</td><td>+1.0 [+0.5, +1.5]</td>" in after and "both stages on text" not in after
