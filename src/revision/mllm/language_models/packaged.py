"""A pretrained LLM that an installed package contains as GGUF, converted to the transformers layout."""

import importlib.metadata
import logging
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

from revision.encoders.pretrained_heads import package_file
from revision.errors import DataError
from revision.io.files import digest, write_json
from revision.io.manifest import versions
from revision.mllm.model import MANIFEST, PACKAGED, ReVisionModel


def write_packaged_llm(package: str, out: str | Path) -> None:
    """Convert the GGUF file of a package to float32, with version and digest in the manifest.

    Parameters
    ----------
    package : str
        Importable name of an installed package with exactly one GGUF file.
    out : str or Path
        Folder to write.

    Raises
    ------
    DataError
        If the package is not installed, or its tokenizer has no token for the begin or end of a text.
    """
    file = package_file(package, "*.gguf")
    logging.getLogger("transformers").setLevel(logging.ERROR)
    llm = AutoModelForCausalLM.from_pretrained(
        file.parent,
        gguf_file=file.name,
        dtype=torch.float32,
        local_files_only=True,
        quantization_config=GgufConfig(dequantize=True),
    )
    tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name, local_files_only=True)
    if tokenizer.bos_token_id is None or tokenizer.eos_token_id is None:
        raise DataError(
            f"{file}: the tokenizer has no token for the begin or end of a text; use a package whose tokenizer has both"
        )
    out = Path(out)
    ReVisionModel(llm, tokenizer, None).save(out)
    about = {"package": package, "version": _version(package), "file": file.name, "xxh3_128": digest(file)}
    write_json(out / MANIFEST, {"stage": PACKAGED, "revision": about, "versions": versions()})


def _version(package: str) -> str:
    names = importlib.metadata.packages_distributions().get(package, [])
    return importlib.metadata.version(names[0]) if names else "unknown"
