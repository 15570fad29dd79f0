"""`revision preflight --pin` writes the commits of data sets to the YAML files that name them."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from revision.cli import app
from revision.config import load
from revision.errors import ConfigError, DataError
from revision.evaluation.published_suites import read_published_suites
from revision.planning import pinning
from revision.planning.pinning import pin
from revision.planning.preflight import missing

CONFIG = Path(__file__).parents[2] / "config"
COMMIT = "0123456789" * 4


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    shutil.copytree(CONFIG, tmp_path / "config")
    monkeypatch.chdir(tmp_path)
    asked = []

    def dataset_info(self, name):
        asked.append(name)
        return SimpleNamespace(sha=COMMIT)

    monkeypatch.setattr("huggingface_hub.HfApi.dataset_info", dataset_info)
    return asked


def test_only_data_sets_without_a_commit_are_looked_up(checkout):
    before = Path("config/scales/single_gpu.yaml").read_text()
    lines = pin(load("config", "single_gpu"), "config")
    assert checkout == ["Lin-Chen/ShareGPT4V", "lmms-lab-encoder/RealWorldQA", "nv-njb/CRPE"]
    assert lines[0] == f"Lin-Chen/ShareGPT4V: {COMMIT}, written to config/scales/single_gpu.yaml"
    after = Path("config/scales/single_gpu.yaml").read_text()
    assert after.replace(f"      revision: {COMMIT}\n", "", 1) == before  # comments stay
    config = load("config", "single_gpu")
    assert config.corpus.sources["sharegpt4v"].revision == COMMIT
    revisions = {suite.name: suite.revision for suite in read_published_suites("config/suites.yaml")}
    assert revisions["realworldqa"] == revisions["crpe_relation"] == COMMIT != revisions["pope"]
    assert revisions["logicvista"] == ""  # not a suite of this scale
    assert pin(config, "config") == []


def test_preflight_asks_for_commits_first_and_then_for_the_data(checkout, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", "hub")
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")

    def lines():
        return {line.split(":")[0]: line for line in missing(load("config", "single_gpu"))}

    command = "HF_HUB_OFFLINE=0 revision preflight --scale single_gpu --pin"
    assert f"not in the hub's cache: first `{command}`, for its commit" in lines()["suite crpe_relation"]
    assert "suite pope" not in lines()  # read from the hub
    assert lines()["suite captioning"].endswith("--include 'data/val-*.parquet'`")  # read from files only
    result = CliRunner().invoke(app, ["preflight", "--scale", "single_gpu", "--pin"])
    assert f"nv-njb/CRPE: {COMMIT}, written to config/suites.yaml" in result.output
    assert f"--revision {COMMIT} --local-dir data/single_gpu/lcs/sharegpt4v" in lines()["sharegpt4v"]
    assert "suite crpe_relation" not in lines()


def test_a_hub_that_cannot_be_asked_and_a_file_without_the_line(checkout, monkeypatch):
    path = Path("config/scales/single_gpu.yaml")
    path.write_text(path.read_text().replace("hub: Lin-Chen/ShareGPT4V", "hub:  Lin-Chen/ShareGPT4V"))
    with pytest.raises(ConfigError, match="no line 'hub: Lin-Chen/ShareGPT4V', below which `revision: 0123"):
        pin(load("config", "single_gpu"), "config")

    def offline(self, name):
        raise ConnectionError("no route")

    monkeypatch.setattr(pinning.huggingface_hub.HfApi, "dataset_info", offline)
    with pytest.raises(DataError, match=r"could not be looked up .* set HF_HUB_OFFLINE=0"):
        pin(load("config", "single_gpu"), "config")
