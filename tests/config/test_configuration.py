"""The configuration of a run: scales, variants, and errors that report key, problem and valid values."""

from pathlib import Path

import pytest
import yaml

from revision.align import make_aligner
from revision.config import CaptionSet, load, merge, parse, read, scale_file
from revision.config.corpus import CorpusSections, SourcesCorpus
from revision.config.encoders import EncoderFile, EncoderSections, EncoderSettings, HeadSettings
from revision.config.language_models import HubModel, PackagedModel, TrainedModel
from revision.config.training import FinetuneSections, PretrainSections
from revision.errors import ConfigError

CONFIG = Path(__file__).parents[2] / "config"
SCALES = sorted(path.stem for path in (CONFIG / "scales").glob("*.yaml"))


def changed(scale="laptop", **overrides):
    return load(CONFIG, scale, overrides)


@pytest.mark.parametrize("scale", SCALES)
def test_every_shipped_scale_is_valid_and_named_after_its_file(scale):
    assert load(CONFIG, scale).scale == scale


def test_a_scale_comes_from_the_overrides_or_the_defaults():
    assert load(CONFIG).scale == "laptop"
    assert load(CONFIG, overrides={"scale": "tiny", "seeds": [7]}).seeds == [7]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"wrold": 1}, r"configuration: unknown key wrold \(did you mean world\?\); the keys are aligners, "),
        ({"stage1": {"epoch": 1}}, r"stage1: unknown key epoch \(did you mean epochs\?\); the keys are batch_size"),
        ({"stage1": {"epochs": 0}}, "stage1.epochs: 0 does not fit: it should be greater than or equal to 1"),
        ({"stage1": {"epochs": "two"}}, "stage1.epochs: 'two' does not fit: it should be a valid integer"),
        ({"stage1": {"learning_rate": float("nan")}}, "stage1.learning_rate: nan does not fit"),
        (
            {"variants": {"mine": {"aligner": "c33"}}},
            r"variants.mine.aligner: 'c33' does not exist \(did you mean c3\?\); there are .*realign",
        ),
        ({"variants": {"mine": {"llm": "huge"}}}, "variants.mine.llm: 'huge' does not exist; there are base, large"),
        ({"variants": {"mine": {"sauce": "text"}}}, "variants.mine: unknown key sauce .*source"),
        (
            {"variants": {"mine": {"caption": "shor"}}},
            r"variants.mine.caption: 'shor' does not exist \(did you mean sho",
        ),
        ({"variants": {"mine": {"visual": False}}}, "variants.mine.visual: false needs `source: none`"),
        ({"variants": {"mine": {"source": "image", "images": 0.5}}}, "variants.mine.images: 0.5 needs a visual token"),
        ({"variants": {"mine": {"source": "none", "visual": False, "images": 0}}}, "mine.images: 0.0 needs a visual"),
        ({"variants": {"mine": {"source": "none", "noise": 0.1}}}, "variants.mine.noise: needs a Stage 1"),
        ({"variants": {"mine": {"source": "none", "corrected": True}}}, "variants.mine.corrected: needs a Stage 1"),
        ({"variants": {"mine": {"noise": -0.1}}}, "variants.mine.noise: -0.1 does not fit"),
        ({"encoder_seeds": []}, "encoder_seeds: list does not fit: List should have at least 1 item"),
        (
            {"encoder": {"kind": "file", "path": "config/encoders/clip_vit_b32.yaml"}},
            "encoder_seeds: an encoder of kind file is not trained here; give one entry",
        ),
        ({"tables": {"table_1": {"rows": ["c3", "it"]}}}, "tables.table_1.reference: 'revision' does not exist; .* c3"),
        (
            {"tables": {"mine": {"title": "", "rows": ["c3", "it"], "reference": "c3", "published": {}}}},
            "tables.mine.rows: 'it' does not exist; there are .*blind",
        ),
        ({"tables": {"table_1": {"labels": {"mine": "Mine"}}}}, "tables.table_1.labels: 'mine' does not exist"),
        ({"scaling": {"paired": "pairs"}}, r"scaling: 'pairs' does not exist \(did you mean paired\?\)"),
        ({"run": ["nothing"]}, "run: 'nothing' does not exist; there are .*blind"),
        ({"seeds": []}, "seeds: list does not fit: List should have at least 1 item"),
        ({"seeds": [1, 1]}, "seeds: 1 is given twice"),
        (
            {"encoder": {"kind": "scene"}},
            r"encoder: kind 'scene' does not exist \(did you mean scenes\?\); there are file",
        ),
        ({"encoder": {"dims": 3}}, "encoder: unknown key dims"),
        ({"encoder": {"batch": 30000, "images": 9}}, "encoder.batch: 30000 is more than images, 9; lower it"),
        ({"llm": {"mine": {"kind": "hub"}}}, "llm.mine.model: missing"),
        ({"llm": {"mine": {"model": "x"}}}, "llm.mine.kind: missing; there are hub, package, trained"),
        ({"llm": {"base": {"size": {"heads": 7}}}}, "llm.base.size.heads: 7 does not divide hidden_size, 64"),
        ({"dynamics": {"monitor": {"late_from": 130}}}, "dynamics.monitor.late_from: 130 is no later than"),
        (
            {"dynamics": {"causes": {"base": {"stepz": 3}}}},
            "dynamics.causes.studies.temperature.0.01.encoder: unknown key s",
        ),
        ({"world": {"short_place": 1.5}}, "world.short_place: 1.5 does not fit: it should be less than or equal to 1"),
    ],
)
def test_invalid_values_are_reported_with_valid_ones(overrides, message):
    with pytest.raises(ConfigError, match=r"^configuration") as error:
        changed(**overrides)
    assert error.match(message)


def test_numbers_of_the_command_line_may_be_strings():
    config = changed(stage2={"epochs": "3", "precision": "no", "fused": "true"}, seeds=["0", "4"])
    assert (config.stage2.epochs, config.stage2.precision, config.stage2.fused) == (3, "no", True)
    assert config.seeds == [0, 4]


def test_all_problems_are_reported_together():
    with pytest.raises(ConfigError) as error:
        changed(seeds=[], world={"seed": 0.5}, stage2={"epochs": -1})
    keys = [line.partition(":")[0] for line in str(error.value).splitlines()]
    assert keys == [f"configuration, {key}" for key in ("seeds", "world.seed", "stage2.epochs")]


def test_unknown_scale_lists_the_scales():
    with pytest.raises(ConfigError, match=r"scale 'lapto' does not exist \(did you mean laptop\?\); .* laptop, .*tiny"):
        scale_file(CONFIG, "lapto")


def test_unknown_method_lists_the_aligners():
    with pytest.raises(ConfigError, match=r"aligner 'magic' does not exist; the aligners are .*realign"):
        make_aligner("magic")


def test_merge_replaces_a_section_of_another_kind_and_updates_one_of_the_same_kind():
    base = {"kind": "scenes", "dim": 8, "more": {"a": 1, "b": 2}}
    assert merge({"x": base}, {"x": {"kind": "file", "path": "p"}}) == {"x": {"kind": "file", "path": "p"}}
    assert merge({"x": base}, {"x": {"more": {"a": 3}}}) == {"x": base | {"more": {"a": 3, "b": 2}}}
    assert merge({"x": base}, {"x": {"kind": "scenes", "dim": 9}}) == {"x": base | {"dim": 9}}
    assert base["more"] == {"a": 1, "b": 2}


def test_kind_selects_the_settings_class():
    laptop, paper, pretrained = (load(CONFIG, scale) for scale in ("laptop", "paper", "pretrained"))
    assert isinstance(laptop.encoder, EncoderSettings) and isinstance(laptop.llm["base"], TrainedModel)
    assert isinstance(paper.encoder, EncoderFile) and isinstance(paper.llm["base"], HubModel)
    assert isinstance(pretrained.encoder, HeadSettings) and isinstance(pretrained.llm["smollm2"], PackagedModel)


def test_variants_are_the_base_updated_by_their_changes():
    config = load(CONFIG)
    assert config.variants["revision"] == config.base
    assert config.variants["paired"] == config.base.model_copy(update={"source": "image"})
    names = {name: config.variants[name].captions.name for name in ("revision", "revision_2x", "long", "unicorn")}
    assert names == {
        "revision": "text_short",
        "revision_2x": "text_2x_short",
        "long": "text_long",
        "unicorn": "synthetic_short",
    }


def test_variants_that_agree_in_stage_1_share_its_checkpoint():
    config = load(CONFIG)
    assert {config.stage1_of(name) for name in ("revision", "share_30", "share_60")} == {"revision"}
    assert {config.stage1_of(name) for name in ("revision", "text_revision", "mix_10")} == {"revision"}
    for name in ("revision_again", "no_align_corrected", "c3"):
        assert config.stage1_of(name) == name
    assert config.stage1_of("revision_2x") == "revision_2x" and config.stage1_of("large") == "large"
    assert config.stage1_of("blind") is None and config.stage1_of("without_stage1") is None


def test_a_redrawn_variant_has_another_seed():
    variants = load(CONFIG).variants
    seeds = {variants[name].training_seed(seed) for name in ("revision", "revision_again") for seed in range(4)}
    assert len(seeds) == 8 and variants["revision"].training_seed(3) == 3


def test_published_questions_have_no_full_captions():
    with pytest.raises(ConfigError, match=r"variants.text_revision.images: published questions have no full captions"):
        changed("paper", run=["revision", "text_revision"])


@pytest.mark.parametrize("kind", [PretrainSections, FinetuneSections])
def test_trainings_have_folders_of_their_own(kind):
    training = dict.fromkeys(("llm", "embeddings", "captions", "validation_embeddings", "validation_captions"), "a")
    if kind is FinetuneSections:
        training = dict.fromkeys(("start", "instructions", "validation_instructions"), "a")
    loop = {"epochs": 1, "batch_size": 1, "learning_rate": 0.1}
    sections = {"loop": loop, "trainings": [training | {"out": "x"}, training | {"out": "y"}]}
    assert [one.out for one in parse(kind, sections, "here").trainings] == ["x", "y"]
    for trainings, message in (
        ([training | {"out": "x"}] * 2, "here, trainings.out: x is given twice; each training needs a folder"),
        ([], "here, trainings: list does not fit"),
    ):
        with pytest.raises(ConfigError, match=message):
            parse(kind, sections | {"trainings": trainings}, "here")


def test_tables_are_restricted_to_the_trained_variants():
    config = load(CONFIG)
    assert config.trained == list(config.variants) and config.filled_tables() == config.tables
    config = changed(run=["revision", "blind", "share_30"])
    assert config.trained == ["blind", "revision", "share_30"]
    assert {name: table.rows for name, table in config.filled_tables().items()} == {
        "table_1": ["blind", "revision"],
        "table_7": ["share_30", "revision"],
    }


def test_labels_follow_their_rows_and_none_leave_no_trace_in_settings_files():
    table = {"table_1": {"labels": {"blind": "Text only", "c3": "Noise"}}}
    filled = changed(run=["revision", "blind"], tables=table).filled_tables()["table_1"]
    assert filled.labels == {"blind": "Text only"} and "labels" in filled.model_dump(mode="json")
    assert not [table for table in load(CONFIG).model_dump(mode="json")["tables"].values() if "labels" in table]


def test_chosen_figures_keep_the_order_of_the_existing_ones():
    assert load(CONFIG).chosen_figures(["a", "b"]) == ["a", "b"]
    assert changed(figures=["c", "a"]).chosen_figures(["a", "b", "c"]) == ["a", "c"]
    with pytest.raises(ConfigError, match="configuration, figures: 'd' does not exist; there are a, b"):
        changed(figures=["d"]).chosen_figures(["a", "b"])


def test_the_paper_scale_trains_every_variant_with_enough_texts():
    paper = load(CONFIG, "paper")
    only_here = {"no_align_corrected", "revision_again", "revision_half", "mix_1", "mix_10"}
    assert {name for name in paper.variants if name not in paper.trained and not name.startswith("text_")} == only_here
    assert set(paper.tables) - set(paper.filled_tables()) == {"table_text_only", "table_mixtures"}


def test_the_paper_scale_has_the_published_settings():
    paper = load(CONFIG, "paper")
    published = yaml.safe_load((CONFIG / "published.yaml").read_text())["settings"]
    for stage, settings in (("stage1", paper.stage1), ("stage2", paper.stage2)):
        assert settings.epochs == published[stage]["epochs"]
        assert settings.learning_rate == published[stage]["lr"]
    training, monitor = published["contrastive_pretraining"], paper.dynamics.monitor
    assert monitor.probe == training["probe"]
    assert monitor.every == training["log_every"]
    assert monitor.freeze_at == training["freeze_frame_at_step"]
    assert monitor.gradient_batches == training["gradient_batches"]
    assert paper.data.text == 1_000_000


def test_long_captions_come_from_their_own_table_if_it_exists():
    laptop, paper = load(CONFIG), load(CONFIG, "paper")

    def tables(config, *names):
        return [config.table_of(CaptionSet.parse(name)).name for name in names]

    assert tables(paper, "text_long", "text_2x_long") == ["text_long", "text_long_2x"]
    assert tables(paper, "probe_image", "probe_short", "scan_text_long") == ["probe", "probe", "scan_text"]
    assert tables(laptop, "text_long", "text_2x_long") == ["text", "text_2x"]
    assert paper.images_of(CaptionSet("probe", "long")).name == "probe_long_image"
    assert laptop.images_of(CaptionSet("probe", "long")).name == "probe_image"
    assert paper.row_count(paper.table_of(CaptionSet("text", "long", 0.1))) == 100_000


@pytest.mark.parametrize(
    ("table", "value", "message"),
    [
        (
            "probe",
            {"share": [0.9, 0.95]},
            "corpus.tables.probe.share: (reference and probe|text and probe) share rows of",
        ),
        ("probe", {"source": "coco"}, "corpus.tables.probe.source: 'coco' does not exist; there are bunny"),
        (
            "prob",
            {"source": "bunny", "share": [1.0, 1.0]},
            r"corpus.tables: 'prob' does not exist \(did you mean probe",
        ),
        ("probe", {"share": [0.9, 1.5]}, "corpus.tables.probe.share.1: 1.5 does not fit"),
    ],
)
def test_invalid_corpus_tables_are_reported(table, value, message):
    with pytest.raises(ConfigError, match=message):
        changed("paper", corpus={"tables": {table: value}})


def test_missing_corpus_tables_are_reported():
    values = load(CONFIG, "paper").corpus.model_dump(mode="json")
    del values["tables"]["probe"]
    with pytest.raises(
        ConfigError, match=r"configuration, corpus.tables: 'probe' does not exist .* there are instruct"
    ):
        load(CONFIG, "laptop", {"corpus": values})


def test_a_table_depends_only_on_its_own_source():
    corpus = load(CONFIG, "paper").corpus
    assert isinstance(corpus, SourcesCorpus)
    for name, table in corpus.tables.items():
        only = corpus.only(name)
        assert list(only.sources) == [table.source] and only.tables == {name: table}
        assert only.source(name).path.startswith("data/")
    changed_get = corpus.model_dump(mode="json")
    changed_get["sources"]["bunny"]["get"] = "ask"
    assert CorpusSections.model_validate({"corpus": changed_get}, strict=False).corpus.only("text") == corpus.only(
        "text"
    )


def test_a_command_reads_its_sections(tmp_path):
    path = tmp_path / "encoder.yaml"
    path.write_text("encoder: {kind: scenes, steps: 3}")
    assert read(path, EncoderSections).encoder == EncoderSettings(steps=3)
    path.write_text('{"encoder": {"kind": "pretrained_heads", "steps": 3}, "world": {"seed": 4}}')
    assert read(path, EncoderSections).encoder == HeadSettings(steps=3)
    path.write_text("encoder: {kind: scenes, stepz: 3}")
    with pytest.raises(ConfigError, match=r"encoder.yaml, encoder: unknown key stepz \(did you mean steps"):
        read(path, EncoderSections)
    path.write_text("- seeds\n")
    with pytest.raises(ConfigError, match=r"encoder\.yaml: holds list, expected keys with values"):
        read(path, EncoderSections)
    path.write_text("a: [")
    with pytest.raises(ConfigError, match=r"encoder\.yaml: not readable as YAML"):
        read(path, EncoderSections)


def test_recorded_settings_omit_their_kind():
    recorded = EncoderSettings(steps=3).record()
    assert recorded["steps"] == 3 and "kind" not in recorded
    assert EncoderSettings(**recorded) == EncoderSettings(steps=3)
