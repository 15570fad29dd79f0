"""A language model of a local folder or of the hub instead of one that is trained from scratch."""

import json

import pytest
from typer.testing import CliRunner

from revision.cli import app
from revision.errors import DataError
from revision.mllm.language_models.hub import link_language_model
from revision.mllm.language_models.trained import LanguageModelSettings, new_llm, word_tokenizer
from revision.mllm.model import is_pretrained, load_llm


@pytest.fixture
def folder(tmp_path):
    tokenizer = word_tokenizer(["a", "cat"])
    new_llm(LanguageModelSettings(hidden_size=16, layers=1, heads=2), tokenizer, 0).save_pretrained(tmp_path / "tiny")
    tokenizer.save_pretrained(tmp_path / "tiny")
    return tmp_path / "tiny"


def test_the_weights_are_linked_and_load(folder, tmp_path):
    link_language_model(str(folder), None, tmp_path / "out")
    llm, _ = load_llm(tmp_path / "out/llm")
    assert llm.config.hidden_size == 16 and (tmp_path / "out/llm").resolve() == folder
    about = json.loads((tmp_path / "out/manifest.json").read_text())
    assert about["model"] == str(folder) and len(about["revision"]) == 40
    assert is_pretrained(tmp_path / "out")  # so that Stage 1 refers to it


def test_the_command_links_a_model_and_a_missing_one_raises(folder, tmp_path, monkeypatch):
    (tmp_path / "llm.yaml").write_text(f"llm: {{kind: hub, model: {folder}}}")
    arguments = ["language-model", "--config", str(tmp_path / "llm.yaml"), "--out", str(tmp_path / "out")]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(DataError, match="offline and not cached: someone/Great-8B"):
        link_language_model("someone/Great-8B", None, tmp_path / "gone")
    assert not (tmp_path / "gone").exists()
