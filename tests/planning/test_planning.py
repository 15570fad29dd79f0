"""The plan's arithmetic against values computed by hand."""

from pathlib import Path

import pytest

from revision.config import load, parse
from revision.config.language_models import HubModel
from revision.config.training import ProjectorSettings
from revision.errors import ConfigError
from revision.planning.cost import Assumptions, disk, embedded_rows, on_one_card, utilisation, work
from revision.stats.published import read_published

CONFIG = Path(__file__).parents[2] / "config"
PUBLISHED = read_published(CONFIG / "published.yaml")

PAPER = load(CONFIG, "paper")
BASE = PAPER.base.model_copy(update={"caption": "short", "texts": 1.0, "aligner": "realign"})
VARIANTS = {
    "revision": {}, "half": {"share": 0.5}, "double": {"texts": 2.0}, "blind": {"source": "none"},
    "paired": {"source": "image"}, "written": {"caption": "synthetic"},
}  # fmt: skip
ROWS = {
    "text": 1000, "reference": 100, "probe": 50, "instruct": 500, "scan_text": 20, "scan_reference": 10,
    "scan_probe": 5, "validation": 10, "validation_instruct": 10,
}  # fmt: skip
SOURCE_TABLES = {*PAPER.corpus.tables} - {"validation_long"}
SMALL = PAPER.model_copy(
    update={
        "seeds": [0, 1],
        "data": PAPER.data.model_copy(update=ROWS),
        "corpus": PAPER.corpus.model_copy(update={"tables": {n: PAPER.corpus.tables[n] for n in SOURCE_TABLES}}),
        "projector": ProjectorSettings(tokens=2, copies=3),
        "llm": {"base": HubModel(kind="hub", model="someone/tiny", parameters=2_000_000_000)},
        "stage1": PAPER.stage1.model_copy(update={"epochs": 1}),
        "stage2": PAPER.stage2.model_copy(update={"epochs": 2}),
        "variants": {name: BASE.model_copy(update=change) for name, change in VARIANTS.items()},
        "run": ["revision", "half", "double", "blind"],
    }
)
GIVEN = Assumptions(
    caption_tokens=8, long_caption_tokens=30, exchange_tokens=99, exchanges=2, question_tokens=15, answer_tokens=5,
    questions=110, image_tokens=4, image_parameters=1e6, text_parameters=3e6, dim=16, peak_flops=1e12, utilisation=0.5,
)  # fmt: skip
N = 2e9


@pytest.fixture(scope="module")
def planned():
    return work(SMALL, PUBLISHED, GIVEN).set_index(["stage", "model"])


def test_stage_1_is_counted_once_for_variants_that_share_it(planned):
    # revision (also half's) and double: 2 seeds x (1000 + 2000) captions x (8 + 2 x 3 visual tokens + end); 4 N.
    assert tuple(planned.loc[("Stage 1", "base"), ["tokens", "flops"]]) == (90_000, 4 * N * 90_000)


def test_stage_2_trains_everything_for_each_variant(planned):
    # 2 seeds x (1 + 1/2 + 1 + 1) x 500 conversations x 2 exchanges x 2 epochs x (99 + 6 visual tokens); 6 N.
    tokens, flops, hours = planned.loc[("Stage 2", "base"), ["tokens", "flops", "gpu_hours"]]
    assert (tokens, flops) == (1_470_000, 6 * N * 1_470_000)
    assert hours == pytest.approx(1_470_000 * 12e9 / 0.5e12 / 3600)


def test_a_text_only_model_has_no_visual_tokens():
    only = {"run": ["blind"], "variants": {"blind": BASE.model_copy(update={"source": "none", "visual": False})}}
    table = work(SMALL.model_copy(update=only), PUBLISHED, GIVEN).set_index(["stage", "model"])
    assert table.tokens["Stage 2", "base"] == 2 * 500 * 2 * 2 * 99
    assert table.tokens["evaluation", "base"] == 2 * 110 * 20


def test_evaluation_reads_every_checkpoint(planned):
    # (2 starts + 4 variants) x 2 seeds x 110 questions x (15 + 5 + 6 tokens); 2 N.
    assert tuple(planned.loc[("evaluation", "base"), ["tokens", "flops"]]) == (34_320, 2 * N * 34_320)


def test_everything_is_repeated_for_each_encoder(planned):
    twice = SMALL.model_copy(update={"encoder_seeds": [0, 1]})
    again = work(twice, PUBLISHED, GIVEN).set_index(["stage", "model"])
    assert (again.flops == 2 * planned.flops).all()
    one, two = disk(SMALL, GIVEN), disk(twice, GIVEN)
    assert {name for name in one if two[name] != 2 * one[name]} == {"state of one running training"}


def test_each_embedding_set_is_counted_once(planned):
    # Images: reference, probe, validation, instruct, validation_instruct, scan_reference, scan_probe, probe_long.
    images = 100 + 50 + 10 + 500 + 10 + 10 + 5 + 50
    short, long = 1000 + 2000 + 50 + 20 + 5, 1000 + 50
    assert embedded_rows(SMALL) == {"image": images, "short": short, "long": long}
    assert planned.flops["embedding", "image"] == 2 * 1e6 * images * 4
    assert planned.flops["embedding", "text"] == 2 * 3e6 * (short * 8 + long * 30)
    everything = embedded_rows(SMALL.model_copy(update={"run": "all"}))
    assert everything == {"image": images + 1000, "short": short + 1000, "long": long}


def test_gpu_memory_and_number_of_gpus(planned):
    assert dict(planned.memory.xs("base", level="model")) == {"Stage 1": 4 * N, "Stage 2": 16 * N, "evaluation": 2 * N}
    paper = work(PAPER, PUBLISHED, Assumptions()).set_index(["stage", "model"]).gpus
    # 70e9 x 16 bytes over 0.8 x 141e9: more than one machine of eight.
    assert (paper["Stage 2", "large"], paper["evaluation", "large"], paper["Stage 2", "base"]) == (10, 2, 2)


def test_disk_space_by_artefact():
    assert disk(SMALL, GIVEN) == {
        "embeddings": (735 + 3075 + 1050) * 16 * 4,
        "aligned embeddings": (1000 + 2000) * 16 * 4,  # revision and half share theirs
        "Stage-1 checkpoints": 2 * 2 * 22e6 * 4,  # projectors alone
        "Stage-2 checkpoints": 2 * 4 * N * 4,
        "state of one running training": 16 * N,
    }


def test_the_utilisation_is_that_of_the_published_run():
    given = Assumptions()
    # 576 visual tokens with each caption and, once, with each conversation of 2.5 exchanges.
    flops = 8e9 * (4 * 1e6 * (16.15 + 576 + 1) + 6 * 1.3e6 * (2.5 * 150 + 576))
    used = utilisation(PUBLISHED, given)
    assert used == pytest.approx(flops / (8 * 12 * 3600 * 989e12)) and 0.1 < used < 0.5
    assert utilisation(PUBLISHED, given.model_copy(update={"utilisation": 0.4})) == 0.4
    config = PAPER.model_copy(update={"seeds": [0], "run": ["revision"]})
    hours = work(config, PUBLISHED, given).set_index("stage").gpu_hours
    assert hours["Stage 1"] == pytest.approx(4 * 8e9 * 1e6 * 593.15 / (989e12 * used) / 3600)


def test_the_start_of_kernels_counts_where_it_takes_longer_than_the_operations():
    slow = GIVEN.model_copy(update={"pass_seconds": 1, "decoding_steps": 10, "step_seconds": 30})
    loops = {"stage1": PAPER.stage1.model_copy(update={"micro_batch_size": 3}), "stage2": SMALL.stage2}
    config = SMALL.model_copy(update=loops)
    table, fast = (work(config, PUBLISHED, given).set_index(["stage", "model"]) for given in (slow, GIVEN))
    # 6000 rows in batches of 256, each 85 micro-batches of 3 and one of 1; 7000 conversations of 2 exchanges in
    # micro-batches of 4; 12 checkpoints x 10 steps.
    fixed = {"Stage 1": 6000 / 256 * 86, "Stage 2": 14_000 / 4, "evaluation": 12 * 10 * 30}
    computing = {"Stage 1": 90_000 * 4 * N, "Stage 2": 1_470_000 * 6 * N, "evaluation": 34_320 * 2 * N}
    computing = {stage: operations / 0.5e12 for stage, operations in computing.items()}
    assert [stage for stage in fixed if fixed[stage] > computing[stage]] == ["Stage 1", "evaluation"]
    for stage, seconds in fixed.items():
        assert 3600 * table.fixed_hours[stage, "base"] == pytest.approx(seconds)
        assert 3600 * table.gpu_hours[stage, "base"] == pytest.approx(max(seconds, computing[stage]))
        assert 3600 * fast.gpu_hours[stage, "base"] == pytest.approx(computing[stage])
    assert (fast.fixed_hours == 0).all()


def test_measured_rates_of_embedding_take_precedence_over_operations():
    given = GIVEN.model_copy(update={"image_seconds": 2.0, "text_seconds": 0.5})
    hours = work(SMALL, PUBLISHED, given).set_index(["stage", "model"]).gpu_hours
    # Rows as above: 735 images, 3075 short and 1050 long captions.
    assert 3600 * hours["embedding", "image"] == pytest.approx(2 * 735)
    assert 3600 * hours["embedding", "text"] == pytest.approx((3075 + 1050) / 2)


def test_one_card_runs_what_fits_its_memory():
    config = load(CONFIG, "single_gpu")
    given = parse(Assumptions, config.assumptions, "assumptions")
    table = work(config, PUBLISHED, given)
    assert (table.gpus.dropna() == 1).all()
    cards = on_one_card(table, 0.25).set_index("card")
    assert list(cards.too_large) == ["Stage 2 large", "", "", ""]  # 1.5e9 x 16 bytes
    fits = table[table.memory.fillna(0) < 0.8 * 24e9]
    hours = sum(max(row.flops / (165e12 / 4) / 3600, row.fixed_hours) for row in fits.itertuples())
    assert cards.hours["RTX 4090"] == pytest.approx(hours)
    assert cards.hours["H200"] == pytest.approx(table.gpu_hours.sum())
    assert cards.hours["H200"] <= cards.hours["H100"] <= cards.hours["A100"] < 30


def test_errors_report_why_a_scale_cannot_be_planned():
    with pytest.raises(ConfigError, match="scale tiny generates its data"):
        work(load(CONFIG, "tiny"), PUBLISHED, GIVEN)
    unknown = SMALL.model_copy(update={"llm": {"base": HubModel(kind="hub", model="someone/tiny")}})
    with pytest.raises(ConfigError, match=r"llm\.base: the plan needs its size; add"):
        work(unknown, PUBLISHED, GIVEN)
    with pytest.raises(ConfigError, match="peak_flops: -1 does not fit: it should be greater than 0"):
        parse(Assumptions, {"peak_flops": -1}, "assumptions")
