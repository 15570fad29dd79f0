"""Captions that no image lies behind, written by a language model from the first words of others (Unicorn's corpus).

Unicorn (arXiv:2503.22655) lets a large language model write its captions from sparse text. Here the language model of
the scale goes on from the first words of each unpaired caption: the details are what the model holds for likely.
"""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch

from revision.data.corpus import read_columns
from revision.io.files import atomic_file
from revision.mllm.model import load_llm, whole_model_device
from revision.mllm.prompts import ends

SEED_WORDS = 3
BATCH = 512


@torch.inference_mode()
def synthesise(
    captions: str | Path, llm: str | Path, out: str | Path, *, seed: int, rows: int | None = None, new_tokens: int = 48
) -> None:
    """Write a corpus table (id, short) with one synthetic caption a row of `captions`.

    Each begins with the first `SEED_WORDS` words of the row's short caption; the rest is sampled at temperature 1 from
    the model in `llm`, at most `new_tokens` tokens, among those of the captions: an encoder need not know more, and the
    language model has read questions too. Raises DataError if a table or the model can't be read.
    """
    table = read_columns(captions, ("id", "short"), rows)
    model, tokenizer = load_llm(Path(llm) / "llm", whole_model_device())
    model.eval()
    starts = [" ".join(text.split()[:SEED_WORDS]) for text in table["short"]]
    bos, eos = ends(tokenizer)
    encoded = [[bos, *ids] for ids in tokenizer(starts, add_special_tokens=False)["input_ids"]]
    known = {token for ids in tokenizer(table["short"], add_special_tokens=False)["input_ids"] for token in ids}
    others = sorted(set(range(len(tokenizer))) - known - {eos})
    # Starts of one length go together: no padding, so a text does not depend on its neighbours.
    by_length: dict[int, list[int]] = {}
    for row, ids in enumerate(encoded):
        by_length.setdefault(len(ids), []).append(row)
    texts = [""] * len(encoded)
    torch.manual_seed(seed)
    generate: Any = model.generate
    for rows_of_length in by_length.values():
        for first in range(0, len(rows_of_length), BATCH):
            chosen = rows_of_length[first : first + BATCH]
            prompts = torch.tensor([encoded[row] for row in chosen], device=model.device)
            output = generate(
                prompts,
                attention_mask=torch.ones_like(prompts),
                do_sample=True,
                temperature=1.0,
                top_k=0,
                suppress_tokens=others or None,
                max_new_tokens=new_tokens,
                eos_token_id=eos,
                pad_token_id=eos,
            )
            for row, text in zip(chosen, tokenizer.batch_decode(output, skip_special_tokens=True), strict=True):
                texts[row] = text.strip()
    with atomic_file(out) as temporary:
        pq.write_table(pa.table({"id": table["id"], "short": texts}), temporary, write_page_checksum=True)
