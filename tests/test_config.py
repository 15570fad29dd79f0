"""Bad configuration is named together with what exists."""

import copy
from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from revision.align import make_aligner
from revision.config import check, scale_file, variant
from revision.errors import ConfigError
from revision.mllm.loop import LoopSettings
from revision.settings import from_mapping

CONFIG = Path(__file__).parent.parent / "config"
SCHEMA = CONFIG / "schema.yaml"


@pytest.fixture
def config():
    return yaml.safe_load((CONFIG / "default.yaml").read_text())


def test_the_shipped_configuration_is_valid(config):
    check(config, SCHEMA)


@pytest.mark.parametrize(
    ("place", "key", "value", "message"),
    [
        ((), "wrold", 1, "unknown key wrold; the keys are aligners"),
        (("stage1",), "epoch", 1, "unknown key epoch; the keys are batch_size"),
        (("stage1",), "epochs", 0, "stage1.epochs: 0 is less than the minimum"),
        (("variants",), "mine", {"aligner": "magic"}, "variants.mine.aligner: 'magic' does not exist; there are .*c3"),
        (("variants",), "mine", {"llm": "huge"}, "variants.mine.llm: 'huge' does not exist; there are base"),
        (("variants",), "mine", {"sauce": "text"}, "unknown key sauce; the keys are aligner"),
        (("tables",), "table_1", ["nothing"], "tables.table_1: 'nothing' does not exist; there are blind"),
        ((), "seeds", [], "seeds"),
    ],
)
def test_a_bad_value_is_named(config, place, key, value, message):
    broken = copy.deepcopy(config)
    target = broken
    for part in place:
        target = target[part]
    target[key] = value
    with pytest.raises(ConfigError, match=message):
        check(broken, SCHEMA)


def test_unknown_scale_lists_the_scales():
    with pytest.raises(ConfigError, match=r"scale 'huge' does not exist; the scales are .*laptop.*tiny"):
        scale_file(CONFIG, "huge")


def test_unknown_method_lists_the_aligners():
    with pytest.raises(ConfigError, match=r"aligner 'magic' does not exist; the aligners are .*realign"):
        make_aligner("magic")


def test_variant_is_the_base_with_its_changes(config):
    assert variant(config, "paired") == config["base"] | {"source": "image"}
    assert variant(config, "revision") == config["base"]


def test_schema_and_loop_settings_have_the_same_keys():
    rules = yaml.safe_load(SCHEMA.read_text())
    assert set(rules["$defs"]["loop"]["properties"]) == {field.name for field in fields(LoopSettings)}


def test_settings_name_unknown_and_missing_keys():
    with pytest.raises(ConfigError, match=r"stage1: unknown key lr; the keys are batch_size"):
        from_mapping(LoopSettings, {"lr": 1}, "stage1")
    with pytest.raises(ConfigError, match=r"stage1: missing key batch_size, epochs, learning_rate"):
        from_mapping(LoopSettings, {}, "stage1")
