"""Checks of an encoder's adapter on known images and texts: is it wired as its model expects?

The images are twelve drawn scenes with one object each, in four colours and three shapes, and the texts name them
("a red square"). Any encoder of photographs knows them, and so do the built-in ones.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from PIL import Image

from revision.config.world import WorldSettings
from revision.data.scenes.drawing import draw
from revision.data.scenes.lexicon import GENERAL
from revision.data.scenes.scene import Object, Scene
from revision.encoders.base import Encoder
from revision.errors import DataError
from revision.geometry.representations import pairing_score

COLOURS, SHAPES = ("red", "green", "blue", "yellow"), ("circle", "square", "triangle")
SIDE, GROUND = 224, "city"
LEAST_SCORE = 2.5  # of `pairing_score`: twelve permuted pairs reach it in about one of 160 cases
LENGTH, SAME, EQUAL = (
    1e-2,
    1e-5,
    5e-3,
)  # tolerances: of lengths, of different inputs, and of one input in half precision
UNCHANGED = 1e-6  # change of a row that is rounding
PIXELS = (0.5, 20.0)  # least and largest plausible difference of white and black after normalisation
FILLER = "large red star at the top left and a small blue moon at the top right and"  # words of the built-in world
LONG = 12  # repetitions of FILLER: beyond the limit of common text towers
Rows = np.ndarray


@dataclass(frozen=True)
class Check:
    """The outcome of one check.

    Attributes
    ----------
    name : str
        What was checked.
    passed : bool
        Whether it holds.
    detail : str
        What was measured and, if the check failed, what to do.
    """

    name: str
    passed: bool
    detail: str


def known_pairs() -> tuple[list[Image.Image], list[str]]:
    """Return twelve images and a text about each."""
    settings = WorldSettings(image_size=SIDE)
    place, images, texts = GENERAL.places.index(GROUND), [], []
    for number, (colour, shape) in enumerate(product(COLOURS, SHAPES)):
        thing = Object(number % 4, GENERAL.shapes.index(shape), GENERAL.colours.index(colour), 1)
        images.append(draw(Scene(GENERAL.name, place, (thing,), 0), settings))
        texts.append(f"a {colour} {shape}")
    return images, texts


def check_encoder(encoder: Encoder) -> list[Check]:
    """Run all checks.

    Parameters
    ----------
    encoder : Encoder
        The encoder.

    Returns
    -------
    list of Check
        The outcomes; if the rows themselves are wrong, only those of the first two checks.

    Raises
    ------
    DataError
        If the encoder refuses the known images or texts.
    """
    images, texts = known_pairs()
    image, text = np.asarray(encoder.encode_images(images)), np.asarray(encoder.encode_texts(texts))
    rows = [_rows("images", image, len(images), encoder.dim), _rows("texts", text, len(texts), encoder.dim)]
    if not all(check.passed for check in rows):
        return rows
    return [
        *rows,
        _distinct("images", image, texts),
        _distinct("texts", text, texts),
        *_repeated(encoder, images, texts, (image, text)),
        *_pixels(encoder),
        _modes(encoder, images[0], image[0]),
        _beginning(encoder),
        *_matching(encoder, images, image, text),
    ]


def _rows(kind: str, rows: Rows, count: int, dim: int) -> Check:
    name = f"{kind}: unit rows"
    if rows.shape != (count, dim):
        return Check(name, False, f"shape {rows.shape}, expected {(count, dim)}; return one row per item")
    if rows.dtype.kind != "f" or not np.isfinite(rows).all():
        return Check(name, False, f"{rows.dtype} with NaN or infinity; try dtype: float32")
    lengths = np.linalg.norm(rows.astype(np.float64), axis=1)
    passed = bool((np.abs(lengths - 1) < LENGTH).all())
    detail = f"lengths {lengths.min():.4g} to {lengths.max():.4g}"
    return Check(name, passed, detail if passed else f"{detail}; divide each row by its length")


def _distinct(kind: str, rows: Rows, texts: list[str]) -> Check:
    cosines = rows @ rows.T - 2 * np.eye(len(rows))
    first, second = np.unravel_index(np.argmax(cosines), cosines.shape)
    passed = bool(cosines[first, second] < 1 - SAME)
    detail = f"largest cosine {cosines[first, second]:.4f}"
    fix = "the inputs do not reach the model, or all are prepared alike"
    detail += "" if passed else f" of “{texts[first]}” and “{texts[second]}”: one output for different inputs; {fix}"
    return Check(f"{kind}: different inputs differ", passed, detail)


def _repeated(
    encoder: Encoder, images: list[Image.Image], texts: list[str], rows: tuple[Rows, Rows]
) -> Iterator[Check]:
    """The same items again, and alone instead of in a batch beside a longer text or a larger image."""
    encoders: tuple[tuple[str, Callable[[list[Any]], Rows], Sequence[Any], Rows, str], ...] = (
        ("images", encoder.encode_images, images, rows[0], "check how the batch is put together"),
        ("texts", encoder.encode_texts, texts, rows[1], "check padding side and attention mask"),
    )
    for kind, encode, items, expected, fix in encoders:
        again = encode(list(items))
        yield _equal(f"{kind}: repeatable", again, expected, "put the model into evaluation mode (dropout is active)")
        longer = [f"a {FILLER} {items[0]}"] if kind == "texts" else [items[0].resize((2 * SIDE, 2 * SIDE))]
        mixed, alone = encode([items[0], *longer])[:1], encode([items[0]])
        yield _equal(f"{kind}: alone as in a batch", alone, mixed, fix)


def _equal(name: str, rows: Rows, expected: Rows, fix: str) -> Check:
    cosine = float(np.einsum("nd,nd->n", rows, expected, dtype=np.float64).min())
    passed = cosine > 1 - EQUAL
    return Check(name, passed, f"least cosine {cosine:.4f}" + ("" if passed else f"; {fix}"))


def _pixels(encoder: Any) -> Iterator[Check]:
    """Range of the pixels that the model reads, where the adapter shows them."""
    if not hasattr(encoder, "prepare_images"):
        return
    plain = [Image.new("RGB", (SIDE, SIDE), colour) for colour in ("black", "white")]
    for name, values in encoder.prepare_images(plain).items():
        if getattr(values, "is_floating_point", lambda: False)() and len(values) == len(plain):
            steps = (values[1] - values[0]).abs()
            least, most = float(steps.min()), float(steps.max())
            passed = PIXELS[0] <= most <= PIXELS[1]
            fix = "; scale pixels to 0 to 1 once, then normalise with the model's mean and deviation"
            detail = f"white minus black is {least:.3g} to {most:.3g}"
            yield Check(f"images: range of {name}", passed, detail + ("" if passed else fix))


def _modes(encoder: Encoder, image: Image.Image, row: Rows) -> Check:
    transparent = encoder.encode_images([image.convert("RGBA"), image.convert("L")])
    fix = "convert images to RGB before anything else"
    return _equal("images: RGBA as RGB", transparent[:1], row[None], fix)


def _beginning(encoder: Encoder) -> Check:
    """Long texts: is the end cut, not the beginning?"""
    name = "texts: the beginning of a long one counts"
    rest = " ".join([FILLER] * LONG)
    try:
        rows = encoder.encode_texts([f"a {colour} square a {rest} a red star" for colour in ("green", "yellow")])
    except DataError as error:
        return Check(name, True, f"this encoder refuses long texts: {str(error)[-60:]}")
    change = float(np.abs(rows[0] - rows[1]).max())
    passed = change > UNCHANGED
    fix = "; cut the end of long texts, not their beginning (truncation side)"
    return Check(name, passed, f"another beginning changes the row by {change:.2g}" + ("" if passed else fix))


def _matching(encoder: Encoder, images: list[Image.Image], image: Rows, text: Rows) -> Iterator[Check]:
    exchanged = encoder.encode_images([Image.merge("RGB", one.split()[::-1]) for one in images])
    score, other = pairing_score(image, text), pairing_score(exchanged, text)
    centred = (image - image.mean(axis=0)) @ (text - text.mean(axis=0)).T
    hits = int((centred.argmax(axis=1) == np.arange(len(image))).sum())
    passed = score > LEAST_SCORE
    detail = f"{score:.1f} standard deviations above mismatched ones, {hits} of {len(image)} images find their text"
    fix = "; check weights, preprocessing and tokenizer: a model without training also fails"
    yield Check("pairs: above mismatched ones", passed, detail + ("" if passed else fix))
    swapped = other > max(score + 1, LEAST_SCORE)
    detail = f"with red and blue exchanged: {other:.1f} instead of {score:.1f}"
    fix = "; feed channels as RGB, not BGR"
    yield Check("images: order of the channels", not swapped, detail + (fix if swapped else ""))
