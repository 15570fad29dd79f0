"""benchmarks/single_gpu.py on tiny shapes, and its real shapes by their number of parameters."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import transformers as hf

from revision.config import load

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import single_gpu

pytestmark = pytest.mark.usefixtures("own_precision")
ROOT = Path(__file__).parents[2]
TINY = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 4,
        "num_key_value_heads": 2, "vocab_size": 320, "tie_word_embeddings": True}  # fmt: skip
TOWER = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}


def test_the_shapes_have_the_parameters_of_the_models():
    counts = {}
    for name in single_gpu.SHAPES:
        counts[name] = sum(value.numel() for value in single_gpu.language_model(name, "meta").parameters())
    for model in load(ROOT / "config", "single_gpu").llm.values():
        assert counts[model.model.split("/")[1].removesuffix("-Instruct")] == model.parameters
    given = load(ROOT / "config", "single_gpu").assumptions
    with single_gpu.torch.device("meta"):
        encoder = hf.SiglipModel(hf.SiglipConfig(**single_gpu.ENCODER))
    for tower, assumed in ((encoder.vision_model, "image_parameters"), (encoder.text_model, "text_parameters")):
        assert sum(value.numel() for value in tower.parameters()) == pytest.approx(given[assumed], rel=0.01)


def test_every_part_is_measured(tmp_path, monkeypatch):
    shapes = {name: (family, TINY) for name, (family, _) in single_gpu.SHAPES.items()}
    monkeypatch.setattr(single_gpu, "SHAPES", shapes)
    monkeypatch.setattr(single_gpu, "ENCODER", {"text_config": TOWER | {"vocab_size": 300, "projection_size": 32},
                                                "vision_config": TOWER | {"image_size": 32}})  # fmt: skip
    for name, value in (("WARM_UP", 0), ("TIMED", 1), ("REPEATED", 1), ("PROMPTS", 3), ("IMAGES", 4), ("LONG", 30),
                        ("MICRO", {"stage1": 256, "stage2": 128})):  # fmt: skip
        monkeypatch.setattr(single_gpu, name, value)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    out = tmp_path / "single_gpu.csv"
    single_gpu.main(["--device", "cpu", "--models", "Qwen2.5-0.5B", "SmolLM2-135M", "--out", str(out)])
    table = pd.read_csv(out)
    one = {"stage1", "stage2", "stage1 long", "stage2 long", "decoding"}
    assert set(table[table.model == "SmolLM2-135M"].part) == one
    assert set(table[table.model == "Qwen2.5-0.5B"].part) == one | {"repetition", "checkpoint"}
    assert (table[table.part == "encoder"].groupby("metric").size() == 1).sum() == 7
    assert np.isfinite(table.value).all() and (table.value > 0).all()
    assert set(table[table.part == "stage1"].micro_batch) == {20, 256}


def test_without_a_gpu_it_ends_with_advice(monkeypatch):
    monkeypatch.setattr(single_gpu.torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit, match="no CUDA GPU"):
        single_gpu.main([])
