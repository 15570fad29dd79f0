"""Encode images as PNG and decode them safely."""

import io
from pathlib import Path

from PIL import Image, ImageFile

from revision.errors import DataError

MAX_PIXELS = 89_478_485  # Pillow's default limit: 256 MiB of RGB


def encode_image(image: Image.Image, compress_level: int = 1) -> bytes:
    """Encode an image as PNG with zlib level `compress_level`."""
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", compress_level=compress_level)
    return buffer.getvalue()


def check_image(data: bytes | Path, where: str, max_pixels: int = MAX_PIXELS) -> None:
    """Check an image by its header alone.

    Parameters
    ----------
    data : bytes or Path
        The encoded image, or its file.
    where : str
        Location that errors name.
    max_pixels : int
        Largest number of pixels.

    Raises
    ------
    DataError
        If the image is missing, not an image or too large. A truncated image is not detected.
    """
    _open(data, where, max_pixels).close()


def decode_image(data: bytes | Path, where: str, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Decode an image.

    Parameters
    ----------
    data : bytes or Path
        The encoded image, or its file.
    where : str
        Location that errors name, such as file and row.
    max_pixels : int
        Largest number of pixels; larger images may be decompression bombs.

    Returns
    -------
    PIL.Image.Image
        The image in RGB.

    Raises
    ------
    DataError
        If the image is missing, damaged, truncated or too large.
    """
    # Importing lmms-eval makes Pillow accept truncated images, which would yield wrong embeddings and scores.
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    try:
        with _open(data, where, max_pixels) as image:
            image.verify()  # detects faults that decoding ignores, such as a missing end, but closes the image
        with _open(data, where, max_pixels) as image:
            return image.convert("RGB")
    except (OSError, SyntaxError, ValueError) as error:
        raise _unreadable(where, error) from error


def _open(data: bytes | Path, where: str, max_pixels: int) -> Image.Image:
    try:
        image = Image.open(io.BytesIO(data) if isinstance(data, bytes) else data)
        pixels = image.width * image.height
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        pixels = max_pixels + 1
    except (OSError, SyntaxError, ValueError) as error:
        raise _unreadable(where, error) from error
    if pixels > max_pixels:
        raise DataError(f"{where}: the image has more than {max_pixels} pixels; resize it or remove the row")
    return image


def _unreadable(where: str, error: Exception) -> DataError:
    return DataError(f"{where}: not a readable image ({error}); replace the image or remove the row")
