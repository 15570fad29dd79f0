"""The multimodal LLM: a transformers causal LM that reads one visual token after `<bos>` (section 5)."""

import json
import os
from collections import defaultdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from revision.errors import DataError
from revision.io.files import atomic_folder, check_files, digest, write_checksums, write_json
from revision.mllm.projector import Projector
from revision.mllm.prompts import IGNORE, ends, question_prompt

REFERENCE, MANIFEST = "llm.json", "manifest.json"
SPREAD = "auto"
DTYPES = {"no": torch.float32, "bf16": torch.bfloat16}
"""Number format of the LLM's weights by the name that `precision` has in the configuration."""


class ReVisionModel(nn.Module):
    """LLM, tokenizer and projector; `embedding_dim` is the encoder's d, or None for a text-only model (Blind)."""

    llm: Any  # transformers' classes are typed as bare modules

    def __init__(
        self, llm: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, embedding_dim: int | None, *, seed: int = 0
    ) -> None:
        super().__init__()
        self.llm = llm
        self.tokenizer = tokenizer
        self.embedding_dim = embedding_dim
        self.projector: Projector | None = None
        if embedding_dim is not None:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                self.projector = Projector(embedding_dim, self.llm.get_input_embeddings().embedding_dim)

    def input_embeddings(self, ids: Tensor, embeddings: Tensor | None) -> Tensor:
        """Token embeddings [b, t, h] of ids [b, t], the visual tokens of embeddings [b, d] at position 1."""
        tokens = self.llm.get_input_embeddings()(ids)
        if embeddings is None:
            return tokens
        if self.projector is None:
            raise DataError("this model has no projector: it was trained blind and can't read embeddings")
        visual = self.projector(embeddings).to(tokens.dtype).unsqueeze(1)
        return torch.cat([tokens[:, :1], visual, tokens[:, 1:]], dim=1)

    def forward(self, ids: Tensor, labels: Tensor, embeddings: Tensor | None) -> Tensor:
        """Mean next-token loss in nats over the labels that are not -100; rows are right-padded: no mask is needed."""
        inputs = self.input_embeddings(ids, embeddings)
        hidden = self.llm.base_model(inputs_embeds=inputs, use_cache=False).last_hidden_state
        if embeddings is not None:
            hidden = hidden[:, 1:]
            # Position 0 now holds the visual token, from which the first target token is predicted.
        kept = labels[:, 1:] != IGNORE
        logits = self.llm.get_output_embeddings()(hidden[:, :-1][kept])
        return nn.functional.cross_entropy(logits.float(), labels[:, 1:][kept])

    @torch.inference_mode()
    def generate(self, prompts: list[str], embeddings: Tensor | None, max_new_tokens: int = 4) -> list[str]:
        """Greedy answers to bare questions; embeddings [n, d] or None (no visual token).

        Questions of equal length are answered together without padding, so an answer does not depend on its batch.
        """
        if embeddings is not None and len(embeddings) != len(prompts):
            raise DataError(f"{len(prompts)} prompts but {len(embeddings)} embeddings; give one embedding a prompt")
        tokenizer, device = self.tokenizer, next(self.parameters()).device
        bos, eos = ends(tokenizer)
        encoded = tokenizer([question_prompt(p) for p in prompts], add_special_tokens=False)["input_ids"]
        groups: dict[int, list[int]] = defaultdict(list)
        for row, ids in enumerate(encoded):
            groups[len(ids)].append(row)
        answers = [""] * len(prompts)
        self.eval()
        for rows in groups.values():
            ids = torch.tensor([[bos, *encoded[row]] for row in rows], device=device)
            visual = None if embeddings is None else embeddings[rows].to(device)
            inputs = self.input_embeddings(ids, visual)
            output = self.llm.generate(
                inputs_embeds=inputs,
                attention_mask=torch.ones(inputs.shape[:2], dtype=torch.long, device=device),
                max_new_tokens=max_new_tokens,
                do_sample=False,
                eos_token_id=eos,
                pad_token_id=eos,
            )
            for row, text in zip(rows, tokenizer.batch_decode(output, skip_special_tokens=True), strict=True):
                answers[row] = text.strip()
        return answers

    def tie_weights(self) -> None:
        """Tie the LLM's embeddings again, as accelerate asks for after it has moved weights between processes."""
        self.llm.tie_weights()

    def save(
        self, folder: str | Path, llm_folder: str | Path | None = None, weights: dict[str, Tensor] | None = None
    ) -> None:
        """Write LLM, tokenizer and projector to `folder`, atomically; `weights` replace those of a sharded model.

        With `llm_folder`, where the unchanged LLM lies with its manifest, only a reference to it is written.
        """
        llm, projector = None, None
        if weights is not None:
            parts: dict[str, dict[str, Tensor]] = {"llm": {}, "projector": {}}
            for name, value in weights.items():
                part, _, rest = name.partition(".")
                parts[part][rest] = value
            tied = self.llm.all_tied_weights_keys
            llm, projector = {name: v for name, v in parts["llm"].items() if name not in tied}, parts["projector"]
        with atomic_folder(folder) as temporary:
            if llm_folder is None:
                self.llm.save_pretrained(temporary / "llm", state_dict=llm)
                self.tokenizer.save_pretrained(temporary / "llm")
            else:
                place, manifest = os.path.relpath(llm_folder, folder), digest(Path(llm_folder) / MANIFEST)
                write_json(temporary / REFERENCE, {"folder": place, "manifest": manifest})
            if self.projector is not None:
                save_file(projector or self.projector.state_dict(), temporary / "projector.safetensors")
            write_checksums(temporary)

    @classmethod
    def load(cls, folder: str | Path, device: str = "cpu", dtype: torch.dtype = torch.float32) -> "ReVisionModel":
        """Load what `save` wrote, the LLM as `load_llm` does; the projector is float32, where the LLM's embeddings are.

        Raises DataError if `folder` holds no checkpoint, or one that was altered.
        """
        folder = Path(folder)
        llm, tokenizer = load_llm(_llm_folder(folder) / "llm", device, dtype)
        weights = folder / "projector.safetensors"
        check_files(folder, weights.name)
        if not weights.exists():
            return cls(llm, tokenizer, None)
        try:
            state = load_file(weights)
            model = cls(llm, tokenizer, state["layers.0.weight"].shape[1])
            assert model.projector is not None
            model.projector.load_state_dict(state)
            model.projector.to(model.llm.get_input_embeddings().weight.device)
        except (SafetensorError, KeyError, RuntimeError) as error:
            said = " ".join(str(error).split())[:300]
            raise DataError(f"{weights}: not a projector of this language model ({said}); train it again") from error
        return model


def _llm_folder(folder: Path) -> Path:
    """The folder whose LLM the checkpoint in `folder` uses: itself, or the one that it refers to."""
    reference = folder / REFERENCE
    if not reference.is_file():
        return folder
    values = json.loads(reference.read_text(encoding="utf-8"))
    place = Path(os.path.normpath(folder.resolve() / values["folder"]))
    manifest = place / MANIFEST
    if not manifest.is_file() or digest(manifest) != values["manifest"]:
        state = "has changed since" if manifest.is_file() else "has gone"
        raise DataError(f"{reference}: the language model it refers to, {place}, {state}; make both again")
    return place


def whole_model_device() -> str:
    """Where a model runs that no launcher shards: the CPU, the accelerator, or "auto" where there are several."""
    found = torch.accelerator.current_accelerator(check_available=True)
    if found is None:
        return "cpu"
    return SPREAD if torch.accelerator.device_count() > 1 else found.type


def load_llm(
    source: str | Path, device: str = "cpu", dtype: torch.dtype = torch.float32
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load a causal LM and its tokenizer from a local folder in the transformers layout.

    `device` is a torch device, or "auto" to spread the layers over all accelerators (accelerate's device map).
    Raises DataError if the folder holds no model, or one that is not whole or was altered.
    """
    if not (Path(source) / "config.json").exists():
        raise DataError(f"{source}: no language model there (config.json is missing); run the rule that makes it")
    check_files(Path(source).parent, Path(source).name)
    try:
        llm = AutoModelForCausalLM.from_pretrained(
            source, local_files_only=True, dtype=dtype, device_map=None if device == "cpu" else device
        )
        return llm, AutoTokenizer.from_pretrained(source, local_files_only=True)
    except Exception as error:  # transformers, safetensors and tokenizers raise errors of many kinds
        said = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise DataError(f"{source}: not readable as a language model ({said}); make it again") from error
