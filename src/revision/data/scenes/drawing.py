"""Draw scenes as images with Pillow, from cached backgrounds and masks."""

from functools import lru_cache
from math import cos, pi, sin

import numpy as np
from PIL import Image, ImageDraw

from revision.config.world import WorldSettings
from revision.data.scenes.lexicon import DOMAINS
from revision.data.scenes.scene import Scene

SUPERSAMPLING = 8
SCALE = (0.62, 0.98)  # of small and large objects, relative to their cell
JITTER = 3  # number of positions per axis, in pixels
LEVELS = 16  # number of degrees of fading, of an object and of the ground


def _outline(shape: int, draw: ImageDraw.ImageDraw, side: int) -> None:
    """Fill the shape with index `shape` into a square of `side` pixels."""
    end = side - 1
    if shape == 0:
        draw.ellipse((0, 0, end, end), fill=255)
    elif shape == 1:
        draw.rectangle((side * 0.08, side * 0.08, side * 0.92, side * 0.92), fill=255)
    elif shape == 2:
        draw.polygon(((side / 2, 0), (end, end), (0, end)), fill=255)
    elif shape == 3:
        radii = (0.52, 0.2)
        draw.polygon(
            [
                (side * (0.5 + radii[k % 2] * sin(k * pi / 5)), side * (0.52 - radii[k % 2] * cos(k * pi / 5)))
                for k in range(10)
            ],
            fill=255,
        )
    elif shape == 4:
        draw.rectangle((side * 0.36, 0, side * 0.64, end), fill=255)
        draw.rectangle((0, side * 0.36, end, side * 0.64), fill=255)
    elif shape == 5:
        draw.ellipse((0, 0, end, end), fill=255)
        draw.ellipse((side * 0.27, side * 0.27, side * 0.73, side * 0.73), fill=0)
    elif shape == 6:
        draw.ellipse((0, side * 0.05, side * 0.52, side * 0.55), fill=255)
        draw.ellipse((side * 0.48, side * 0.05, end, side * 0.55), fill=255)
        draw.polygon(((side * 0.04, side * 0.42), (side * 0.96, side * 0.42), (side / 2, end)), fill=255)
    else:
        draw.ellipse((0, 0, end, end), fill=255)
        draw.ellipse((side * 0.35, -side * 0.1, side * 1.25, side * 0.8), fill=0)


@lru_cache(maxsize=256)
def _mask(shape: int, side: int) -> Image.Image:
    large = Image.new("L", (side * SUPERSAMPLING,) * 2)
    _outline(shape, ImageDraw.Draw(large), side * SUPERSAMPLING)
    return large.resize((side, side), Image.Resampling.BOX)


@lru_cache(maxsize=64)
def _background(domain: str, place: int, size: int) -> Image.Image:
    """Draw the ground colour of a place with its faint pattern."""
    base = np.array(DOMAINS[domain].ground[place], dtype=np.int16)
    row, column = np.mgrid[0:size, 0:size]
    if domain == "general":
        patterns = (row % 4 * column % 4, column % 3, row % 4, (row + column) % 5, (row - column) % 4)
        pattern = patterns[place % len(patterns)] == 0
        shade = np.where(pattern, -14, 0)
    else:
        half = (size - 1) / 2
        angle = np.hypot((row - half) * (1 + 0.15 * (place % 3)), (column - half) * (1 + 0.2 * (place // 3)))
        shade = np.where(angle < half * 0.92, 34, -24) + 8 * (column % (place + 2) == 0)
    return Image.fromarray(np.clip(base + shade[..., None], 0, 255).astype(np.uint8))


def _ground(scene: Scene, settings: WorldSettings) -> Image.Image:
    """Draw the background, with some of another place's colour in it."""
    own = _background(scene.domain, scene.place, settings.image_size)
    if not settings.ground_mix:
        return own.copy()
    weight, other = divmod(scene.key >> 40, len(DOMAINS[scene.domain].places) - 1)
    place = (scene.place + 1 + other) % len(DOMAINS[scene.domain].places)
    blend = settings.ground_mix * (weight % LEVELS) / (LEVELS - 1)
    return Image.blend(own, _background(scene.domain, place, settings.image_size), blend)


@lru_cache(maxsize=4096)
def _faded(shape: int, side: int, fade: float) -> Image.Image:
    return _mask(shape, side).point([round(value * (1 - fade)) for value in range(256)])


def draw(scene: Scene, settings: WorldSettings) -> Image.Image:
    """Draw a scene.

    Parameters
    ----------
    scene : Scene
        The scene.
    settings : WorldSettings
        Size of the image, and how much grounds and objects fade.

    Returns
    -------
    PIL.Image.Image
        RGB image.
    """
    size = settings.image_size
    image = _ground(scene, settings)
    paint = DOMAINS[scene.domain].paint
    half, jitter, levels = size // 2, scene.key, scene.key >> 24
    for thing in scene.objects:
        levels, level = divmod(levels, LEVELS)
        mask = _faded(thing.shape, round((half - JITTER) * SCALE[thing.size]), settings.fade * level / (LEVELS - 1))
        jitter, x = divmod(jitter, JITTER)
        jitter, y = divmod(jitter, JITTER)
        row, column = divmod(thing.cell, 2)
        slack = (half - JITTER - mask.width) // 2
        image.paste(paint[thing.colour], (column * half + slack + x, row * half + slack + y), mask)
    return image


def draw_all(scenes: list[Scene], settings: WorldSettings) -> np.ndarray:
    """Draw scenes into an array.

    Parameters
    ----------
    scenes : list of Scene
        n scenes.
    settings : WorldSettings
        As for `draw`.

    Returns
    -------
    ndarray of shape (n, s, s, 3), uint8
        RGB images.
    """
    images = np.empty((len(scenes), settings.image_size, settings.image_size, 3), dtype=np.uint8)
    for index, scene in enumerate(scenes):
        images[index] = np.asarray(draw(scene, settings))
    return images
