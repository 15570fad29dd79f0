"""Metrics of a caption of a generated scene, whose content is known, or of a photograph, and the table of captions."""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from revision.data.scenes.lexicon import DOMAINS
from revision.io.files import atomic_file

KINDS = ("object", "colour", "pair", "place")
METRICS = (*(f"{kind}_{metric}" for kind in KINDS for metric in ("precision", "recall", "f1")), "chair_i", "chair_s")
CIDER = "cider"
VISUAL = ("own", "other", "mean", "none")
"""What the model reads: the image, the next image of the task, the mean of the embeddings of the task's images, or no
visual token. The last three are floors."""
CAPTIONS = pa.schema(
    [
        pa.field("method", pa.string()),
        *[pa.field(name, pa.int64()) for name in ("encoder", "seed")],
        *[pa.field(name, pa.string()) for name in ("condition", "image", "prediction")],
        *[pa.field(name, pa.float64()) for name in (*METRICS, CIDER)],
    ]
)
"""One row per checkpoint, condition and image. For photographs, whose content is not known, `CIDER` alone is given."""

_WORD = re.compile(r"\w+")
_GENERAL = DOMAINS["general"]


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def plain(text: str) -> str:
    """Convert to lower case without punctuation, nearly as COCO's tokenizer does (it keeps hyphens)."""
    return " ".join(_words(text))


def content(text: str) -> dict[str, set[str]]:
    """Extract what a text says about a scene; words that are not in the lexicon are ignored.

    Parameters
    ----------
    text : str
        A caption of a scene of the general domain.

    Returns
    -------
    dict of set of str
        By `KINDS`: shapes, colours, a colour directly followed by a shape such as "red star", and places.
    """
    words = _words(text)
    return {
        "object": set(words) & set(_GENERAL.shapes),
        "colour": set(words) & set(_GENERAL.colours),
        "pair": {f"{a} {b}" for a, b in pairwise(words) if a in _GENERAL.colours and b in _GENERAL.shapes},
        "place": set(words) & set(_GENERAL.places),
    }


def caption_scores(prediction: str, scene: str) -> dict[str, float]:
    """Compare a caption with the content of its scene.

    Parameters
    ----------
    prediction : str
        The caption.
    scene : str
        The scene's full caption, which mentions everything.

    Returns
    -------
    dict of float
        By `METRICS`. Precision, recall and F1 of the sets of `content`. Precision is NaN if the caption mentions
        nothing of the kind; recall and F1 are then 0. chair_i is the fraction of the mentions of objects, repeated ones
        counted, whose object is not in the scene, NaN without a mention; chair_s is 1 if there is such a mention, else
        0 [1]_.

    References
    ----------
    .. [1] Rohrbach et al., "Object Hallucination in Image Captioning", EMNLP 2018.
    """
    mentioned, true = content(prediction), content(scene)
    scores: dict[str, float] = {}
    for kind in KINDS:
        right = len(mentioned[kind] & true[kind])
        scores[f"{kind}_precision"] = right / len(mentioned[kind]) if mentioned[kind] else float("nan")
        scores[f"{kind}_recall"] = right / len(true[kind])
        scores[f"{kind}_f1"] = 2 * right / (len(mentioned[kind]) + len(true[kind]))
    mentions = [word in true["object"] for word in _words(prediction) if word in _GENERAL.shapes]
    scores["chair_i"] = mentions.count(False) / len(mentions) if mentions else float("nan")
    scores["chair_s"] = float(False in mentions)
    return scores


def cider(captions: Sequence[str], references: Sequence[Sequence[str]]) -> np.ndarray:
    """Compute CIDEr-D [1]_ by pycocoevalcap, without its tokenizer: words are separated by spaces.

    Parameters
    ----------
    captions : sequence of str
        One caption per image.
    references : sequence of sequence of str
        Reference captions of each image; document frequencies are those of all images' references.

    Returns
    -------
    ndarray of shape (n,)
        One score per image, in [0, 10].

    References
    ----------
    .. [1] Vedantam et al., "CIDEr: Consensus-based Image Description Evaluation", CVPR 2015.
    """
    from pycocoevalcap.cider.cider_scorer import CiderScorer

    scorer = CiderScorer()
    for caption, of_image in zip(captions, references, strict=True):
        scorer += (caption, of_image)
    return scorer.compute_score()[1]


def caption_rows(
    samples: Mapping[str, Sequence[Mapping[str, Any]]], conditions: Mapping[str, str]
) -> Iterator[dict[str, Any]]:
    """Turn lmms-eval's logs of the captioning tasks into rows of the table.

    Parameters
    ----------
    samples : mapping of str to sequence of mapping
        Logged images by task, with the values of the metrics.
    conditions : mapping of str to str
        Name of the task of each condition; conditions whose task has no log are left out.

    Yields
    ------
    dict
        Columns of `CAPTIONS` without those of the checkpoint.
    """
    for condition, task in conditions.items():
        if task not in samples:
            continue
        logged = samples[task]
        parts = [sample[CIDER] for sample in logged]
        scores = cider([part["caption"] for part in parts], [part["references"] for part in parts])
        for sample, score in zip(logged, scores, strict=True):
            metrics = {name: sample.get(name) for name in METRICS} | {CIDER: float(score)}
            about = {"condition": condition, "image": sample["doc"]["id"], "prediction": sample[CIDER]["prediction"]}
            yield about | metrics


def write_captions(path: str | Path, rows: list[dict[str, Any]]) -> None:
    """Write rows of `CAPTIONS` to a Parquet file, atomically."""
    with atomic_file(path) as temporary:
        pq.write_table(pa.Table.from_pylist(rows, schema=CAPTIONS), temporary, write_page_checksum=True)
