"""What a scale will cost before anyone pays: tokens, floating-point operations, GPU hours, disk, USD.

Pure arithmetic on a configuration and stated assumptions. N parameters cost 2 N operations a token to read, 4 N where
the weights are frozen but gradients pass through (Stage 1), 6 N where they are trained (Stage 2). GPU hours rest on
the share of the peak that the published run implies: its operations over its 12 hours on 8 GPUs (settings, hardware).
"""

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from revision.audit import cost_usd
from revision.config import Configuration
from revision.config.corpus import SourcesCorpus
from revision.config.evaluation import SceneSuites
from revision.config.language_models import HubModel, LanguageModel, TrainedModel
from revision.errors import ConfigError

READ, FROZEN, TRAINED = 2, 4, 6
REFERENCE = "revision"
BYTES_OF_EMBEDDING = 4
BYTES_OF_WEIGHT = 4  # float32, as weights are trained and written
BYTES_IN_TRAINING = 16  # weights, gradients and AdamW's two moments, float32
BYTES_IN_EVALUATION = {"no": 4, "bf16": 2}
USED_MEMORY = 0.8  # of a GPU: the rest is for activations and the encoder
PICTURES = ("reference", "probe", "validation", "instruct", "validation_instruct", "scan_reference", "scan_probe")
UNITS = {"M": 1e6, "B": 1e9}


@dataclass(frozen=True)
class Assumptions:
    """What the plan takes for granted; every one is printed. Tokens are averages."""

    caption_tokens: float = 16.15  # appendix H.4: 16.15M output tokens for 1M short captions
    long_caption_tokens: float = 250.0
    exchange_tokens: float = 150.0  # question and answer of one exchange
    exchanges: float = 2.5  # exchanges a conversation
    question_tokens: float = 120.0  # an evaluation question with its options
    answer_tokens: float = 16.0
    questions: float = 33000.0  # of all eleven suites
    image_tokens: float = 577.0  # patches of a picture in the vision tower
    image_parameters: float = 0.304e9  # ViT-L/14
    text_parameters: float = 8.03e9  # the Llama-3-8B text tower
    dim: float = 1280.0
    projector_parameters: float = 22e6  # 1280 to 4096 to 4096
    peak_flops: float = 989e12  # H200, bfloat16, dense
    gpu_memory: float = 141e9  # H200, bytes
    efficiency: float = 0.0  # share of the peak; 0: what the published run implies


@dataclass(frozen=True)
class Work:
    """One kind of work of a stage: how many jobs, tokens over all of them, operations."""

    stage: str
    what: str
    jobs: int
    tokens: float
    flops: float


@dataclass(frozen=True)
class Plan:
    """Work, disk in bytes by artefact, GPU memory in bytes by stage and language model (weights, gradients, optimiser),
    captions' USD by row of appendix H.4, and what the hours rest on."""

    scale: str
    work: list[Work]
    disk: dict[str, float]
    memory: dict[str, float]
    captions_usd: dict[str, float]
    efficiency: float
    implied_efficiency: float
    assumptions: Assumptions

    def gpu_hours(self, stage: str | None = None) -> float:
        """GPU hours of a stage, or of all."""
        flops = sum(one.flops for one in self.work if stage in (None, one.stage))
        return flops / (self.assumptions.peak_flops * self.efficiency) / 3600

    def to_dict(self, usd_per_gpu_hour: float | None = None) -> dict[str, Any]:
        """Plain values for JSON."""
        hours = {stage: self.gpu_hours(stage) for stage in dict.fromkeys(one.stage for one in self.work)}
        total = self.gpu_hours()
        return {
            "scale": self.scale,
            "work": [asdict(one) for one in self.work],
            "gpu_hours": hours | {"all": total},
            "disk_bytes": self.disk | {"all": sum(self.disk.values())},
            "gpu_memory_bytes": self.memory,
            "gpus": {
                name: math.ceil(size / (USED_MEMORY * self.assumptions.gpu_memory))
                for name, size in self.memory.items()
            },
            "captions_usd": self.captions_usd,
            "gpu_usd": None if usd_per_gpu_hour is None else total * usd_per_gpu_hour,
            "efficiency": self.efficiency,
            "implied_efficiency": self.implied_efficiency,
            "assumptions": asdict(self.assumptions),
        }


def assume(changes: Mapping[str, float]) -> Assumptions:
    """The assumptions with some changed. Raises ConfigError for an unknown name or a negative number."""
    known = [one.name for one in fields(Assumptions)]
    for name, value in changes.items():
        if name not in known:
            raise ConfigError(f"assumption {name!r} does not exist; there are {', '.join(known)}")
        if value < 0:
            raise ConfigError(f"assumption {name}: {value} is negative")
    return Assumptions(**changes)


def parameters_of(model: LanguageModel) -> float:
    """Parameters of a language model: as stated, from its name (Llama-3-8B: 8e9), or 12 L h^2 if it is trained here.

    Raises ConfigError for a package without `parameters` and for a model of the hub whose name tells no size.
    """
    if isinstance(model, TrainedModel):
        return 12.0 * model.size.layers * model.size.hidden_size**2
    if model.parameters is not None:
        return float(model.parameters)
    if isinstance(model, HubModel):
        found = re.findall(r"(?<![\w.])(\d+(?:\.\d+)?)([MB])(?![a-z])", model.model.replace("_", "-"), re.I)
        if not found:
            raise ConfigError(f"llm {model.model}: its name tells no size such as 8B; the plan cannot count it")
        number, unit = found[-1]
        return float(number) * UNITS[unit.upper()]
    raise ConfigError(f"llm package {model.package}: the plan cannot count it; add `parameters: <number>` to it")


def make_plan(config: Configuration, published: Mapping[str, Any], given: Assumptions | None = None) -> Plan:
    """The plan of a configuration; `published` holds the paper's hardware and token counts (config/published.yaml)."""
    chosen = given or Assumptions()
    settings = published["settings"]["hardware"]
    implied = _published_flops(config, chosen) / (settings["gpus"] * settings["hours"] * 3600 * chosen.peak_flops)
    costs = published["costs"]
    return Plan(
        scale=config.scale,
        work=[*_embedding(config, chosen), *_training(config, chosen), _evaluation(config, chosen)],
        disk=_disk(config, chosen),
        memory=_memory(config),
        captions_usd={row: cost_usd(v["input"], v["output"], costs["price"]) for row, v in costs["rows"].items()},
        efficiency=chosen.efficiency or implied,
        implied_efficiency=implied,
        assumptions=chosen,
    )


def embedding_sets(config: Configuration) -> dict[str, tuple[str, float]]:
    """The embedding sets that the graph makes: name to kind (image, short or long) and rows."""
    data, sets = config.data, {}
    for name in config.trained:
        chosen = config.variants[name]
        if chosen.source == "none":
            continue
        factor = "" if chosen.texts == 1 else f"_{chosen.texts:g}x"
        column = "image" if chosen.source == "image" else chosen.caption.replace("synthetic", "short")
        table = "synthetic" if chosen.caption == "synthetic" else "text"
        sets[f"{table}{factor}_{column}"] = (column, data.text * chosen.texts)
    sets |= {f"text_{column}": (column, data.text) for column in ("short", "long")}
    sets |= {f"{table}_image": ("image", getattr(data, table)) for table in PICTURES}
    sets |= {f"probe_{column}": (column, data.probe) for column in ("short", "long")}
    sets |= {f"{table}_short": ("short", getattr(data, table)) for table in ("scan_text", "scan_probe")}
    for table in config.corpus.tables if isinstance(config.corpus, SourcesCorpus) else ():
        if table.endswith("_long") and table != "text_long":
            sets[f"{table}_image"] = ("image", getattr(data, table.removesuffix("_long")))
    return sets


def _tokens(kind: str, chosen: Assumptions) -> float:
    return chosen.long_caption_tokens if kind == "long" else chosen.caption_tokens


def _embedding(config: Configuration, chosen: Assumptions) -> list[Work]:
    found = []
    for name, (kind, rows) in embedding_sets(config).items():
        each = chosen.image_tokens if kind == "image" else _tokens(kind, chosen)
        size = chosen.image_parameters if kind == "image" else chosen.text_parameters
        found.append(Work("embed", name, 1, rows * each, READ * size * rows * each))
    return found


def _size(config: Configuration, name: str) -> float:
    return parameters_of(config.llm[config.variants[name].llm])


def _stage1_tokens(config: Configuration, name: str, chosen: Assumptions) -> float:
    one = config.variants[name]
    rows = config.data.text * one.texts * config.stage1.epochs
    return rows * (_tokens(one.caption, chosen) + 2)  # the visual token and the end


def _stage2_tokens(config: Configuration, name: str, chosen: Assumptions) -> float:
    one = config.variants[name]
    exchanges = config.data.instruct * (chosen.exchanges if isinstance(config.corpus, SourcesCorpus) else 1)
    return exchanges * one.share * config.stage2.epochs * (chosen.exchange_tokens + 1)


def _training(config: Configuration, chosen: Assumptions) -> list[Work]:
    found, seeds = [], len(config.seeds)
    names = config.trained
    starts = dict.fromkeys(start for name in names if (start := config.stage1_of(name)))
    for name in starts:
        tokens = seeds * _stage1_tokens(config, name, chosen)
        found.append(Work("stage1", name, seeds, tokens, FROZEN * _size(config, name) * tokens))
    for name in names:
        tokens = seeds * _stage2_tokens(config, name, chosen)
        found.append(Work("stage2", name, seeds, tokens, TRAINED * _size(config, name) * tokens))
    return found


def _evaluation(config: Configuration, chosen: Assumptions) -> Work:
    names, seeds, suites = config.trained, len(config.seeds), config.evaluation.suites
    starts = dict.fromkeys(start for name in names if (start := config.stage1_of(name)))
    questions = 11.0 * suites.questions if isinstance(suites, SceneSuites) else chosen.questions
    each = questions * (chosen.question_tokens + chosen.answer_tokens)
    flops = sum(READ * _size(config, name) * each * seeds for name in [*starts, *names])
    jobs = seeds * (len(starts) + len(names))
    return Work("evaluate", "all checkpoints", jobs, jobs * each, flops)


def _is_pretrained(config: Configuration, name: str) -> bool:
    return not isinstance(config.llm[config.variants[name].llm], TrainedModel)


def _memory(config: Configuration) -> dict[str, float]:
    """Bytes over all GPUs by stage and language model."""
    used = dict.fromkeys(config.variants[name].llm for name in config.trained)
    sizes = {name: parameters_of(config.llm[name]) for name in used}
    stages = {
        "Stage 1": BYTES_OF_WEIGHT,
        "Stage 2": BYTES_IN_TRAINING,
        "evaluation": BYTES_IN_EVALUATION[config.evaluation.precision],
    }
    return {f"{stage}, {name}": each * size for stage, each in stages.items() for name, size in sizes.items()}


def _published_flops(config: Configuration, chosen: Assumptions) -> float:
    """Operations of one run of the paper's ReVision: both stages of the variant of that name."""
    stages = (FROZEN * _stage1_tokens(config, REFERENCE, chosen), TRAINED * _stage2_tokens(config, REFERENCE, chosen))
    return sum(stages) * _size(config, REFERENCE)


def _disk(config: Configuration, chosen: Assumptions) -> dict[str, float]:
    names, seeds = config.trained, len(config.seeds)
    dim = chosen.dim if isinstance(config.corpus, SourcesCorpus) else float(getattr(config.encoder, "dim", chosen.dim))
    row = dim * BYTES_OF_EMBEDDING
    aligned = {}
    for name in names:
        one = config.variants[name]
        if one.source == "text":
            aligned[one.aligner, one.caption, one.texts] = config.data.text * one.texts
    starts = [start for start in dict.fromkeys(config.stage1_of(name) for name in names) if start]
    sizes = {name: _size(config, name) for name in [*starts, *names]}
    # A pretrained model that Stage 1 leaves alone is referred to, not copied.
    first = [0.0 if _is_pretrained(config, name) else sizes[name] for name in starts]
    return {
        "embeddings": sum(rows for _, rows in embedding_sets(config).values()) * row,
        "aligned embeddings": sum(aligned.values()) * row,
        "Stage-1 checkpoints": seeds * sum(size + chosen.projector_parameters for size in first) * BYTES_OF_WEIGHT,
        "Stage-2 checkpoints": seeds * sum(sizes[name] for name in names) * BYTES_OF_WEIGHT,
        "state of one running training": max(sizes.values()) * BYTES_IN_TRAINING,
    }
