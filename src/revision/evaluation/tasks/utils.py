"""Functions that the task YAMLs refer to: image, prompt, and score of a question or caption."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from revision.data.images import decode_image
from revision.evaluation.captioning import CIDER, caption_scores, cider, plain

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


def no_text(doc: Mapping[str, Any]) -> str:
    """Return the prompt of captioning: none."""
    return ""


def score_caption(doc: Mapping[str, Any], results: Sequence[str]) -> dict[str, Any]:
    """Score a caption; its CIDEr needs the references of all images, so that `mean_cider` computes it."""
    compared = {"prediction": results[0], "caption": results[0], "references": list(doc["references"])}
    return caption_scores(results[0], doc["scene"]) | {CIDER: compared}


def score_photograph(doc: Mapping[str, Any], results: Sequence[str]) -> dict[str, Any]:
    """Score a caption of a photograph, whose content is not known: by CIDEr alone."""
    references = [plain(text) for text in doc["references"]]
    return {CIDER: {"prediction": results[0], "caption": plain(results[0]), "references": references}}


def mean_of_defined(values: Sequence[float]) -> float:
    """Return the mean without the captions for which the metric is undefined; NaN if it is so for all."""
    defined = [value for value in values if not np.isnan(value)]
    return float(np.mean(defined)) if defined else float("nan")


def mean_cider(values: Sequence[Mapping[str, Any]]) -> float:
    """Return the mean CIDEr-D of the captions of a task."""
    return float(np.mean(cider([value["caption"] for value in values], [value["references"] for value in values])))


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
