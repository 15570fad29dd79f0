"""Bad configuration is named together with what exists."""

import copy
from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from revision.align import make_aligner
from revision.config import check, run_tables, run_variants, scale_file, stage1_of, variant
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
        (("tables", "table_1"), "rows", ["c3", "it"], "tables.table_1: 'it' does not exist; there are .*blind"),
        (("tables", "table_1"), "reference", "long", "tables.table_1: 'long' does not exist; there are blind, c3"),
        (("scaling",), "paired", "pairs", "scaling: 'pairs' does not exist; there are .*blind"),
        ((), "run", ["nothing"], "run: 'nothing' does not exist; there are .*blind"),
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


def test_variants_that_agree_in_stage_1_share_its_checkpoint(config):
    assert {stage1_of(config, name) for name in ("revision", "share_30", "share_60")} == {"revision"}
    assert stage1_of(config, "revision_2x") == "revision_2x" and stage1_of(config, "large") == "large"
    assert stage1_of(config, "blind") is None and stage1_of(config, "without_stage1") is None


def test_a_scale_may_train_some_variants_and_fills_the_tables_it_can(config):
    assert run_variants(config) == list(config["variants"])
    assert run_tables(config) == config["tables"]
    config["run"] = ["revision", "blind", "share_30"]
    assert run_variants(config) == ["blind", "revision", "share_30"]
    assert {name: table["rows"] for name, table in run_tables(config).items()} == {
        "table_1": ["blind", "revision"],
        "table_7": ["share_30", "revision"],
    }


def test_schema_and_loop_settings_have_the_same_keys():
    rules = yaml.safe_load(SCHEMA.read_text())
    assert set(rules["$defs"]["loop"]["properties"]) == {field.name for field in fields(LoopSettings)}


def test_settings_name_unknown_and_missing_keys():
    with pytest.raises(ConfigError, match=r"stage1: unknown key lr; the keys are batch_size"):
        from_mapping(LoopSettings, {"lr": 1}, "stage1")
    with pytest.raises(ConfigError, match=r"stage1: missing key batch_size, epochs, learning_rate"):
        from_mapping(LoopSettings, {}, "stage1")
