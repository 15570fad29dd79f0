"""Functions that the task YAMLs name: image, prompt, and scores of one question."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from PIL import Image

from revision.data.images import decode_image

_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_NOT_WORD = re.compile(r"[^\w\s]")
_PICTURE = re.compile(r"<image \d+>")
_LETTERS = re.compile(r"[A-I](?:[\s,;&]+[A-I])*")
LETTER_PROMPT = "\nAnswer with the option's letter from the given choices directly."


def undecoded(docs: Any) -> Any:
    """Leave the images of a `datasets.Dataset` as bytes: reading a row must not decode its image."""
    import datasets

    return docs.cast_column("image", datasets.Image(decode=False))


def doc_to_visual(doc: Mapping[str, Any]) -> list[Image.Image]:
    """The one image of a question, RGB. Raises DataError naming the question if it can't be decoded."""
    return [decode_image(doc["image"]["bytes"] or b"", f"{doc['suite']}.parquet, row {doc['id']}")]


def doc_to_text(doc: Mapping[str, Any]) -> str:
    """The bare question; the model adds its own prompt format."""
    return doc["question"].strip()


def normalise(text: str) -> str:
    """Lower case without punctuation, articles and repeated blanks."""
    return " ".join(_ARTICLES.sub(" ", _NOT_WORD.sub(" ", text.lower())).split())


def score(doc: Mapping[str, Any], results: Sequence[str]) -> dict[str, float]:
    """Exact match after `normalise`: accuracy 1 or 0."""
    return {"accuracy": float(normalise(results[0]) == normalise(doc["answer"]))}


def one_image(docs: Any) -> Any:
    """Rows of a `datasets.Dataset` in MMMU's layout whose question and options name exactly one image."""
    return docs.filter(
        lambda question, options: len(set(_PICTURE.findall(f"{question} {options}"))) == 1,
        input_columns=["question", "options"],
    )


def image(doc: Mapping[str, Any]) -> list[Image.Image]:
    """The column `image` of a question, RGB."""
    return [doc["image"].convert("RGB")]


def logicvista_text(doc: Mapping[str, Any]) -> str:
    """The question with its options, and how to answer."""
    return doc["question"].strip() + LETTER_PROMPT


def letters(text: str) -> set[str]:
    """Options that an answer names: all of a bare list such as "A, C", else the one that the text settles on."""
    from lmms_eval.tasks._task_utils.mcq_extract import extract_mcq_answer

    bare = text.strip().strip("().").upper()
    if _LETTERS.fullmatch(bare):
        return set(re.findall("[A-I]", bare))
    return {extract_mcq_answer(text)} - {""}


def score_letters(doc: Mapping[str, Any], results: Sequence[str]) -> dict[str, float]:
    """Accuracy 1 if the answer names exactly the right options."""
    return {"accuracy": float(letters(results[0]) == letters(doc["answer"]))}
