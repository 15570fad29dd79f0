"""Functions that the task YAMLs name: picture, prompt, and scores of one question."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from PIL import Image

from revision.evaluation.images import decode_image

_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_NOT_WORD = re.compile(r"[^\w\s]")


def undecoded(docs: Any) -> Any:
    """Leave the pictures of a `datasets.Dataset` as bytes: reading a row must not decode its picture."""
    import datasets

    return docs.cast_column("image", datasets.Image(decode=False))


def doc_to_visual(doc: Mapping[str, Any]) -> list[Image.Image]:
    """The one picture of a question, RGB. Raises DataError naming the question if it can't be decoded."""
    return [decode_image(doc["image"]["bytes"], f"{doc['suite']}.parquet, row {doc['id']}")]


def doc_to_text(doc: Mapping[str, Any]) -> str:
    """The bare question; the model adds its own prompt format."""
    return doc["question"].strip()


def normalise(text: str) -> str:
    """Lower case without punctuation, articles and repeated blanks."""
    return " ".join(_ARTICLES.sub(" ", _NOT_WORD.sub(" ", text.lower())).split())


def score(doc: Mapping[str, Any], results: Sequence[str]) -> dict[str, float]:
    """Exact match after `normalise`: accuracy 1 or 0."""
    return {"accuracy": float(normalise(results[0]) == normalise(doc["answer"]))}


def score_yes_no(doc: Mapping[str, Any], results: Sequence[str]) -> dict[str, Any]:
    """Accuracy, and what precision, recall, F1 and yes-rate in POPE's manner are made of: (is yes, says yes)."""
    says = normalise(results[0]) == "yes"
    pair = (normalise(doc["answer"]) == "yes", says)
    return {**score(doc, results), "precision": pair, "recall": pair, "f1": pair, "yes_rate": float(says)}


def precision(pairs: Sequence[tuple[bool, bool]]) -> float:
    """Share of the yes answers that are right; 0 if there is no yes answer."""
    right = [is_yes for is_yes, says_yes in pairs if says_yes]
    return sum(right) / len(right) if right else 0.0


def recall(pairs: Sequence[tuple[bool, bool]]) -> float:
    """Share of the questions with answer yes that got a yes; 0 if there is no such question."""
    return precision([(says_yes, is_yes) for is_yes, says_yes in pairs])


def f1(pairs: Sequence[tuple[bool, bool]]) -> float:
    """Harmonic mean of precision and recall; 0 if both are."""
    p, r = precision(pairs), recall(pairs)
    return 2 * p * r / (p + r) if p + r else 0.0
