"""The monitor in training: resumes with the same bytes, does not change the training, and measures correctly."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from revision.config import parse
from revision.contrastive.loop import Batches, DualEncoder, train
from revision.data.scenes import World
from revision.dynamics import GapMonitor, MonitorSettings, Probe, observe_training
from revision.dynamics.run import timing
from revision.dynamics.summary import chance_angle, summarise
from revision.encoders import EncoderSettings
from revision.errors import ConfigError, DataError
from revision.geometry.frame import Frame, fit_frame
from revision.stats.claims import read_claims

ROOT = Path(__file__).parents[2]
ENCODER = EncoderSettings(dim=16, vision_width=8, text_width=8, images=160, batch=32, steps=16, peak_lr=5e-3)
MONITOR = MonitorSettings(every=2, probe=120, gradient_batches=2, freeze_at=4, late_from=10)
FILES = ("series.csv", "summary.json", "manifest.json", "encoder/weights.safetensors", "encoder/manifest.json")


@pytest.fixture(scope="module")
def world():
    return World()


@pytest.fixture(scope="module")
def probe(world):
    return Probe.of_world(world, MONITOR.probe)


@pytest.fixture(scope="module")
def undisturbed(world, tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    observe_training(world, ENCODER, MONITOR, folder, seed=3, checkpoint_every=3, show_progress=False)
    return folder


def test_a_killed_run_resumes_and_ends_with_the_same_bytes(world, undisturbed, tmp_path, monkeypatch):
    for killed_at in (6, 12):
        with monkeypatch.context() as patch:
            observe = GapMonitor.__call__

            def killed(self, step, *rest, observe=observe, killed_at=killed_at):
                if step == killed_at:
                    raise KeyboardInterrupt
                observe(self, step, *rest)

            patch.setattr(GapMonitor, "__call__", killed)
            with pytest.raises(KeyboardInterrupt):
                observe_training(world, ENCODER, MONITOR, tmp_path, seed=3, checkpoint_every=3, show_progress=False)
        assert (tmp_path / "encoder.checkpoint").is_dir()
        assert not (tmp_path / "series.csv").exists()
    observe_training(world, ENCODER, MONITOR, tmp_path, seed=3, checkpoint_every=3, show_progress=False)
    for name in FILES:
        assert (tmp_path / name).read_bytes() == (undisturbed / name).read_bytes(), name


def test_observing_does_not_change_the_training(world, undisturbed, tmp_path):
    train(world, ENCODER, tmp_path / "encoder", seed=3, show_progress=False)
    for path in (tmp_path / "encoder").iterdir():
        assert path.read_bytes() == (undisturbed / "encoder" / path.name).read_bytes()


def test_the_series_has_a_row_per_observation_and_a_frame_from_t0_on(undisturbed):
    series = pd.read_csv(undisturbed / "series.csv")
    assert series.step.tolist() == list(range(0, 17, 2))
    assert series.set_index("step").leak_ref.notna().tolist() == [False] * 2 + [True] * 7
    frozen = series[series.step == 4].iloc[0]
    assert frozen.gamma_drift == 0
    assert frozen.sin_theta == pytest.approx(0, abs=1e-7)
    assert np.isnan(frozen.gamma_cosine)
    framed = series[series.step >= 4]
    np.testing.assert_allclose(framed.beta**2 + framed.gamma**2, framed.gap**2, rtol=1e-10)
    np.testing.assert_allclose(framed.temperature, ENCODER.temperature, rtol=1e-6)
    assert (framed.leak_ref <= framed.leak_bound).all()


def test_the_late_window_averages_covariances_taken_step_by_step(world, probe):
    monitor = GapMonitor(probe, MONITOR)
    model = DualEncoder(ENCODER, world.vocabulary(), world.settings.image_size)
    batches = Batches(world, ENCODER, model, 0)
    late, gammas = [], []
    for step in range(0, 17, 2):
        model.vision.layers[-1].bias.data += 0.05 * step
        monitor(step, model, batches)
        images, texts = (rows.astype(np.float64) for rows in monitor.probe.embed(model))
        if step == 4:
            frame = fit_frame(images, texts, energy=MONITOR.energy)
        if step >= 4:
            gammas.append(frame.V.T @ (images - texts).mean(axis=0))
        if step >= 10:
            late.append(np.cov(((images - texts) @ frame.V).T, bias=True))
    assert monitor.late.count == 4
    np.testing.assert_allclose(monitor.late.zeta / 4, np.mean(late, axis=0), atol=1e-12)
    drift = [np.linalg.norm(gamma - gammas[0]) / np.linalg.norm(gammas[0]) for gamma in gammas]
    assert [row["gamma_drift"] for row in monitor.rows[2:]] == pytest.approx(drift)
    turned = [a @ b / np.linalg.norm(a) / np.linalg.norm(b) for a, b in zip(gammas[1:], gammas[:-1], strict=True)]
    assert [row["gamma_cosine"] for row in monitor.rows[3:]] == pytest.approx(turned)
    between = np.trace(np.cov(np.stack(gammas[3:]).T, bias=True)) / np.trace(np.mean(late, axis=0))
    assert summarise(monitor)["zeta_pooled_extra"] == pytest.approx(between)


@pytest.mark.parametrize("dimension", [1, 2, 7, 108])
def test_the_angle_by_chance_is_that_of_random_directions(dimension):
    directions = np.random.default_rng(0).standard_normal((100_000, dimension))
    cosines = np.abs(directions[:, 0]) / np.linalg.norm(directions, axis=1)
    assert chance_angle(dimension) == pytest.approx(np.degrees(np.arccos(cosines.mean())), abs=0.2)


def test_the_summary_compares_the_angle_of_gamma_with_chance(undisturbed):
    summary = json.loads((undisturbed / "summary.json").read_text())
    chance = chance_angle(summary["dimension"] - summary["rank"])
    assert summary["gamma_angle_over_chance"] == pytest.approx(summary["gamma_angle"] - chance)


def test_the_summary_has_the_metrics_of_the_claims(undisturbed):
    summary = json.loads((undisturbed / "summary.json").read_text())
    criteria = [criterion for claim in read_claims(ROOT / "config/claims.yaml") for criterion in claim.criteria]
    metrics = [
        criterion.where["metric"] for criterion in criteria if criterion.source == "figures/figure_1_summary.csv"
    ]
    assert metrics and np.isfinite([summary[metric] for metric in metrics]).all()
    assert summary["late_observations"] == 4
    assert summary["frozen_at"] == 4


def test_time_is_split_into_training_and_observing(undisturbed):
    split = timing({"wall": 11.0, "cpu": 22.0}, {"wall": 1.0, "cpu": 2.0})
    assert split["wall"] == {"training": 10.0, "observing": 1.0, "share": 0.1}
    assert split["cpu"]["share"] == pytest.approx(0.1)
    assert json.loads((undisturbed / "timing.json").read_text())["wall"]["observing"] > 0


def test_a_checkpoint_of_other_settings_is_refused(probe):
    monitor = GapMonitor(probe, MONITOR)
    state = monitor.state_dict()
    with pytest.raises(DataError, match="other monitor settings"):
        GapMonitor(probe, MonitorSettings(every=2, probe=10)).load_state_dict(state)


def test_a_state_is_restored(probe):
    monitor, other = GapMonitor(probe, MONITOR), GapMonitor(probe, MONITOR)
    monitor.frame = Frame(np.eye(3)[:, :2], np.eye(3)[:, 2:], np.arange(3.0))
    monitor.gamma_first = np.ones(1)
    other.load_state_dict(monitor.state_dict())
    assert np.array_equal(other.frame.V, monitor.frame.V)
    assert other.gamma_first is not monitor.gamma_first
    assert other.gamma_last is None


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"every": 0}, "every: 0 does not fit: it should be greater than or equal to 1"),
        ({"energy": 1.0}, "energy: 1.0 does not fit: it should be less than 1"),
        ({"late_from": 150}, "late_from: 150 is no later"),
    ],
)
def test_invalid_settings_are_refused(values, message):
    with pytest.raises(ConfigError, match=message):
        parse(MonitorSettings, values, "monitor")


def test_training_that_ends_before_the_late_window_is_refused_at_once(world, tmp_path):
    with pytest.raises(ConfigError, match="late_from: 400, but training has 16 steps"):
        observe_training(world, ENCODER, MonitorSettings(), tmp_path, seed=0)
    assert not list(tmp_path.iterdir())


def test_too_narrow_a_frame_and_too_short_a_window_are_refused(world, probe, tmp_path):
    narrow = MONITOR.model_copy(update={"energy": 0.01})
    with pytest.raises(DataError, match=r"frame at step 4: U has 1 of 16 dimensions at energy 0.01; .* need two"):
        observe_training(world, ENCODER, narrow, tmp_path, seed=3, show_progress=False)
    with pytest.raises(DataError, match="monitor: 0 observations from step late_from = 10 on; two are needed"):
        summarise(GapMonitor(probe, MONITOR))
