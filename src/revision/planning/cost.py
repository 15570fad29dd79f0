"""What a scale with real data and models will cost: tokens, operations, GPU hours, GPU memory and disk.

Arithmetic on a configuration and stated assumptions. A model of N parameters takes 2 N operations a token forwards,
4 N where it is frozen but gradients pass through it (Stage 1), 6 N where it is trained (Stage 2). GPU hours rest on the
utilisation that the published run implies. Not counted: figure 1 on LAION, text that a language model writes,
validation, waiting, restarts. `snakemake -n` counts the jobs.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from pydantic import Field

from revision.config import Configuration, Settings
from revision.config.corpus import LONG, SourcesCorpus
from revision.config.language_models import TrainedModel
from revision.config.variants import Variant
from revision.errors import ConfigError

FLOPS = {"embedding": 2, "Stage 1": 4, "Stage 2": 6, "evaluation": 2}  # by parameter and token
FLOAT32 = 4  # bytes of a number of an embedding, and of a weight as it is trained and written
TRAINING = 4 * FLOAT32  # weights, gradients and AdamW's two moments
EVALUATION = {"no": 4, "bf16": 2}
USED_MEMORY = 0.8  # of a GPU: the rest is for activations and the encoder
IMAGES = ("reference", "probe", "validation", "instruct", "validation_instruct", "scan_reference", "scan_probe")


def _assumed(value: float, source: str) -> Any:
    return Field(default=value, gt=0, description=source)


class Assumptions(Settings):
    """What the estimate takes for granted, each with its source. Tokens are averages of one text or image."""

    caption_tokens: float = _assumed(16.15, "appendix H.4: 16.15M output tokens for 1M captions")
    long_caption_tokens: float = _assumed(250, "a guess")
    exchange_tokens: float = _assumed(150, "a guess: question and answer of one exchange")
    exchanges: float = _assumed(2.5, "a guess: exchanges of a conversation")
    question_tokens: float = _assumed(120, "a guess: an evaluation question with its options")
    answer_tokens: float = _assumed(16, "a guess")
    questions: float = _assumed(33_000, "a guess: all eleven suites")
    image_tokens: float = _assumed(577, "ViT-L/14 at 336 pixels: patches and class token")
    image_parameters: float = _assumed(0.304e9, "ViT-L/14")
    text_parameters: float = _assumed(8.03e9, "Llama-3-8B, the text tower of LLM2CLIP")
    dim: float = _assumed(1280, "LLM2CLIP-Openai-L-14-336, as released")
    projector_parameters: float = _assumed(22e6, "1280 to 4096 to 4096")
    published_texts: float = _assumed(1e6, "published.yaml, settings.stage1")
    published_conversations: float = _assumed(1.3e6, "published.yaml, settings.stage2: about 1.2M, rounded up")
    published_parameters: float = _assumed(8e9, "published.yaml, settings.llm")
    peak_flops: float = _assumed(989e12, "H200, bfloat16, dense")
    gpu_memory: float = _assumed(141e9, "H200, bytes")
    utilisation: float = Field(
        default=0, ge=0, le=1, description="share of the peak; 0: what the published run implies"
    )

    def stage1_tokens(self, texts: float, caption: str = "short") -> float:
        """Tokens of Stage 1: the visual token, the caption and the end of each text."""
        return texts * ((self.long_caption_tokens if caption == "long" else self.caption_tokens) + 2)

    def stage2_tokens(self, conversations: float) -> float:
        """Tokens of Stage 2: each exchange is a row, with a visual token of its own."""
        return conversations * self.exchanges * (self.exchange_tokens + 1)


def utilisation(published: Mapping[str, Any], given: Assumptions) -> float:
    """Share of the GPUs' peak: as given, or the published run's operations over its hours (settings.hardware)."""
    hardware = published["settings"]["hardware"]
    stage1 = FLOPS["Stage 1"] * given.stage1_tokens(given.published_texts)
    stage2 = FLOPS["Stage 2"] * given.stage2_tokens(given.published_conversations)
    seconds = hardware["gpus"] * hardware["hours"] * 3600
    return given.utilisation or given.published_parameters * (stage1 + stage2) / (seconds * given.peak_flops)


def work(config: Configuration, published: Mapping[str, Any], given: Assumptions) -> pd.DataFrame:
    """Work of a scale by stage and model, over all seeds and variants.

    Parameters
    ----------
    config : Configuration
        The configuration of a scale of real data (revision.config.load).
    published : Mapping
        The published numbers (revision.stats.published.read_published), for the hardware of the paper.
    given : Assumptions
        What the configuration does not tell.

    Returns
    -------
    pandas.DataFrame
        Columns stage, model, tokens, flops, gpu_hours, memory (bytes of weights, gradients and optimiser over all GPUs
        of a job; NaN for the embedding) and gpus (how many hold that).

    Raises
    ------
    ConfigError
        If the scale has no real data, or a language model no `parameters`.
    """
    if not isinstance(config.corpus, SourcesCorpus):
        raise ConfigError(f"scale {config.scale} generates its data; the plan is for real data, as in scale paper")
    memory = {"Stage 1": FLOAT32, "Stage 2": TRAINING, "evaluation": EVALUATION[config.evaluation.precision]}
    sizes = {"image": given.image_parameters, "text": given.text_parameters}
    sizes |= {one.llm: parameters(config, one) for one in _variants(config)}
    table = pd.DataFrame([(*key, tokens) for key, tokens in _tokens(config, given).items()])
    table.columns = ["stage", "model", "tokens"]
    size = table.model.map(sizes)
    table["flops"] = table.stage.map(FLOPS) * size * table.tokens
    table["gpu_hours"] = table.flops / (given.peak_flops * utilisation(published, given)) / 3600
    table["memory"] = table.stage.map(memory) * size
    table["gpus"] = np.ceil(table.memory / (USED_MEMORY * given.gpu_memory))
    return table


def disk(config: Configuration, given: Assumptions) -> dict[str, float]:
    """Bytes on disk by artefact; Stage 1 writes the projector and a reference to the language model."""
    variants, seeds, row = _variants(config), len(config.seeds), given.dim * FLOAT32
    aligned = {(one.aligner, one.caption, one.texts) for one in variants if one.source == "text"}
    return {
        "embeddings": embedded_rows(config).total() * row,
        "aligned embeddings": config.data.text * sum(texts for *_, texts in aligned) * row,
        "Stage-1 checkpoints": seeds * len(_starts(config)) * given.projector_parameters * FLOAT32,
        "Stage-2 checkpoints": seeds * sum(parameters(config, one) for one in variants) * FLOAT32,
        "state of one running training": max(parameters(config, one) for one in variants) * TRAINING,
    }


def embedded_rows(config: Configuration) -> Counter[str]:
    """Rows to embed by kind: image, short (captions) and long; each embedding set counts once."""
    data = config.data
    sets: set[tuple[str, float, str]] = {("text", 1, "short"), ("text", 1, "long")}
    for one in _variants(config):
        if one.source != "none":
            corpus, kind = ("synthetic", "short") if one.caption == "synthetic" else ("text", one.caption)
            sets.add((corpus, one.texts, "image" if one.source == "image" else kind))
    rows = Counter({"long": data.probe, "short": data.probe + data.scan_text + data.scan_probe})
    for _, texts, kind in sets:
        rows[kind] += round(data.text * texts)
    of_long = [name.removesuffix(LONG) for name in config.corpus_tables if name.endswith(LONG)]
    rows["image"] += sum(getattr(data, name) for name in (*IMAGES, *of_long) if name != "text")
    return rows


def parameters(config: Configuration, variant: Variant) -> float:
    """Parameters of a variant's language model; ConfigError where the configuration does not tell."""
    model = config.llm[variant.llm]
    if isinstance(model, TrainedModel) or model.parameters is None:
        raise ConfigError(f"configuration llm.{variant.llm}: the plan needs its size; add `parameters: <number>`")
    return float(model.parameters)


def _variants(config: Configuration, names: Iterable[str] | None = None) -> list[Variant]:
    """The variants `names`; by default those that are trained."""
    return [config.variants[name] for name in (config.trained if names is None else names)]


def _starts(config: Configuration) -> list[Variant]:
    """The variants whose Stage 1 is trained; the others start from one of these or have none."""
    names = [config.stage1_of(name) for name in config.trained]
    return _variants(config, dict.fromkeys(name for name in names if name))


def _tokens(config: Configuration, given: Assumptions) -> dict[tuple[str, str], float]:
    rows, seeds, data = embedded_rows(config), len(config.seeds), config.data
    tokens: dict[tuple[str, str], float] = defaultdict(float)
    tokens["embedding", "image"] = rows["image"] * given.image_tokens
    tokens["embedding", "text"] = rows["short"] * given.caption_tokens + rows["long"] * given.long_caption_tokens
    starts, variants = _starts(config), _variants(config)
    for one in starts:
        texts = seeds * config.stage1.epochs * data.text * one.texts
        tokens["Stage 1", one.llm] += given.stage1_tokens(texts, one.caption)
    for one in variants:
        conversations = seeds * config.stage2.epochs * data.instruct * one.share
        tokens["Stage 2", one.llm] += given.stage2_tokens(conversations)
    for one in [*starts, *variants]:
        of_question = given.question_tokens + given.answer_tokens
        tokens["evaluation", one.llm] += seeds * given.questions * of_question
    return tokens
