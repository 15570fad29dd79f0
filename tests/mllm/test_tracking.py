"""The losses of a training reach a tracker of accelerate, and no result depends on it."""

from typing import ClassVar

import pandas as pd
import pytest
from accelerate import tracking
from accelerate.tracking import GeneralTracker, on_main_process, register_tracker_class
from colour_world import ROWS
from test_stages import LOOP, command, first, stage1, stage2
from typer.testing import CliRunner

from revision.cli import app
from revision.errors import ConfigError

SHORT = LOOP.model_copy(update={"epochs": 2, "validate_every": 5, "schedule": "constant"})
STEPS = SHORT.epochs * ROWS // SHORT.batch_size


class Recorder(GeneralTracker):
    """Keeps what it is given."""

    name, requires_logging_directory = "recorder", True
    runs: ClassVar[list["Recorder"]] = []

    def __init__(self, run_name, logging_dir, **kwargs):
        super().__init__()
        self.folder, self.logged, self.finished = logging_dir, [], False

    @property
    def tracker(self):
        return self.logged

    @on_main_process
    def start(self):
        self.runs.append(self)

    @on_main_process
    def store_init_configuration(self, values):
        self.about = values

    @on_main_process
    def log(self, values, step=None, **kwargs):
        self.logged.append((step, values))

    @on_main_process
    def finish(self):
        self.finished = True


@pytest.fixture
def recorder():
    Recorder.runs.clear()
    register_tracker_class(Recorder)
    yield Recorder.runs
    del tracking.LOGGER_TYPE_TO_CLASS["recorder"]


def files(folder):
    return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_tracker_gets_the_losses_of_both_stages_and_changes_no_result(world, recorder):
    stage1(world, SHORT)
    stage2(world, SHORT)
    without = [files(world / name) for name in ("s1", "s2")]
    stage1(world, SHORT, tracker="recorder")
    stage2(world, SHORT, tracker="recorder")
    assert [files(world / name) for name in ("s1", "s2")] == without
    for run, name in zip(recorder, ("s1", "s2"), strict=True):
        history = pd.read_csv(world / name / "history.csv")
        rows = [(step, values) for step, values in run.logged if "validation_loss" in values]
        assert [step for step, _ in rows] == history.step.tolist() and history.step.iloc[-1] == STEPS
        assert [values["loss"] for _, values in rows] == pytest.approx(history.loss.tolist())
        assert run.logged[-1][0] == STEPS and run.logged[-1][1]["learning_rate"] == SHORT.learning_rate
        assert run.finished and str(run.folder) == str(world / f"{name}.logs")
        assert run.about["batch_size"] == SHORT.batch_size and run.about["training"] == str(world / f"{name}.state")


def test_the_command_takes_the_tracker_as_an_option_or_from_the_environment(world, recorder, tmp_path, monkeypatch):
    command(tmp_path, "pretrain", [first(world)])
    assert recorder == []
    monkeypatch.setenv("REVISION_TRACKER", "recorder")
    command(tmp_path, "pretrain", [first(world), first(world, out="again")])
    assert len(recorder) == 2  # each training is a run of its own
    arguments = ["pretrain", "--config", str(tmp_path / "settings.json"), "--tracker", "tensorbord"]
    message = str(CliRunner().invoke(app, arguments).exception)
    assert message.startswith("tracker: 'tensorbord' does not exist (did you mean tensorboard?); there are aim, ")


def test_a_tracker_whose_package_is_missing_is_refused(world, monkeypatch):
    monkeypatch.setattr("revision.training.tracking.get_available_trackers", list)
    with pytest.raises(ConfigError, match="tracker: comet_ml is not installed; pip install 'comet-ml'"):
        stage1(world, SHORT, tracker="comet_ml")
    assert not (world / "s1").exists()


def test_tensorboard_shows_the_curves(world):
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    stage1(world, SHORT, tracker="tensorboard")
    events = reader.EventAccumulator(str(world / "s1.logs/revision")).Reload()
    history = pd.read_csv(world / "s1/history.csv")
    points = events.Scalars("validation_loss")
    assert [point.step for point in points] == history.step.tolist()
    assert [point.value for point in points] == pytest.approx(history.validation_loss.tolist())
