"""Functions that the task YAMLs refer to: image, prompt, and score of a question."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from PIL import Image

from revision.data.images import decode_image

_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_NOT_WORD = re.compile(r"[^\w\s]")
_IMAGE = re.compile(r"<image \d+>")
_LETTERS = re.compile(r"[A-I](?:[\s,;&]+[A-I])*")
LETTER_PROMPT = "\nAnswer with the option's letter from the given choices directly."


def undecoded(docs: Any) -> Any:
    """Keep the images of a `datasets.Dataset` as bytes, so that reading a row does not decode its image."""
    import datasets

    return docs.cast_column("image", datasets.Image(decode=False))


def doc_to_visual(doc: Mapping[str, Any]) -> list[Image.Image]:
    """Return the image of a question, RGB. Raises DataError, with the question, if it is not readable."""
    return [decode_image(doc["image"]["bytes"] or b"", f"{doc['suite']}.parquet, row {doc['id']}")]


def doc_to_text(doc: Mapping[str, Any]) -> str:
    """Return the question; the model adds its prompt format."""
    return doc["question"].strip()


def normalise(text: str) -> str:
    """Convert to lower case and remove punctuation, articles and repeated spaces."""
    return " ".join(_ARTICLES.sub(" ", _NOT_WORD.sub(" ", text.lower())).split())


def score(doc: Mapping[str, Any], results: Sequence[str]) -> dict[str, float]:
    """Score an answer: accuracy 1 for an exact match after `normalise`, else 0."""
    return {"accuracy": float(normalise(results[0]) == normalise(doc["answer"]))}


def one_image(docs: Any) -> Any:
    """Select the rows of a `datasets.Dataset` in MMMU's layout whose question and options refer to one image."""
    return docs.filter(
        lambda question, options: len(set(_IMAGE.findall(f"{question} {options}"))) == 1,
        input_columns=["question", "options"],
    )


def image(doc: Mapping[str, Any]) -> list[Image.Image]:
    """Return the column `image` of a question, RGB."""
    return [doc["image"].convert("RGB")]


def logicvista_text(doc: Mapping[str, Any]) -> str:
    """Return the question with its options and the instruction to answer with a letter."""
    return doc["question"].strip() + LETTER_PROMPT


def letters(text: str) -> set[str]:
    """Extract the options of an answer: all of a plain list such as "A, C", else the one that lmms-eval extracts."""
    from lmms_eval.tasks._task_utils.mcq_extract import extract_mcq_answer

    bare = text.strip().strip("().").upper()
    if _LETTERS.fullmatch(bare):
        return set(re.findall("[A-I]", bare))
    return {extract_mcq_answer(text)} - {""}


def score_letters(doc: Mapping[str, Any], results: Sequence[str]) -> dict[str, float]:
    """Score an answer: accuracy 1 if its options are exactly the correct ones, else 0."""
    return {"accuracy": float(letters(results[0]) == letters(doc["answer"]))}
