"""Texts and numbers of the dose figures, and what a table of aligners can show."""

import json
import sys

import figure_dose
import pandas as pd
import pytest
import what_can_show
from working_folder import ROOT

from revision.config import load
from revision.gap.held_out import read_held_out

CONFIG = load(ROOT / "config", "laptop").model_dump(mode="json")


def test_captions_and_tables_have_the_differences_of_the_replicates(work, tmp_path, monkeypatch):
    tables = sorted((work / "dose").glob("encoder*.csv"))
    outs = [tmp_path / "dose.csv", tmp_path / "dose_erasure.csv"]
    words = ["--tables", *tables, "--alignment", tmp_path / "alignment.csv", "--out", *outs]
    monkeypatch.setattr(sys, "argv", ["figure_dose", *map(str, words)])
    figure_dose.main()
    caption = json.loads((tmp_path / "dose.json").read_text())["caption"]
    # A gap of 2 costs 4 points after Stage 1 and nothing after 8 steps, with both encoders.
    assert caption.startswith(
        "**Texts at 2 times the gap change the accuracy by -4.0 points [-4.0, -4.0] after Stage 1, and by +0.0"
    )
    assert "Mean over 2 replicates (2 encoders with their seeds)" in caption
    table = pd.read_csv(tmp_path / "alignment.csv").set_index(["aligner", "metric", "steps"]).difference
    assert table["realign", "accuracy", 0] == 3 and table["realign", "accuracy", 8] == 0
    assert table["paired", "caption_loss", 0] == pytest.approx(-0.4)
    erased = json.loads((tmp_path / "dose_erasure.json").read_text())["caption"]
    assert "+0.040 after 0 steps, +0.000 after 8 steps" in erased and "+4.0 points [+4.0, +4.0]" in erased


def test_only_rows_that_differ_in_the_aligner_alone_are_compared():
    compared = what_can_show.comparisons(CONFIG, ["identity", "c3", "realign", "realign_1", "realign_12"])
    rows = {(table, row) for table, row, *_ in compared}
    assert ("table_5", "step_1") in rows and ("table_1", "no_align") in rows and ("aligners", "c3") in rows
    # Other source, no Stage 1, another number of texts, an aligner that was not measured.
    assert not rows & {("table_1", "paired"), ("table_1", "blind"), ("table_2", "revision_2x"), ("table_3", "bc_align")}
    assert ("table_5", "step_12", "revision", "realign_12", "realign") in compared


def test_a_table_gets_the_statement_of_its_largest_displacement(work):
    table = what_can_show.measure(read_held_out(work / "held_out/short"), CONFIG).set_index(["table", "row"])
    for name, part in table.groupby("table"):
        assert set(part.table_statement) == {part.loc[part.remaining.idxmax(), "statement"]}, name
    assert table.loc[("table_1", "no_align"), "movement"] > table.loc[("table_5", "step_12"), "movement"]
    moved = table.loc[("table_1", "no_align")]
    assert moved.remaining == pytest.approx(moved.movement * (1 - moved.constant_share) ** 0.5)
