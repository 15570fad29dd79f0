"""The study of causes: settings, the start without a cone, resuming, and metrics of held-out pairs."""

import numpy as np
import pandas as pd
import pytest
import torch

from revision.config import parse
from revision.contrastive.loop import Batches, DualEncoder
from revision.data.scenes import World, WorldSettings
from revision.dynamics import causes
from revision.dynamics.causes import CausesSettings, effects, pair_metrics, points, study_causes
from revision.encoders import EncoderSettings
from revision.errors import ConfigError, DataError

BASE = {"dim": 16, "vision_width": 8, "text_width": 8, "images": 64, "batch": 16, "steps": 3}
STUDIES = [
    {"cause": "temperature", "points": [{"at": 0.03}, {"at": 0.3, "encoder": {"temperature": 0.3}}]},
    {"cause": "captions", "points": [{"at": "as it is"}, {"at": "no place", "world": {"short_place": 0.0}}]},
    {"cause": "cone", "points": [{"at": "taken out", "encoder": {"centred_start": True}}]},
]
SETTINGS = CausesSettings(base=BASE, studies=STUDIES, probe=40)


def test_a_point_changes_its_settings_and_nothing_else():
    found = points(SETTINGS, WorldSettings(seed=5))
    assert [(point.cause, point.at) for point in found[:2]] == [("temperature", "0.03"), ("temperature", "0.3")]
    assert found[0].encoder == EncoderSettings(**BASE) == found[2].encoder
    assert found[1].encoder == EncoderSettings(**BASE, temperature=0.3)
    assert found[3].world.short_place == 0
    assert {point.world.seed for point in found} == {5}


@pytest.mark.parametrize(
    ("study", "message"),
    [
        ({"cause": "x", "dots": []}, "studies.0: unknown key dots .*; the keys are cause, points"),
        (
            {"cause": "x", "points": [{"at": 1, "worlds": {}}]},
            r"studies.0.points.0: unknown key worlds \(did you mean world\?\)",
        ),
        ({"cause": "x", "points": [{"at": 1, "encoder": {"dims": 3}}]}, "studies.x.1.encoder: unknown key dims"),
        (
            {"cause": "x", "points": [{"at": 1, "world": {"short_objects": 2.0}}]},
            "studies.x.1.world, short_objects: 2.0",
        ),
    ],
)
def test_an_invalid_study_is_refused(study, message):
    with pytest.raises(ConfigError, match=message):
        parse(CausesSettings, {"base": BASE, "studies": [study]}, "causes")


def test_the_centred_start_has_no_mean_output_and_keeps_deviations():
    world = World()
    settings = EncoderSettings(**BASE)
    torch.manual_seed(0)
    model = DualEncoder(settings, world.vocabulary(), world.settings.image_size)
    pixels, tokens = Batches(world, settings, model, 0)(0)
    with torch.no_grad():
        before = model.vision(pixels), model.text(tokens)
        model.centre(pixels, tokens)
        after = model.vision(pixels), model.text(tokens)
    for old, new in zip(before, after, strict=True):
        assert old.mean(0).norm() > 1e-3
        np.testing.assert_allclose(new.numpy(), (old - old.mean(0)).numpy(), atol=1e-6)


def test_only_the_centred_start_removes_the_cone(tmp_path):
    table = study_causes(SETTINGS, WorldSettings(), tmp_path / "causes.csv", seed=0)
    start = table[table.metric == "gap_start"].set_index(["cause", "at"]).value
    assert start["cone", "taken out"] < 0.5 * start["temperature", "0.03"]
    assert start["temperature", "0.3"] == start["temperature", "0.03"]


def test_a_killed_study_resumes_and_ends_with_the_same_bytes(tmp_path, monkeypatch):
    study_causes(SETTINGS, WorldSettings(), tmp_path / "whole.csv", seed=1)
    measure, calls = causes.measure, []

    def killed(point, *rest, **named):
        calls.append(point.at)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return measure(point, *rest, **named)

    monkeypatch.setattr(causes, "measure", killed)
    with pytest.raises(KeyboardInterrupt):
        study_causes(SETTINGS, WorldSettings(), tmp_path / "killed.csv", seed=1)
    assert not (tmp_path / "killed.csv").exists()
    study_causes(SETTINGS, WorldSettings(), tmp_path / "killed.csv", seed=1)
    assert calls == ["0.03", "0.3", "no place", "no place", "taken out"]
    assert (tmp_path / "killed.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["killed.csv", "whole.csv"]


def test_the_table_is_tidy_and_shared_settings_are_trained_once(tmp_path):
    messages = []
    study_causes(SETTINGS, WorldSettings(), tmp_path / "causes.csv", seed=0, progress=messages.append)
    table = pd.read_csv(tmp_path / "causes.csv")
    assert list(table.columns) == ["cause", "at", "base", "seed", "metric", "value"]
    assert set(table[table.base]["at"]) == {"0.03", "as it is"}
    assert len(messages) == 4
    base = [
        table[(table.cause == cause) & (table["at"] == at)].set_index("metric").value
        for cause, at in (("temperature", "0.03"), ("captions", "as it is"))
    ]
    pd.testing.assert_series_equal(*base)


def test_metrics_of_held_out_pairs_against_numpy():
    generator = np.random.default_rng(0)
    images, texts = generator.standard_normal((2, 60, 8)) + np.array([[[1.0]], [[-0.5]]])
    images, texts = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (images, texts))
    metrics = pair_metrics(images.astype(np.float32), texts.astype(np.float32))
    difference = images - texts
    assert metrics["gap"] == pytest.approx(np.linalg.norm(images.mean(0) - texts.mean(0)), rel=1e-5)
    assert metrics["gap_noise"] == pytest.approx(np.sqrt(difference.var(axis=0).sum() / 60), rel=1e-5)
    twice = pair_metrics(*(np.repeat(rows, 2, axis=0).astype(np.float32) for rows in (images, texts)))
    assert twice["gap_noise"] == pytest.approx(metrics["gap_noise"], rel=1e-5)
    halves = pair_metrics(images, texts, np.arange(60) // 30)
    assert halves["gap_noise"] != pytest.approx(metrics["gap_noise"], rel=0.01)
    assert metrics["gap_share"] == pytest.approx(metrics["gap"] ** 2 / np.mean(np.sum(difference**2, axis=1)), rel=1e-5)
    scores = texts @ images.T
    hits = (scores.argmax(1) == np.arange(60)).mean() + (scores.argmax(0) == np.arange(60)).mean()
    assert metrics["recall_at_1"] == pytest.approx(hits / 2, abs=1e-6)


def test_effects_are_paired_with_the_base_of_the_same_seed():
    values = {("low", False): [0.9, 0.5, 0.7], ("base", True): [0.5, 0.1, 0.3], ("same", False): [0.4, 0.2, 0.3]}
    table = pd.DataFrame(
        {"cause": "t", "at": at, "base": base, "seed": seed, "metric": "gap", "value": value}
        for (at, base), found in values.items()
        for seed, value in enumerate(found)
    )
    found = effects(table.sample(frac=1, random_state=0)).set_index("at")
    assert found.difference[["low", "base", "same"]].tolist() == pytest.approx([0.4, 0, 0])
    assert found.value["low"] == pytest.approx(0.7)
    half = 4.302652729749462 * 0.2 / np.sqrt(3)
    assert [found.low["low"], found.high["low"]] == pytest.approx([0.7 - half, 0.7 + half])
    assert found.clear[["low", "base", "same"]].tolist() == [True, False, False]
    with pytest.raises(DataError, match="'t' has no base point"):
        effects(table[~table.base])
