"""The multimodal LLM: a transformers causal LM with visual tokens after `<bos>` (Section 5)."""

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

from revision.config.training import ProjectorSettings
from revision.errors import DataError
from revision.io.files import atomic_folder, check_files, digest, write_checksums, write_json
from revision.mllm.projector import Projector
from revision.mllm.prompts import IGNORE, boundary_tokens, question_prompt

REFERENCE, MANIFEST = "llm.json", "manifest.json"
PACKAGED = "packaged"  # stage in the manifest of an LLM that comes from a package
DTYPES = {"no": torch.float32, "bf16": torch.bfloat16}
"""Number format of the LLM's weights by the configuration's `precision`."""


class ReVisionModel(nn.Module):
    """LLM, tokenizer and projector.

    Parameters
    ----------
    llm : PreTrainedModel
        A causal language model.
    tokenizer : PreTrainedTokenizerBase
        Its tokenizer.
    embedding_dim : int or None
        Dimension d of the encoder's embeddings; None for a text-only model without projector (Blind).
    projector : ProjectorSettings, optional
        Number of visual tokens; default: one.
    seed : int, default 0
        Seed of the projector's initial weights.
    """

    llm: Any  # transformers' classes are typed as bare modules

    def __init__(
        self,
        llm: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        embedding_dim: int | None,
        *,
        projector: ProjectorSettings | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.llm = llm
        self.tokenizer = tokenizer
        self.embedding_dim = embedding_dim
        self.projector: Projector | None = None
        if embedding_dim is not None:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                hidden_size = self.llm.get_input_embeddings().embedding_dim
                self.projector = Projector(embedding_dim, hidden_size, projector or ProjectorSettings())

    def input_embeddings(self, ids: Tensor, embeddings: Tensor | None) -> Tensor:
        """Embed tokens and insert the visual tokens.

        Parameters
        ----------
        ids : Tensor of shape (b, t)
            Tokens that begin with `<bos>`.
        embeddings : Tensor of shape (b, d), optional
            Image or aligned text embeddings.

        Returns
        -------
        Tensor of shape (b, t + v, h), or (b, t, h) without embeddings
            Token embeddings, with the v visual tokens from position 1.

        Raises
        ------
        DataError
            If there are embeddings but the model is text-only.
        """
        tokens = self.llm.get_input_embeddings()(ids)
        if embeddings is None:
            return tokens
        if self.projector is None:
            raise DataError(
                "this model has no projector: it was trained blind and takes no embeddings; load one with a projector"
            )
        visual = self.projector(embeddings).to(tokens.dtype)
        return torch.cat([tokens[:, :1], visual, tokens[:, 1:]], dim=1)

    def forward(self, ids: Tensor, labels: Tensor, embeddings: Tensor | None) -> Tensor:
        """Compute the next-token loss.

        Parameters
        ----------
        ids, labels : Tensor of shape (b, t)
            Right-padded tokens, and labels that are -100 outside the target (`Examples.batch`). Causal attention needs
            no mask for padding on the right.
        embeddings : Tensor of shape (b, d), optional
            Image or aligned text embeddings.

        Returns
        -------
        Tensor of shape ()
            Mean cross-entropy over the target tokens, in nats.
        """
        inputs = self.input_embeddings(ids, embeddings)
        hidden = self.llm.base_model(inputs_embeds=inputs, use_cache=False).last_hidden_state
        # Drop what precedes the last visual token: it predicts the token at position 1 of `labels`.
        hidden = hidden[:, inputs.shape[1] - ids.shape[1] :]
        in_target = labels[:, 1:] != IGNORE
        # Only target positions are projected onto the vocabulary, which saves most of the memory of the logits.
        logits = self.llm.get_output_embeddings()(hidden[:, :-1][in_target])
        return nn.functional.cross_entropy(logits.float(), labels[:, 1:][in_target])

    @torch.inference_mode()
    def generate(self, prompts: list[str], embeddings: Tensor | None, max_new_tokens: int = 4) -> list[str]:
        """Answer questions, or write captions, by greedy decoding.

        Questions of equal length are answered together, without padding, so that answers do not depend on the batch.

        Parameters
        ----------
        prompts : list of str
            n questions, without the prompt format; an empty one asks for a caption, as Stage 1 trains it.
        embeddings : Tensor of shape (n, d), optional
            One embedding per question; None for no visual token.
        max_new_tokens : int, default 4
            Longest answer.

        Returns
        -------
        list of str
            n answers.

        Raises
        ------
        DataError
            If the number of embeddings differs from the number of prompts, or the model is text-only.
        """
        if embeddings is not None and len(embeddings) != len(prompts):
            raise DataError(f"{len(prompts)} prompts but {len(embeddings)} embeddings; give one embedding per prompt")
        tokenizer, device = self.tokenizer, next(self.parameters()).device
        bos, eos = boundary_tokens(tokenizer)
        formatted = [question_prompt(prompt) if prompt else "" for prompt in prompts]
        encoded = tokenizer(formatted, add_special_tokens=False)["input_ids"]
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
        """Tie the LLM's embeddings; accelerate calls this after it has moved weights between processes."""
        self.llm.tie_weights()

    def save(
        self, folder: str | Path, llm_folder: str | Path | None = None, weights: dict[str, Tensor] | None = None
    ) -> None:
        """Write LLM, tokenizer and projector atomically.

        Parameters
        ----------
        folder : str or Path
            Folder to write.
        llm_folder : str or Path, optional
            Folder with the same LLM and its manifest; then only a reference to it is written.
        weights : dict of str to Tensor, optional
            All weights of a sharded model, to be written in place of its own.
        """
        llm, projector = None, None
        if weights is not None:
            parts: dict[str, dict[str, Tensor]] = {"llm": {}, "projector": {}}
            for name, value in weights.items():
                part, _, rest = name.partition(".")
                parts[part][rest] = value
            tied = self.llm.all_tied_weights_keys
            llm = {name: value for name, value in parts["llm"].items() if name not in tied}
            projector = parts["projector"]
        with atomic_folder(folder) as temporary:
            if llm_folder is None:
                self.llm.save_pretrained(temporary / "llm", state_dict=llm)
                self.tokenizer.save_pretrained(temporary / "llm")
            else:
                # Relative, so that results may be moved; the digest detects an LLM that was made again.
                path, manifest = os.path.relpath(llm_folder, folder), digest(Path(llm_folder) / MANIFEST)
                write_json(temporary / REFERENCE, {"folder": path, "manifest": manifest})
            if self.projector is not None:
                save_file(projector or self.projector.state_dict(), temporary / "projector.safetensors")
            write_checksums(temporary)

    @classmethod
    def load(cls, folder: str | Path, device: str = "cpu", dtype: torch.dtype = torch.float32) -> "ReVisionModel":
        """Load a model that `save` wrote.

        Parameters
        ----------
        folder : str or Path
            Folder of the checkpoint.
        device : str, default "cpu"
            Device of the LLM, as in `load_llm`; the projector is on the device of its token embeddings.
        dtype : torch.dtype, default torch.float32
            Number format of the LLM; the projector is always float32.

        Returns
        -------
        ReVisionModel

        Raises
        ------
        DataError
            If `folder` contains no checkpoint, or a file of it or of the LLM that it refers to was changed.
        """
        folder = Path(folder)
        llm, tokenizer = load_llm(_llm_folder(folder) / "llm", device, dtype)
        weights = folder / "projector.safetensors"
        check_files(folder, weights.name)
        if not weights.exists():
            return cls(llm, tokenizer, None)
        try:
            state = load_file(weights)
            width, hidden_size = state["layers.2.weight"].shape
            settings = ProjectorSettings(tokens=width // hidden_size, copies=int(state["copies"]))
            model = cls(llm, tokenizer, state["layers.0.weight"].shape[1], projector=settings)
            assert model.projector is not None
            model.projector.load_state_dict(state)
            model.projector.to(model.llm.get_input_embeddings().weight.device)
        except (SafetensorError, KeyError, RuntimeError) as error:
            message = " ".join(str(error).split())[:300]
            raise DataError(f"{weights}: not a projector of this language model ({message}); train it again") from error
        return model


def _llm_folder(folder: Path) -> Path:
    """Return the folder with the LLM of a checkpoint: itself, or the one that it refers to."""
    reference = folder / REFERENCE
    if not reference.is_file():
        return folder
    values = json.loads(reference.read_text(encoding="utf-8"))
    llm_folder = Path(os.path.normpath(folder.resolve() / values["folder"]))
    manifest = llm_folder / MANIFEST
    if not manifest.is_file() or digest(manifest) != values["manifest"]:
        state = "has changed since" if manifest.is_file() else "is missing"
        raise DataError(f"{reference}: the language model it refers to, {llm_folder}, {state}; make both again")
    return llm_folder


def is_pretrained(llm: str | Path) -> bool:
    """Whether the LLM in a folder comes from a package or the hub, so that checkpoints may refer to it."""
    manifest = Path(llm) / MANIFEST
    about = json.loads(manifest.read_text(encoding="utf-8")) if manifest.is_file() else {}
    return about.get("stage") == PACKAGED or "model" in about


def whole_model_device() -> str:
    """Return the device of a model that is not sharded: "cpu", the accelerator, or "auto" if there are several."""
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    if accelerator is None:
        return "cpu"
    return "auto" if torch.accelerator.device_count() > 1 else accelerator.type


def load_llm(
    source: str | Path, device: str = "cpu", dtype: torch.dtype = torch.float32
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load a causal LM and its tokenizer from a local folder in the transformers layout.

    Parameters
    ----------
    source : str or Path
        Folder with config.json, weights and tokenizer.
    device : str, default "cpu"
        A torch device, or "auto" to distribute the layers over all accelerators (accelerate's device map).
    dtype : torch.dtype, default torch.float32
        Number format of the weights.

    Returns
    -------
    llm : PreTrainedModel
    tokenizer : PreTrainedTokenizerBase

    Raises
    ------
    DataError
        If the folder contains no model, or one that is incomplete or was changed.
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
        message = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise DataError(f"{source}: not readable as a language model ({message}); make it again") from error
