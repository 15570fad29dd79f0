"""Training pairs of trained heads: generated scenes, or a corpus table of captioned images."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from PIL import Image

from revision.data.corpus import read_columns, stream
from revision.data.images import decode_image
from revision.data.scenes import World
from revision.io.files import digest

BLOCK = 1024
FILES = 256  # images per block of a table, which may be large


class Pairs(Protocol):
    """Training pairs. `identity` has what determines them, for caches and checkpoints."""

    identity: dict[str, Any]

    def images(self) -> Iterator[list[Image.Image]]:
        """Yield the images in blocks."""
        ...

    def captions(self, variant: int | None) -> list[str]:
        """Return a short caption of each image, which differs between variants, or (None) the long one."""
        ...


class ScenePairs:
    """The first `count` scenes of the split `encoder` with their captions. Implements `Pairs`."""

    def __init__(self, world: World, count: int) -> None:
        self.world = world
        self.identity: dict[str, Any] = {"world": world.settings.record()}
        self.scenes = world.scenes("encoder", 0, count)

    def images(self) -> Iterator[list[Image.Image]]:
        """Yield the images in blocks."""
        pixels = self.world.images(self.scenes)
        for start in range(0, len(self.scenes), BLOCK):
            yield [Image.fromarray(image) for image in pixels[start : start + BLOCK]]

    def captions(self, variant: int | None) -> list[str]:
        """Return a short caption of each image, or (None) the long one."""
        if variant is None:
            return self.world.captions(self.scenes, "long")
        return self.world.captions(self.scenes, "short", variant)


class TablePairs:
    """The images of a corpus table with their captions. Implements `Pairs`.

    Parameters
    ----------
    table : path
        Corpus table with the columns image, long and captions (`revision.data.photos`). An image with fewer captions
        than there are variants repeats them.
    """

    def __init__(self, table: str | Path) -> None:
        self.table = table
        self.identity: dict[str, Any] = {"table": digest(table)}
        columns = read_columns(table, ("captions", "long"))
        self._short, self._long = columns["captions"], columns["long"]

    def images(self) -> Iterator[list[Image.Image]]:
        """Yield the images in blocks."""
        row = 0
        for block in stream(self.table, ("image",), FILES):
            yield [decode_image(file, f"{self.table}, row {row + k}") for k, file in enumerate(block["image"])]
            row += len(block["image"])

    def captions(self, variant: int | None) -> list[str]:
        """Return a short caption of each image, or (None) the long one."""
        return self._long if variant is None else [texts[variant % len(texts)] for texts in self._short]
