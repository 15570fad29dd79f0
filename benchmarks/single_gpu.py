"""Measure on a GPU what the scale `single_gpu` assumes: `python benchmarks/single_gpu.py`, a few minutes.

Models of the real shapes with random weights run through the code of training and evaluation, without a network.
Operations are those that `revision plan` counts (`revision.planning.cost`). If a part fails, the others still run.
"""

import argparse
import gc
import io
import json
import os
import statistics
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import torch
import transformers as hf
from PIL import Image
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from revision.config import load, parse
from revision.encoders import load_encoder
from revision.io.files import atomic_file
from revision.mllm.inputs import InMemory, batch_maker
from revision.mllm.loop import run_loop
from revision.mllm.model import DTYPES, ReVisionModel
from revision.mllm.prompts import Examples, question_prompt
from revision.planning.cost import FLOPS, Assumptions

ROOT = Path(__file__).parents[1]


def _shape(hidden: int, intermediate: int, layers: int, heads: int, key_value_heads: int, vocabulary: int) -> dict:
    return {"hidden_size": hidden, "intermediate_size": intermediate, "num_hidden_layers": layers,
            "num_attention_heads": heads, "num_key_value_heads": key_value_heads, "vocab_size": vocabulary,
            "tie_word_embeddings": True}  # fmt: skip


BASE = "Qwen2.5-0.5B"
SHAPES = {
    BASE: ("Qwen2", _shape(896, 4864, 24, 14, 2, 151936)),
    "SmolLM2-360M": ("Llama", _shape(960, 2560, 32, 15, 5, 49152)),
    "SmolLM2-135M": ("Llama", _shape(576, 1536, 30, 9, 3, 49152)),
    "Qwen2.5-1.5B": ("Qwen2", _shape(1536, 8960, 28, 12, 2, 151936)),
}
ENCODER: dict[str, dict[str, int]] = {"text_config": {"vocab_size": 256000}, "vision_config": {}}  # others: defaults
MICRO = {"stage1": 128, "stage2": 32}  # beside those of the scale
STAGES = {"stage1": "Stage 1", "stage2": "Stage 2"}
QUESTION_SHARE = 2 / 3  # of an exchange's tokens; only answers are projected onto the vocabulary
LONG = 250  # tokens of a caption or answer, by which the micro-batches of docs/single-gpu.md are chosen
WARM_UP, TIMED, REPEATED = 2, 5, 3  # optimiser steps
PROMPTS, NEW_TOKENS = 64, 8
IMAGES, SIZES, COPIES = 512, ((224, 224), (640, 480)), 8  # so many files that decoding overlaps with the model


class Benchmark:
    """Settings of the scale, device and the rows measured so far."""

    def __init__(self, out: Path, device: torch.device, folder: Path) -> None:
        self.out, self.device, self.folder = out, device, folder
        self.config = load(ROOT / "config", "single_gpu")
        self.given = parse(Assumptions, self.config.assumptions, "assumptions")
        self.name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
        self.rows: list[dict[str, Any]] = []
        self.random = np.random.default_rng(0)
        self.tokenizer = byte_tokenizer()

    def record(self, part: str, model: str, metric: str, value: float, unit: str, **about: Any) -> None:
        """Print a measurement and write all so far, since a run may end early."""
        versions = {"device": self.name, "torch": torch.__version__, "transformers": hf.__version__}
        row = {"part": part, "model": model, "micro_batch": None, "tokens": None} | about
        self.rows.append(versions | row | {"metric": metric, "value": value, "unit": unit})
        print(f"{part:10} {model:14} {row['micro_batch'] or '':>4}  {metric}: {value:.5g} {unit}", flush=True)
        with atomic_file(self.out) as temporary:
            pd.DataFrame(self.rows).astype({"micro_batch": "Int64"}).to_csv(temporary, index=False)

    def now(self) -> float:
        """Return the time in seconds once the device has finished."""
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()

    def median(self, work: Callable[[], Any], repeats: int = 5) -> float:
        """Return the median seconds of `work` after one call to warm up."""
        marks = [(work(), self.now())[1] for _ in range(repeats + 1)]
        return statistics.median(np.diff(marks))

    def reset(self) -> None:
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()

    def memory(self, part: str, model: str, **about: Any) -> None:
        """Record the peak memory since `reset`."""
        if self.device.type == "cuda":
            self.record(part, model, "peak allocated", torch.cuda.max_memory_allocated() / 1e9, "GB", **about)
            self.record(part, model, "peak reserved", torch.cuda.max_memory_reserved() / 1e9, "GB", **about)

    def embeddings(self, count: int) -> np.ndarray:
        rows = self.random.standard_normal((count, int(self.given.dim)), np.float32)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    def model(self, llm: Any) -> ReVisionModel:
        return ReVisionModel(llm, self.tokenizer, int(self.given.dim), projector=self.config.projector)

    def train(
        self, llm: Any, stage: str, steps: int, prompt: int, target: int, **changes: int
    ) -> tuple[ReVisionModel, list[float]]:
        """Train on random rows with the scale's settings; return the model and the seconds of each optimiser step."""
        loop = getattr(self.config, stage).model_copy(update={"validate_every": 10**6} | changes)
        count, length = steps * loop.batch_size, prompt + target + 2  # with begin and end
        lengths = np.full(count, length)
        tokens = np.random.default_rng(0).integers(llm.config.vocab_size, size=count * length, dtype=np.int32)
        examples = Examples(tokens, np.arange(count) * length, np.full(count, 1 + prompt), lengths, pad=0)
        llm.requires_grad_(stage == "stage2")
        model, marks = self.model(llm), []
        self.reset()
        make = batch_maker(examples, InMemory(self.embeddings(count)))
        run_loop(model, lengths, examples.targets, make, loop, seed=0, state=self.folder / "state", title=stage,
                 observe=lambda *_: marks.append(self.now()))  # fmt: skip
        return model, np.diff(marks).tolist()


def byte_tokenizer() -> Any:
    """A tokenizer with one token per byte; a model's vocabulary may be larger."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend = Tokenizer(models.BPE({token: n for n, token in enumerate(["<end>", *alphabet])}, merges=[]))
    backend.pre_tokenizer, backend.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    return hf.PreTrainedTokenizerFast(
        tokenizer_object=backend, eos_token="<end>", pad_token="<end>", model_input_names=["input_ids"]
    )


def language_model(name: str, device: torch.device | str) -> Any:
    """A causal LM of a shape in SHAPES with random weights, initialised on the device."""
    family, shape = SHAPES[name]
    torch.manual_seed(0)
    with torch.device(device):
        return getattr(hf, f"{family}ForCausalLM")(getattr(hf, f"{family}Config")(**shape))


def row_tokens(bench: Benchmark, stage: str) -> tuple[int, int, float]:
    """Return the tokens of a row's prompt and target, and those that the estimate counts for it."""
    given, visual = bench.given, bench.config.projector.tokens
    if stage == "stage1":
        return 0, int(given.caption_tokens), given.stage1_tokens(1, visual)
    prompt = int(given.exchange_tokens * QUESTION_SHARE)
    return prompt, int(given.exchange_tokens) - prompt, given.stage2_tokens(1, visual) / given.exchanges


def training(bench: Benchmark, name: str, llm: Any, stage: str) -> None:
    """Time of optimiser steps, operations and memory, with two micro-batches."""
    prompt, target, counted = row_tokens(bench, stage)
    loop, size = getattr(bench.config, stage), sum(value.numel() for value in llm.parameters())
    for micro in (loop.micro_batch_size, MICRO[stage]):
        model, times = bench.train(llm, stage, WARM_UP + TIMED, prompt, target, micro_batch_size=micro)
        seconds, about = statistics.median(times[WARM_UP:]), {"micro_batch": micro, "tokens": counted}
        rate = FLOPS[STAGES[stage]] * size * counted * loop.batch_size / seconds
        bench.record(stage, name, "optimiser step", seconds, "s", **about)
        bench.record(stage, name, "micro-batch", seconds / -(-loop.batch_size // micro), "s", **about)
        bench.record(stage, name, "operations", rate / 1e12, "TFLOP/s", **about)
        bench.memory(stage, name, **about)
        del model


def long_rows(bench: Benchmark, name: str, llm: Any, stage: str) -> None:
    """Memory with long captions or answers; the optimiser has its state from the second step on."""
    prompt, micro = row_tokens(bench, stage)[0], getattr(bench.config, stage).micro_batch_size
    _, times = bench.train(llm, stage, 2, prompt, LONG, batch_size=2 * micro)
    about = {"micro_batch": micro, "tokens": prompt + LONG + bench.config.projector.tokens + 2}
    bench.record(f"{stage} long", name, "micro-batch", times[-1] / 2, "s", **about)
    bench.memory(f"{stage} long", name, **about)


def repetition(bench: Benchmark, name: str, llm: Any, stage: str) -> None:
    """Whether a training that is repeated ends with the same weights, bit by bit."""
    prompt, target, _ = row_tokens(bench, stage)
    start, ends = {key: value.clone() for key, value in llm.state_dict().items()}, []
    for _ in range(2):
        llm.load_state_dict(start)
        bench.random = np.random.default_rng(0)
        model, _ = bench.train(llm, stage, REPEATED, prompt, target)
        ends.append([value.detach().cpu().clone() for value in model.parameters() if value.requires_grad])
    equal = all(map(torch.equal, *ends))
    bench.record("repetition", name, f"equal weights after {REPEATED} steps of {stage}", float(equal), "0 or 1")


def decoding(bench: Benchmark, name: str, llm: Any) -> None:
    """Time per token of an answer, as in evaluation: bfloat16, questions of equal length."""
    tokens = int(bench.given.question_tokens)
    prompts = ["x" * (tokens - 1 - len(question_prompt("")))] * PROMPTS
    model = bench.model(llm.to(DTYPES[bench.config.evaluation.precision])).to(bench.device)
    embeddings, about = torch.from_numpy(bench.embeddings(PROMPTS)), {"micro_batch": PROMPTS, "tokens": tokens}
    bench.reset()
    whole = bench.median(lambda: model.generate(prompts, embeddings, max_new_tokens=NEW_TOKENS))
    first = bench.median(lambda: model.generate(prompts, embeddings, max_new_tokens=1))
    bench.record("decoding", name, "token, with the prompt", whole / NEW_TOKENS, "s", **about)
    bench.record("decoding", name, "prompt and first token", first, "s", **about)
    bench.record("decoding", name, "later token", (whole - first) / (NEW_TOKENS - 1), "s", **about)
    bench.memory("decoding", name, **about)


def checkpoint(bench: Benchmark, name: str, llm: Any) -> None:
    """Time to write and to load a checkpoint of Stage 2."""
    model, folder = bench.model(llm).to(bench.device), bench.folder / "checkpoint"
    bench.record("checkpoint", name, "write", bench.median(lambda: model.save(folder), 2), "s")
    for precision in ("no", bench.config.evaluation.precision):
        seconds = bench.median(lambda: ReVisionModel.load(folder, bench.device.type, DTYPES[precision]), 2)  # noqa: B023
        bench.record("checkpoint", name, f"load, precision {precision}", seconds, "s")


def embedding(bench: Benchmark) -> None:
    """Images and texts per second: model only, from PIL images and strings, and from a table of JPEG files."""
    name, weights = Path(bench.config.encoder.path).stem, bench.folder / "encoder"
    with torch.device(bench.device):
        hf.SiglipModel(hf.SiglipConfig(**ENCODER)).save_pretrained(weights)
    bench.tokenizer.save_pretrained(weights)
    side = hf.SiglipConfig(**ENCODER).vision_config.image_size
    about = {"image_processor_type": "SiglipImageProcessor", "processor_class": "SiglipProcessor"}
    about |= {"size": {"height": side, "width": side}}
    (weights / "preprocessor_config.json").write_text(json.dumps(about), encoding="utf-8")
    lines = (ROOT / bench.config.encoder.path).read_text(encoding="utf-8").splitlines()
    lines = [line for line in lines if not line.startswith(("model:", "revision:"))]
    (bench.folder / f"{name}.yaml").write_text("\n".join([*lines, f"model: {weights}", f"device: {bench.device.type}"]))
    encoder: Any = load_encoder(bench.folder / f"{name}.yaml")
    batch = encoder.settings.batch_size
    texts = ["a caption of fifty letters, as short ones often are"] * IMAGES

    def rate(metric: str, count: int, work: Callable[[], Any], repeats: int = 3) -> None:
        bench.record("encoder", name, metric, count / bench.median(work, repeats), "1/s", micro_batch=batch)

    def images(size: tuple[int, int]) -> list[Image.Image]:
        # Coarse noise, which JPEG compresses about as well as a photograph.
        noise = bench.random.integers(256, size=(IMAGES, 16, 16, 3), dtype=np.uint8)
        return [Image.fromarray(pixels).resize(size) for pixels in noise]

    bench.reset()
    with torch.inference_mode():
        pixels = encoder.to_device(encoder.prepare_images(images(SIZES[0])[:batch]))
        tokens = encoder.to_device(encoder.prepare_texts(texts[:batch]))
        rate("images, model only", batch, lambda: encoder.image_features(pixels), 10)
        rate("texts, model only", batch, lambda: encoder.text_features(tokens), 10)
    rate("texts", IMAGES, lambda: encoder.encode_texts(texts))
    named = {"x".join(map(str, size)): images(size) for size in SIZES}
    for shape, rows in named.items():
        rate(f"images of {shape}", IMAGES, lambda: encoder.encode_images(rows))  # noqa: B023
    bench.memory("encoder", name, micro_batch=batch)
    from revision.encoders.embed import embed_corpus  # needs ijson, which nothing above does

    for shape, rows in named.items():
        table, files = bench.folder / f"{shape}.parquet", [io.BytesIO() for _ in rows]
        for image, file in zip(rows, files, strict=True):
            image.save(file, format="JPEG")
        values = [file.getvalue() for file in files] * COPIES
        pq.write_table(pa.table({"id": [*map(str, range(len(values)))], "image": values}), table)
        rate(f"JPEG files of {shape}, embed_corpus", IMAGES * COPIES,
             lambda: embed_corpus(encoder, table, "image", bench.folder / "set", show_progress=False), 2)  # noqa: B023  # fmt: skip


PARTS: dict[str, list[Callable[[Benchmark, str, Any], None]]] = {
    "training": [lambda *a: training(*a, "stage1"), lambda *a: training(*a, "stage2")],
    "long": [lambda *a: long_rows(*a, "stage1"), lambda *a: long_rows(*a, "stage2")],
    "repetition": [lambda *a: repetition(*a, "stage1"), lambda *a: repetition(*a, "stage2")],
    "checkpoint": [checkpoint],
    "decoding": [decoding],  # last, as it converts the model
}
BASE_ONLY = ("repetition", "checkpoint")


def guarded(work: Callable[..., None], *arguments: Any) -> None:
    try:
        work(*arguments)
    except Exception:
        traceback.print_exc()


def main(arguments: list[str] | None = None) -> None:
    """Measure the parts that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=["encoder", *PARTS], default=["encoder", *PARTS])
    parser.add_argument("--models", nargs="+", choices=list(SHAPES), default=list(SHAPES))
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--out", type=Path, default=ROOT / "reference/benchmarks/single_gpu.csv")
    options = parser.parse_args(arguments)
    if options.device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""  # accelerate takes a GPU where there is one
    elif not torch.cuda.is_available():
        sys.exit("torch finds no CUDA GPU; run this where there is one, or with --device cpu (slow, without memory)")
    with tempfile.TemporaryDirectory() as folder:
        bench = Benchmark(options.out, torch.device(options.device), Path(folder))
        for name in options.models:
            llm = language_model(name, bench.device)
            for part in (part for part in PARTS if part in options.only and (name == BASE or part not in BASE_ONLY)):
                for work in PARTS[part]:
                    guarded(work, bench, name, llm)
            del llm
            bench.reset()
        if "encoder" in options.only:
            guarded(embedding, bench)


if __name__ == "__main__":
    main()
