"""Images as bytes: PNG out, safe decoding in."""

import io
from pathlib import Path

from PIL import Image, ImageFile

from revision.errors import DataError

MAX_PIXELS = 89_478_485  # Pillow's own limit: a quarter of a GiB of RGB


def encode_image(image: Image.Image, compress_level: int = 1) -> bytes:
    """PNG bytes of an image."""
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", compress_level=compress_level)
    return buffer.getvalue()


def check_image(data: bytes | Path, where: str, max_pixels: int = MAX_PIXELS) -> None:
    """Read the header alone. Raises as `decode_image` does, but not for an image that is cut short."""
    _open(data, where, max_pixels).close()


def decode_image(data: bytes | Path, where: str, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Decode one image.

    Parameters
    ----------
    data
        The encoded image, or its file.
    where
        File and row that errors name.
    max_pixels
        Larger images are refused, as they may be decompression bombs.

    Returns
    -------
    PIL.Image.Image
        The image in RGB.

    Raises
    ------
    DataError
        If it is missing, broken, cut short or too large.
    """
    # lmms-eval, once imported, makes Pillow accept images that are cut short; no embedding or score may rest on one.
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    try:
        with _open(data, where, max_pixels) as image:
            image.verify()  # finds what decoding passes over, such as a missing end, but leaves nothing to decode
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
        raise DataError(f"{where}: the image has more than {max_pixels} pixels; scale it down or remove the row")
    return image


def _unreadable(where: str, error: Exception) -> DataError:
    return DataError(f"{where}: not a readable image ({error}); replace the image or remove the row")
