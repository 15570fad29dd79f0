"""The commands and figure scripts, end to end on a very small run."""

import json
import runpy
import sys
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from revision.cli import app
from revision.config import load
from revision.dynamics.causes import points
from revision.errors import ConfigError

ROOT = Path(__file__).parents[2]
ENCODER = {"dim": 16, "vision_width": 8, "text_width": 8, "images": 64, "batch": 32, "steps": 10}
MONITOR = {"every": 2, "probe": 60, "gradient_batches": 1, "freeze_at": 2, "late_from": 6}
CAUSES = {
    "probe": 40,
    "base": ENCODER | {"steps": 2},
    "studies": [{"cause": "temperature", "points": [{"at": 0.03}, {"at": 0.3, "encoder": {"temperature": 0.3}}]}],
}


def call(*arguments: str) -> None:
    result = CliRunner().invoke(app, arguments)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output


def settings_file(folder: Path, settings: dict) -> str:
    path = folder / "settings.json"
    path.write_text(json.dumps(settings))
    return str(path)


def script(monkeypatch, name: str, *arguments: object) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "analysis"))
    monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
    runpy.run_path(str(ROOT / "analysis" / name), run_name="__main__")


def sidecar(path: Path) -> dict:
    assert path.with_suffix(".png").stat().st_size > 5000
    assert path.with_suffix(".pdf").stat().st_size > 5000
    content = json.loads(path.with_suffix(".json").read_text())
    assert set(content) == {"title", "place", "caption", "alt", "comparisons"}
    return content


@pytest.mark.usefixtures("legible")
def test_figure_1_from_two_observed_trainings(tmp_path, monkeypatch):
    runs = [tmp_path / f"seed{seed}" for seed in (0, 1)]
    for seed, run in enumerate(runs):
        settings = {"training": ENCODER | {"kind": "scenes"}, "monitor": MONITOR}
        call("dynamics", "--config", settings_file(tmp_path, settings), "--seed", str(seed), "--out", str(run))
    out, means = tmp_path / "figure_1.csv", tmp_path / "figure_1_summary.csv"
    names = {"manifests": "manifest.json", "series": "series.csv", "summaries": "summary.json"}
    options = [part for option, name in names.items() for part in (f"--{option}", *(run / name for run in runs))]
    script(monkeypatch, "figure_01_dynamics.py", *options, "--summary", means, "--out", out)
    table, summary = pd.read_csv(out), pd.read_csv(means).set_index("metric")
    assert list(table.columns) == ["seed", "step", "metric", "value"]
    series = pd.read_csv(runs[1] / "series.csv").set_index("step")
    chosen = table[(table.seed == 1) & (table.metric == "gamma_drift")].set_index("step").value
    pd.testing.assert_series_equal(chosen, series.gamma_drift.dropna(), check_names=False)
    late = [json.loads((run / "summary.json").read_text())["leak"] for run in runs]
    assert f"gradients leak {sum(late) / 2:.2f} of their energy into V" in sidecar(out)["caption"]
    assert summary.value["leak"] == pytest.approx(sum(late) / 2) and set(summary.seeds) == {2}


@pytest.mark.usefixtures("legible")
def test_figure_of_causes_from_two_seeds(tmp_path, monkeypatch):
    tables = [tmp_path / f"seed{seed}.csv" for seed in (0, 1)]
    for seed, table in enumerate(tables):
        settings = settings_file(tmp_path, {"causes": CAUSES})
        call("gap-causes", "--config", settings, "--seed", str(seed), "--out", str(table))
    out, effects = tmp_path / "figure_gap_causes.csv", tmp_path / "effects.csv"
    script(monkeypatch, "figure_gap_causes.py", "--tables", *tables, "--effects", effects, "--out", out)
    whole = pd.read_csv(out)
    gaps = whole[whole.metric == "gap"].pivot(index="seed", columns="at", values="value")
    table = pd.read_csv(effects).set_index(["metric", "at"])
    change = table.difference["gap", 0.3]
    assert change == pytest.approx((gaps[0.3] - gaps[0.03]).mean())
    assert f"temperature, 0.3: {change:+.2f}" in sidecar(out)["caption"]


@pytest.mark.parametrize(
    ("command", "settings", "message"),
    [
        ("dynamics", {"training": {"kind": "scenes", "stepz": 3}}, r"training: unknown key stepz \(did you mean steps"),
        ("dynamics", {"monitor": {"each": 3}}, "monitor: unknown key each"),
        ("gap-causes", {"causes": {"base": {}}}, "causes.studies: missing"),
    ],
)
def test_unknown_settings_are_refused(command, settings, message, tmp_path):
    with pytest.raises(ConfigError, match=message):
        call(command, "--config", settings_file(tmp_path, settings), "--out", "x")


@pytest.mark.parametrize("scale", ["laptop", "tiny", "paper"])
def test_the_configured_studies_fit_and_each_cause_has_its_base(scale):
    config = load(ROOT / "config", scale)
    studied = points(config.dynamics.causes, config.world)
    assert {point.cause for point in studied} == {point.cause for point in studied if point.base}
    assert config.dynamics.monitor.late_from < config.dynamics.training.steps
