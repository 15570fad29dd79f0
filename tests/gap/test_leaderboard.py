"""The leaderboard of encoders: its order, and the metrics that it derives against their definitions."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from revision.cli import app
from revision.gap.leaderboard import board, leaderboard
from revision.gap.measure import SuiteSettings, run_suite
from revision.gap.tables import number


def suite(offset, seed, paired=True):
    """What `revision gap --json` prints for two clouds `offset` apart."""
    random = np.random.default_rng(seed)
    image = random.standard_normal((300, 12)) * np.arange(1, 13) ** -0.5
    text = image + 0.6 * random.standard_normal((300, 12)) * np.arange(1, 13) ** -0.5
    text[:, 0] += offset
    result = run_suite(image, text, ["realign", "c3"], paired=paired, settings=SuiteSettings(sample=150))
    return json.loads(json.dumps(result.to_dict(), sort_keys=True))


@pytest.fixture(scope="module")
def suites():
    return {"wide": suite(3, 0), "near": suite(0.5, 1), "unpaired": suite(1.5, 2, paired=False)}


def test_encoders_are_sorted_by_gap_and_methods_start_before_alignment(suites):
    table = leaderboard(suites)
    assert list(dict.fromkeys(table.encoder)) == ["near", "unpaired", "wide"]
    for _, part in table.groupby("encoder"):
        assert list(dict.fromkeys(part["set"])) == ["image", "identity", "c3", "realign"]


def test_a_method_that_an_encoder_lacks_is_listed_without_values(suites):
    less = json.loads(json.dumps(suites["near"]))
    del less["methods"]["c3"]
    values = leaderboard(suites | {"less": less}).set_index(["encoder", "set", "metric"]).value
    assert np.isnan(values["less", "c3", "gap"]) and np.isnan(values["less", "c3", "recall"])
    assert values["less", "realign", "gap"] == values["near", "realign", "gap"]


def test_every_metric_of_the_suite_is_listed_and_derived_ones_are_as_defined(suites):
    values = leaderboard(suites).set_index(["encoder", "set", "metric"]).value
    assert values.index.is_unique
    for encoder, result in suites.items():
        assert values[encoder, "image", "dimension"] == 12
        for metric, value in result["image"].items():
            assert values[encoder, "image", metric] == value
        before = result["methods"]["identity"]
        for name, numbers in result["methods"].items():
            for metric, value in numbers.items():
                assert (np.isnan(values[encoder, name, metric]) and value is None) or values[
                    encoder, name, metric
                ] == value
            assert values[encoder, name, "gap_closed"] == pytest.approx(
                (before["gap"] - numbers["gap"]) / before["gap"]
            )
            if encoder == "unpaired":
                assert np.isnan(values[encoder, name, "recall"]) and np.isnan(values[encoder, name, "retrieval_cost"])
                continue
            both = [
                np.mean([metrics[f"{way}_at_1"] for way in ("text_to_image", "image_to_text")])
                for metrics in (before, numbers)
            ]
            assert values[encoder, name, "recall"] == pytest.approx(both[1])
            assert values[encoder, name, "retrieval_cost"] == pytest.approx(both[0] - both[1])


@pytest.fixture(scope="module")
def twenty(suites):
    """Twenty encoders, of which two have no pairs and one has two dimensions, from scaled results of three."""
    made = {}
    for index in range(20):
        one = json.loads(json.dumps(suites[("wide", "near", "unpaired")[0 if index < 9 else 1 if index < 18 else 2]]))
        for values in one["methods"].values():
            values["gap"] *= 1 + 0.37 * (index * 7 % 20)
        made[f"encoder_with_a_long_name_{index:02}"] = one
    across = made["encoder_with_a_long_name_05"]
    across["methods"] = {"identity": dict.fromkeys(across["methods"]["identity"])}
    return made


def test_twenty_encoders_are_one_sorted_table(twenty):
    table = board(twenty)
    assert len(table.rows) == 20 and table.first == "encoder" and "20 encoders" in table.title
    labels = [metric.label for metric in table.metrics]
    column = labels.index("gap")
    gaps = [row.cells[column] for row in table.rows]
    assert gaps[-1] == "" and [float(gap) for gap in gaps[:-1]] == sorted(float(gap) for gap in gaps[:-1])
    assert table.rows[-1].label == "encoder_with_a_long_name_05"
    last = labels.index("gap after realign")
    after, marked = [float(row.cells[last] or "inf") for row in table.rows], [row.best[last] for row in table.rows]
    assert not any(row.best[column] for row in table.rows) and marked.index(True) == after.index(min(after))
    first = twenty[table.rows[0].label]["methods"]
    assert table.rows[0].cells[labels.index("gap after realign")] == number(first["realign"]["gap"])
    recall = [row.cells[labels.index("R@1")] for row in table.rows]
    assert recall.count("") == 3


def test_the_board_is_written_as_csv_markdown_and_html(twenty, tmp_path):
    results = []
    for name, suite_of in twenty.items():
        results.append(tmp_path / f"{name}.json")
        results[-1].write_text(json.dumps(suite_of))
    checks = [{"name": "texts: unit rows", "passed": False, "detail": "lengths 2 to 3"}]
    (tmp_path / "encoder_with_a_long_name_03.checks.json").write_text(json.dumps(checks))
    outs = [tmp_path / f"board.{ending}" for ending in ("csv", "md", "html")]
    words = [*results, "--check", tmp_path / "encoder_with_a_long_name_03.checks.json"]
    words += [word for out in outs for word in ("--out", out)]
    result = CliRunner().invoke(app, ["leaderboard", *map(str, words)])
    assert result.exit_code == 0, result.output
    warning = "encoder_with_a_long_name_03: texts: unit rows: lengths 2 to 3"
    assert f"warning: {warning}" in result.stderr
    table = board(twenty)
    read = pd.read_csv(outs[0], dtype=str, keep_default_na=False)
    assert list(read["encoder"]) == [row.label for row in table.rows]
    assert list(read.iloc[0])[1:] == table.rows[0].cells
    lines = outs[1].read_text().splitlines()
    assert len({line.replace("\\|", "").count("|") for line in lines[:22]}) == 1 and warning in lines[-1]
    assert "**" in outs[1].read_text()
    page = outs[2].read_text()
    assert page.count("<tr>") == 21 and warning in page and not re.findall(r"(?:src|href)=", page)
    wrong = CliRunner().invoke(app, ["leaderboard", str(results[0]), "--out", str(tmp_path / "board.xlsx")])
    assert wrong.exit_code == 1 and "written as .csv, .md or .html" in wrong.stderr
    (tmp_path / "bad.json").write_text("no JSON")
    bad = CliRunner().invoke(app, ["leaderboard", str(tmp_path / "bad.json")])
    assert bad.exit_code == 1 and "bad.json: not readable as JSON" in bad.stderr
