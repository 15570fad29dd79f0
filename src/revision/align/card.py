"""The card of a fitted aligner that is shared: a README.md with the metadata that the Hugging Face hub reads."""

import json
from typing import Any

from revision.align.base import Aligner

CARD = """---
library_name: revision
tags:
- modality-gap
- embeddings
- aligner
- {method}
---

# {name}

A fitted `{method}` aligner. It moves text embeddings of dimension {dimension} towards image embeddings of the same
encoder, to close their modality gap. Parameters: `{params}`.

| | encoder | rows | checksum |
|---|---|---|---|
{rows}

{pairs} Use the aligner only with embeddings of the encoder that it was fitted on.

```bash
revision align texts.npy aligned --fitted {repo}
```

```python
from huggingface_hub import snapshot_download
from revision.align.serialization import load_aligner

aligner = load_aligner(snapshot_download("{repo}"))
aligned = aligner.transform(texts)  # of shape (n, {dimension})
```

ReAlign is from [arXiv:2602.07026](https://arxiv.org/abs/2602.07026); `aligner.json` has the method and its parameters,
`aligner.safetensors` the fitted means and maps.
"""


def card_text(aligner: Aligner, about: dict[str, Any], repo: str) -> str:
    """Write the card of an aligner.

    Parameters
    ----------
    aligner : Aligner
        The fitted aligner.
    about : dict
        What it was fitted on, as `revision fit` and `revision align --save` store it: under "source" and "target".
    repo : str
        Id of its repository, ``owner/name``.

    Returns
    -------
    str
        Markdown with a YAML header.
    """
    rows = []
    for side, label in (("source", "texts"), ("target", "images")):
        facts = about.get(side, {})
        cells = (
            facts.get("encoder") or "not stated",
            facts.get("count", "not stated"),
            facts.get("digest", "not stated"),
        )
        rows.append(f"| {label} | {' | '.join(str(cell) for cell in cells)} |")
    return CARD.format(
        method=aligner.name,
        name=repo.rpartition("/")[2],
        dimension=aligner.n_features_in_,
        params=json.dumps(aligner.get_params()),
        rows="\n".join(rows),
        pairs="Row i of both sets is a pair." if aligner.paired else "The two sets need not be pairs.",
        repo=repo,
    )
