"""Bad configuration is named together with what exists."""

import copy
from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from revision.align import make_aligner
from revision.config import (
    check,
    load,
    run_tables,
    run_variants,
    scale_file,
    source_of,
    stage1_of,
    table_of,
    variant,
    without_factor,
)
from revision.data.sources import Source
from revision.encoders import EncoderSettings
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


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"steps": 0}, "encoder setting steps: 0 is too small; give a positive number"),
        ({"batch": 0}, "encoder setting batch: 0 is too small"),
        ({"temperature": 0.0}, "encoder setting temperature: 0.0 is too small"),
        ({"weight_decay": -1}, "encoder setting weight_decay: -1 is too small; give 0 or more"),
        ({"false_pairs": 1.5}, "encoder setting false_pairs: 1.5 is no share; give a number from 0 to 1"),
    ],
)
def test_numbers_that_make_no_sense_are_named(values, said):
    with pytest.raises(ConfigError, match=said):
        EncoderSettings(**values)
    assert EncoderSettings(weight_decay=0, false_pairs=0.0, long_share=1).long_share == 1


def test_settings_name_unknown_and_missing_keys():
    with pytest.raises(ConfigError, match=r"stage1: unknown key lr; the keys are batch_size"):
        from_mapping(LoopSettings, {"lr": 1}, "stage1")
    with pytest.raises(ConfigError, match=r"stage1: missing key batch_size, epochs, learning_rate"):
        from_mapping(LoopSettings, {}, "stage1")
    with pytest.raises(ConfigError, match="stage1: expected a mapping of settings, got list"):
        from_mapping(LoopSettings, [1], "stage1")


def test_a_file_of_no_mapping_is_named(tmp_path):
    (tmp_path / "default.yaml").write_text("- seeds\n")
    with pytest.raises(ConfigError, match=r"default\.yaml: holds list, expected keys with values"):
        load(tmp_path, "tiny")


@pytest.fixture
def paper(config):
    """The configuration of scale `paper`, merged as Snakemake merges it."""

    def merge(base, change):
        for key, value in change.items():
            base[key] = merge(base.get(key, {}), value) if isinstance(value, dict) else value
        return base

    return merge(copy.deepcopy(config), yaml.safe_load((CONFIG / "scales/paper.yaml").read_text()))


def test_the_paper_scale_is_valid_and_runs_every_variant_that_has_its_texts(paper):
    check(paper, SCHEMA)
    assert set(paper["variants"]) - set(run_variants(paper)) == {"revision_8x"}
    assert set(run_tables(paper)) == set(paper["tables"])


def test_the_paper_scale_has_what_the_paper_publishes(paper):
    published = yaml.safe_load((CONFIG / "published.yaml").read_text())["settings"]
    for stage in ("stage1", "stage2"):
        assert paper[stage]["epochs"] == published[stage]["epochs"]
        assert paper[stage]["learning_rate"] == published[stage]["lr"]
    training = published["contrastive_pretraining"]
    assert paper["dynamics"]["monitor"]["probe"] == training["probe"]
    assert paper["dynamics"]["monitor"]["every"] == training["log_every"]
    assert paper["dynamics"]["monitor"]["freeze_at"] == training["freeze_frame_at_step"]
    assert paper["dynamics"]["monitor"]["gradient_batches"] == training["gradient_batches"]
    assert paper["data"]["text"] == 1_000_000


def test_every_source_of_the_paper_scale_can_be_read_as_one(paper):
    for name in paper["corpora"]["tables"]:
        source = from_mapping(Source, source_of(paper, name), name)
        assert source.path.startswith("data/")


def test_long_captions_have_a_table_of_their_own_where_there_is_one(config, paper):
    assert table_of(paper, "text", "long") == "text_long" and table_of(paper, "text_2x", "long") == "text_long_2x"
    assert table_of(paper, "probe", "image") == table_of(paper, "probe", "short") == "probe"
    assert table_of(paper, "scan_text", "long") == "scan_text" and table_of(config, "text", "long") == "text"
    assert without_factor("text_0.1x") == ("text", "_0.1x") and without_factor("scan_text") == ("scan_text", "")


@pytest.mark.parametrize(
    ("table", "value", "message"),
    [
        ("probe", {"source": "bunny", "share": [0.9, 0.95]}, "probe and reference share rows of bunny|text and probe"),
        ("probe", {"source": "coco", "share": [0, 1]}, "tables.probe.source: 'coco' does not exist; there are bunny"),
        ("prob", {"source": "bunny", "share": [0.999, 1]}, "data: 'prob' does not exist"),
        ("probe", None, "corpora.tables: 'probe' does not exist"),
    ],
)
def test_corpora_that_do_not_fit(paper, table, value, message):
    paper["corpora"]["tables"][table] = value
    if value is None:
        del paper["corpora"]["tables"][table]
    with pytest.raises(ConfigError, match=message):
        check(paper, SCHEMA)
