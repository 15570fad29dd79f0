"""Training as in Figure 1, at toy size: webdataset shards, a ViT and a text transformer, several processes."""

import io
import json
import os
import socket
import tarfile

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from pydantic import ValidationError
from torch import multiprocessing
from typer.testing import CliRunner

from revision.cli import app
from revision.contrastive.clip import ClipEncoder, ClipSettings, train_tokenizer
from revision.contrastive.webdataset import ShardBatches, split
from revision.data.scenes import World
from revision.data.webdataset import ShardPairs
from revision.dynamics import MonitorSettings
from revision.dynamics.run import observe_shards
from revision.errors import ConfigError, DataError

TRAINING = {
    "steps": 10, "dim": 16, "image_size": 32, "patch": 8, "vision_width": 16, "vision_layers": 1, "text_width": 16,
    "text_layers": 1, "heads": 2, "context": 24, "vocabulary": 400, "batch": 8, "peak_lr": 5e-3,
}  # fmt: skip
MONITORING = {"every": 2, "probe": 60, "gradient_batches": 1, "freeze_at": 2, "late_from": 6}
SETTINGS, MONITOR = ClipSettings(**TRAINING), MonitorSettings(**MONITORING)


def add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    archive.addfile(member, io.BytesIO(data))


def encoded(pixels: np.ndarray, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def source():
    world = World()
    scenes = world.scenes("paired", 0, 120)
    return world.images(scenes), world.captions(scenes)


@pytest.fixture(scope="module")
def shards(source, tmp_path_factory):
    folder = tmp_path_factory.mktemp("shards")
    for number in range(3):
        with tarfile.open(folder / f"{number:05d}.tar", "w") as archive:
            for row in range(40 * number, 40 * number + 40):
                add(archive, f"{row:06d}.png", encoded(source[0][row]))
                add(archive, f"{row:06d}.txt", f"{source[1][row]}\n".encode())
                add(archive, f"{row:06d}.json", b"{}")
    return sorted(folder.iterdir())


@pytest.fixture(scope="module")
def pairs(shards):
    return ShardPairs(shards)


def test_pairs_are_read_from_the_shards(pairs, source):
    assert len(pairs) == 120
    for row in (0, 39, 40, 119):
        assert pairs.text(row) == source[1][row]
        assert np.array_equal(pairs.image(row, 32), source[0][row])


def test_a_wide_image_is_resized_by_its_shorter_side_and_centre_cropped(tmp_path):
    pixels = np.zeros((40, 120, 3), np.uint8)
    pixels[:, 40:80] = 255
    with tarfile.open(tmp_path / "one.tar", "w") as archive:
        add(archive, "a/b.jpg", encoded(pixels, "JPEG"))
        add(archive, "a/b.txt", b"white")
    image = ShardPairs([tmp_path / "one.tar"]).image(0, 20)
    assert image.shape == (20, 20, 3)
    assert image[:, 2:-2].min() > 240


def test_held_out_pairs_are_never_trained_on(pairs):
    rows, held_out = split(pairs, 30, 8)
    assert sorted([*rows, *held_out]) == list(range(120))
    assert len(held_out) == 30


def test_a_batch_depends_on_its_step_alone_and_is_split_among_processes(pairs):
    rows, _ = split(pairs, 40, 8)
    model = ClipEncoder(SETTINGS, train_tokenizer(map(pairs.text, rows), SETTINGS.vocabulary))
    batches = ShardBatches(pairs, rows, SETTINGS, model, seed=1)
    pixels, tokens = batches(3)
    again, _ = ShardBatches(pairs, rows, SETTINGS, model, seed=1, threads=2)(3)
    assert torch.equal(pixels, again)
    assert torch.equal(torch.stack([batches.local(rank, 2)(3)[0] for rank in (0, 1)], 1).flatten(0, 1), pixels)
    decode = model.tokenizer.decode
    visited = [decode(ids) for step in range(10) for ids in batches(step)[1].tolist()]
    assert sorted(visited) == sorted(decode(model.tokens([pairs.text(row)])[0].tolist()) for row in rows)
    assert len(tokens) == SETTINGS.batch


def test_the_default_model_has_the_size_of_tinyclip(pairs):
    tokenizer = train_tokenizer(["a b"], 300)
    with torch.device("meta"):
        clip = ClipEncoder(ClipSettings(steps=1), tokenizer).clip
    vision = sum(parameter.numel() for parameter in clip.vision_model.parameters())
    text = sum(p.numel() for name, p in clip.text_model.named_parameters() if "token_embedding" not in name)
    assert vision == pytest.approx(40e6, rel=0.02)
    assert text == pytest.approx(19e6, rel=0.02)


def test_padding_does_not_change_an_embedding(pairs, source):
    model = ClipEncoder(SETTINGS, train_tokenizer(source[1], SETTINGS.vocabulary)).eval()
    texts = sorted(source[1], key=len)
    alone, together = model.encode_texts(texts[:1]), model.encode_texts([texts[0], texts[-1]])
    np.testing.assert_allclose(alone[0], together[0], atol=1e-5)
    assert model.tokens(["red " * 200]).shape == (1, SETTINGS.context)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-6)


@pytest.fixture(scope="module")
def uninterrupted(shards, tmp_path_factory):
    folder = tmp_path_factory.mktemp("uninterrupted")
    training = {"kind": "shards", "files": str(shards[0].parent / "*.tar"), "encoder": TRAINING}
    (folder / "dynamics.json").write_text(json.dumps({"training": training, "monitor": MONITORING}))
    command = ["dynamics", "--config", str(folder / "dynamics.json"), "--seed", "4", "--out", str(folder / "run")]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.exception
    return folder / "run"


def test_the_command_observes_training_on_shards(uninterrupted):
    series = pd.read_csv(uninterrupted / "series.csv")
    assert series.step.tolist() == [0, 2, 4, 6, 8, 10]
    assert np.isfinite(json.loads((uninterrupted / "summary.json").read_text())["leak"])
    names = {path.name for path in uninterrupted.iterdir()}
    assert names == {"encoder", "series.csv", "summary.json", "timing.json", "manifest.json"}


def test_a_resumed_run_on_shards_ends_with_the_same_bytes(shards, uninterrupted, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        call = ShardBatches.__call__

        def killed(self, step):
            if step == 7:
                raise KeyboardInterrupt
            return call(self, step)

        patch.setattr(ShardBatches, "__call__", killed)
        with pytest.raises(KeyboardInterrupt):
            observe_shards(shards, SETTINGS, MONITOR, tmp_path, seed=4, checkpoint_every=3, show_progress=False)
    observe_shards(shards, SETTINGS, MONITOR, tmp_path, seed=4, checkpoint_every=3, show_progress=False)
    for name in ("series.csv", "summary.json", "manifest.json", "encoder/weights.safetensors", "encoder/config.json"):
        assert (tmp_path / name).read_bytes() == (uninterrupted / name).read_bytes(), name


def run_process(rank, port, shards, folder):
    """Run as one of the two processes that torchrun starts."""
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    with pytest.raises(ConfigError, match="batch: 9 is no multiple of the 2 processes"):
        observe_shards(shards, SETTINGS.model_copy(update={"batch": 9}), MONITOR, folder, seed=4, show_progress=False)
    observe_shards(shards, SETTINGS, MONITOR, folder, seed=4, show_progress=False)
    torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_two_processes_match_one(shards, uninterrupted, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    multiprocessing.spawn(run_process, (port, shards, tmp_path / "run"), nprocs=2)
    alone, together = (pd.read_csv(folder / "series.csv") for folder in (uninterrupted, tmp_path / "run"))
    for column in ("gap", "pair_cosine", "temperature", "gamma", "delta", "zeta"):
        np.testing.assert_allclose(together[column], alone[column], rtol=1e-3)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"a.png": b"x"}, r"a lacks an image or a text \(it has .png\)"),
        ({"a.png": b"x", "a.txt": b" "}, "the text is empty"),
        ({"a.png": b"x", "a.txt": b"\xff"}, "not UTF-8"),
        ({"a.png": b"x", "a.txt": b"red"}, "not a readable image"),
    ],
)
def test_an_invalid_pair_is_reported(tmp_path, members, message):
    with tarfile.open(tmp_path / "bad.tar", "w") as archive:
        for name, data in members.items():
            add(archive, name, data)
    with pytest.raises(DataError, match=message) as caught:
        pairs = ShardPairs([tmp_path / "bad.tar"])
        pairs.text(0), pairs.image(0, 8)
    assert "bad.tar" in str(caught.value)


def test_invalid_or_too_few_shards_are_reported(pairs, tmp_path):
    (tmp_path / "no.tar").write_bytes(b"no tar")
    with pytest.raises(DataError, match=r"no\.tar: not a readable tar file"):
        ShardPairs([tmp_path / "no.tar"])
    with pytest.raises(DataError, match="no file matches"):
        ShardPairs([])
    with pytest.raises(DataError, match="120 pairs are too few for 115 held out and a batch of 8; add shards"):
        split(pairs, 115, 8)
    with pytest.raises(ValidationError, match="patch: 5 does not divide image_size, 224"):
        ClipSettings(steps=1, patch=5)
