"""The commands fit and push, and aligners that are fitted without the embeddings of the other side."""

import json
from types import SimpleNamespace

import huggingface_hub
import numpy as np
import pytest
import yaml
from huggingface_hub.errors import HfHubHTTPError
from typer.testing import CliRunner

from revision.align import load_aligner, make_aligner
from revision.cli import app
from revision.embeddings import open_embeddings


def call(*arguments, code=0):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output
    return result


@pytest.fixture
def folder(tmp_path, pairs):
    """Arrays of texts and images, and their statistics."""
    for name, rows in zip(("images", "texts"), pairs, strict=True):
        np.save(tmp_path / f"{name}.npy", rows)
        words = ("--covariance", "--save", tmp_path / f"{name}.safetensors", "--encoder", "clip_vit_b32")
        call("stats", tmp_path / f"{name}.npy", *words)
    return tmp_path


def test_an_aligner_fitted_on_two_files_of_statistics_aligns_embeddings(folder, pairs):
    image, text = pairs
    report = call("fit", folder / "texts.safetensors", folder / "images.safetensors", folder / "fitted", "--json")
    assert json.loads(report.stdout)["aligner"] == "realign"
    call("align", folder / "texts.npy", folder / "out", "--fitted", folder / "fitted")
    aligned = open_embeddings(folder / "out").array()
    best = make_aligner("realign").fit(text, image).transform(text)
    assert np.abs(aligned - best).max() < 0.01
    about = json.loads((folder / "fitted/aligner.json").read_text())["about"]
    assert about["source"]["encoder"] == "clip_vit_b32" and about["target"]["count"] == 400
    assert "exists" in call("fit", folder / "texts.npy", folder / "images.npy", folder / "fitted", code=1).stderr


def test_own_texts_are_aligned_with_the_statistics_of_images_exactly(folder, pairs):
    image, text = pairs
    call("align", folder / "texts.npy", folder / "out", "--target", folder / "images.safetensors")
    best = make_aligner("realign").fit(text, image).transform(text)
    assert np.abs(open_embeddings(folder / "out").array() - best).max() < 1e-6


def test_npz_moments_are_for_sets_only(folder):
    refused = call("stats", folder / "texts.npy", "--save", folder / "texts.npz", code=1).stderr
    assert ".npz belongs to embedding sets; give a name that ends in .safetensors" in refused


class Hub:
    """A stand-in for the hub's client that keeps what it is given."""

    def __init__(self):
        self.created, self.uploaded, self.error = [], [], None

    def create_repo(self, repo, private, exist_ok):
        if self.error:
            raise self.error
        self.created.append((repo, private))

    def upload_folder(self, repo_id, folder_path, allow_patterns, commit_message):
        self.uploaded.append((repo_id, sorted(path.name for path in folder_path.iterdir()), sorted(allow_patterns)))
        return SimpleNamespace(commit_url=f"https://hub/{repo_id}/commit/1")


@pytest.fixture
def hub(monkeypatch):
    client = Hub()
    monkeypatch.setattr(huggingface_hub, "HfApi", lambda: client)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    return client


def test_push_writes_a_card_and_uploads_the_folder(folder, hub):
    call("fit", folder / "texts.safetensors", folder / "images.npy", folder / "fitted")
    report = json.loads(call("push", folder / "fitted", "me/clip-realign", "--private", "--json").stdout)
    assert report["address"] == "https://hub/me/clip-realign/commit/1"
    names = ["README.md", "aligner.json", "aligner.safetensors"]
    assert hub.created == [("me/clip-realign", True)] and hub.uploaded == [("me/clip-realign", names, names)]
    card = (folder / "fitted/README.md").read_text()
    header = yaml.safe_load(card.split("---")[1])
    assert header["library_name"] == "revision" and "realign" in header["tags"]
    assert "| texts | clip_vit_b32 | 400 |" in card and "| images | not stated | 400 |" in card
    assert "--fitted me/clip-realign" in card and str(folder) not in card
    (folder / "fitted/README.md").write_text("my own card")
    call("push", folder / "fitted", "me/clip-realign")
    assert (folder / "fitted/README.md").read_text() == "my own card"
    assert load_aligner(folder / "fitted").name == "realign"


def test_errors_of_an_upload_say_what_to_do(folder, hub, monkeypatch):
    call("fit", folder / "texts.npy", folder / "images.npy", folder / "fitted")
    response = SimpleNamespace(status_code=401, headers={}, request=None)
    refused = HfHubHTTPError.__new__(HfHubHTTPError)
    refused.response = response
    for error, words in (
        (refused, "log in with `hf auth login`"),
        (OSError("no route"), "not uploaded (OSError: no route)"),
    ):
        hub.error = error
        assert words in call("push", folder / "fitted", "me/clip", code=1).stderr
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    offline = call("push", folder / "fitted", "me/clip", code=1).stderr
    assert "HF_HUB_OFFLINE is set" in offline and "repeat the command to upload it" in offline and not hub.uploaded
    assert "no saved aligner here" in call("push", folder, "me/clip", code=1).stderr
    call("push", folder / "fitted", "me/clip", "--card-only")
    assert not hub.uploaded


def test_an_aligner_on_the_hub_is_downloaded(folder, monkeypatch):
    call("fit", folder / "texts.npy", folder / "images.npy", folder / "fitted")
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *words, **options: str(folder / "fitted"))
    call("align", folder / "texts.npy", folder / "out", "--fitted", "me/clip-realign")
    assert open_embeddings(folder / "out").count == 400


def test_a_missing_aligner_is_named_offline(folder, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(folder / "hub"))
    refused = call("align", folder / "texts.npy", folder / "out", "--fitted", "me/nothing", code=1).stderr
    assert "aligner me/nothing: no such folder: offline and not cached" in refused
