"""Measure the overhead of the training loop over its bare step: `python benchmarks/training.py`.

The bare step has the same model, batches, optimiser and clipping and nothing else; its batches are prepared beforehand.
Both alternate in one process. The times per step are written to reference/benchmarks/training.csv, and the ratio of
their medians is printed.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from revision.data.scenes import World
from revision.io.files import atomic_file
from revision.io.manifest import versions
from revision.mllm.language_models.trained import LanguageModelSettings, new_llm, word_tokenizer
from revision.mllm.loop import LoopSettings, run_loop
from revision.mllm.model import ReVisionModel
from revision.mllm.prompts import batch_plan, question_prompt, tokenise
from revision.mllm.train import batch_maker

DIM, BATCH = 128, 64


class ArrayRows:
    """Embeddings in memory with the interface that `batch_maker` expects."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array

    def take(self, rows: np.ndarray) -> np.ndarray:
        return self.array[rows]


def model_of(world: World) -> ReVisionModel:
    """Return the untrained base model of the scale laptop."""
    tokenizer = word_tokenizer(world.vocabulary())
    settings = LanguageModelSettings(hidden_size=64, layers=3, heads=4)
    return ReVisionModel(new_llm(settings, tokenizer, seed=0), tokenizer, DIM, seed=0)


def bare(model: ReVisionModel, batches: list) -> float:
    """Return the seconds of forward pass, backward pass, clipping and update over prepared batches."""
    parameters = list(model.parameters())
    optimizer = torch.optim.AdamW(parameters, lr=1e-3, weight_decay=0.0)
    model.train()
    start = time.perf_counter()
    for batch in batches:
        model(*batch).backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return time.perf_counter() - start


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=25600)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("reference/benchmarks/training.csv"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    world = World()
    questions = world.instructions("instruct", 0, options.rows)
    rows = torch.nn.functional.normalize(torch.randn(options.rows, DIM, generator=torch.Generator().manual_seed(0)))
    stored = ArrayRows(rows.numpy())
    settings = LoopSettings(epochs=1, batch_size=BATCH, learning_rate=1e-3, validate_every=10**6)
    records = []
    for repeat in range(options.repeats):
        for name in ("bare step", "training loop"):
            model = model_of(world)
            examples = tokenise(
                model.tokenizer, [question_prompt(q.question) for q in questions], [q.answer for q in questions]
            )
            make = batch_maker(examples, stored)
            plan = batch_plan(examples.lengths, BATCH, 0)
            if name == "bare step":
                seconds = bare(model, [make(chosen) for chosen in plan])
            else:
                with tempfile.TemporaryDirectory() as folder:
                    start = time.perf_counter()
                    run_loop(model, examples.lengths, examples.targets, make, settings, seed=0,
                             state=Path(folder) / "state")  # fmt: skip
                    seconds = time.perf_counter() - start
            records.append({"repeat": repeat, "what": name, "milliseconds a step": 1e3 * seconds / len(plan)})
    table = pd.DataFrame(records).assign(torch=versions()["torch"], threads=1, batch=BATCH)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(options.out) as temporary:
        table.to_csv(temporary, index=False)
    medians = table.groupby("what")["milliseconds a step"].median()
    ratio = medians["training loop"] / medians["bare step"]
    paired = table.pivot(index="repeat", columns="what", values="milliseconds a step")
    spread = np.percentile(paired["training loop"] / paired["bare step"], [25, 75])
    print(medians.to_string())
    print(f"loop / bare step: {ratio:.3f}, quartiles of the paired ratios {spread[0]:.3f} to {spread[1]:.3f}")
