"""Drawings with the words of the people who drew them: the public-domain SVG files of Debian's package openclipart-svg.

They are the default of scale `photos`, where nobody has brought photographs. A drawing has up to three captions: its
title, its keywords and its description. Drawings whose title many share, such as the name of an icon set, are left out.
"""

import csv
import io
import re
import subprocess
import tarfile
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

from PIL import Image, ImageOps

from revision.data.images import encode_image
from revision.errors import DataError
from revision.io.files import atomic_folder, digest, write_json

PACKAGE = "openclipart-svg"
PAGE = "the page of that package at Debian or Ubuntu"
DRAWINGS = "usr/share/openclipart/svg"  # in the package
CAPTIONS = "captions.csv"
SIDE = 224  # of the images, in pixels
DPI = 96.0
LONGEST = 20  # words of a caption; a few descriptions are essays
SHARED = 10  # a title of more drawings does not describe one
_AUTHOR = re.compile(r"^Clipart by [^-]+ - ")
_NO_WORD = re.compile(r"hash.*|0x\w+|\W*", re.IGNORECASE)  # left behind by the program that wrote the keywords
_WORK = ("{http://web.resource.org/cc/}Work", "{http://creativecommons.org/ns#}Work")
_DC, _ITEM = "{http://purl.org/dc/elements/1.1/}", "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}li"


def download_package(folder: str | Path) -> Path:
    """Download the Debian package with apt-get, which needs no root and installs nothing.

    Parameters
    ----------
    folder : path
        Folder to download to.

    Returns
    -------
    Path
        The .deb file.

    Raises
    ------
    DataError
        If there is no apt-get or it cannot download; says how to get the file otherwise.
    """
    command = ["apt-get", "download", PACKAGE]
    try:
        subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
        return next(Path(folder).glob(f"{PACKAGE}_*.deb"))
    except (OSError, subprocess.CalledProcessError, StopIteration) as error:
        reason = getattr(error, "stderr", "") or str(error)
        raise DataError(
            f"`{' '.join(command)}` failed ({reason.strip()}); on Debian or Ubuntu run `apt-get update`; elsewhere "
            f"download the file for `all` from {PAGE} and give it as --deb; or bring a folder of captioned images of "
            "your own (docs/photos.md)"
        ) from error


def write_openclipart(deb: str | Path, folder: str | Path) -> int:
    """Rasterise the drawings of the package and write them with captions.csv, the CSV layout of `data.captions`.

    Parameters
    ----------
    deb : path
        The Debian package.
    folder : path
        Folder to write, atomically.

    Returns
    -------
    int
        Number of images.

    Raises
    ------
    DataError
        If the file is not the package, or resvg-py is not installed.
    """
    try:
        import resvg_py
    except ImportError as error:
        raise DataError("package resvg-py is not installed; run `make setup SCALE=photos`") from error
    with tempfile.TemporaryDirectory() as temporary:
        with _data_of(Path(deb)) as archive:
            archive.extractall(temporary, filter="data")
        paths = sorted(Path(temporary, DRAWINGS).rglob("*.svg"))
        drawings = {path: captions for path in paths if (captions := _captions(path))}
        if not drawings:
            raise DataError(f"{deb}: no SVG files with titles; give the package {PACKAGE}")
        titles = Counter(captions[0].lower() for captions in drawings.values())
        with atomic_folder(folder) as out:
            rows = [("image", "caption")]
            drawn: set[bytes] = set()  # the package has many drawings twice, in two folders
            for path, captions in drawings.items():
                if titles[captions[0].lower()] > SHARED:
                    continue
                try:
                    # Without fonts, which differ between machines: text in a drawing is not drawn.
                    png = resvg_py.svg_to_bytes(
                        svg_path=str(path), width=SIDE, dpi=DPI, background="#ffffff", skip_system_fonts=True
                    )
                except ValueError:  # an SVG that the renderer rejects
                    continue
                name = "-".join(path.relative_to(Path(temporary, DRAWINGS)).with_suffix(".png").parts)
                with Image.open(io.BytesIO(png)) as drawing:
                    square = ImageOps.pad(drawing.convert("RGB"), (SIDE, SIDE), color="white")
                encoded = encode_image(square, compress_level=6)
                if encoded in drawn:
                    continue
                drawn.add(encoded)
                (out / name).write_bytes(encoded)
                rows += [(name, caption) for caption in captions]
            with open(out / CAPTIONS, "w", newline="", encoding="utf-8") as file:
                csv.writer(file, lineterminator="\n").writerows(rows)
            write_json(out / "origin.json", {"package": PACKAGE, "xxh3_128": digest(deb), "licence": "public domain"})
    return len(drawn)


def _data_of(deb: Path) -> tarfile.TarFile:
    """Open the archive of files in a .deb, an `ar` archive: members with a header of 60 bytes, at even offsets."""
    try:
        content = deb.read_bytes()
        start = 8
        while content[:8] == b"!<arch>\n" and start < len(content):
            name, size = content[start : start + 16].decode(), int(content[start + 48 : start + 58])
            start += 60
            if name.startswith("data.tar"):
                return tarfile.open(fileobj=io.BytesIO(content[start : start + size]))
            start += size + size % 2
    except (OSError, ValueError, tarfile.TarError) as error:
        raise DataError(f"{deb}: not a readable Debian package ({error}); download it again") from error
    raise DataError(f"{deb}: not a Debian package; download {PACKAGE} from {PAGE}")


def _captions(path: Path) -> list[str]:
    """Return title, keywords and description of a drawing, those that there are; nothing without title or keywords."""
    try:
        root = ElementTree.parse(path).getroot()
    except ElementTree.ParseError:
        return []
    work = next((found for name in _WORK for found in root.iter(name)), None)
    if work is None:
        return []
    title = _AUTHOR.sub("", _plain(work.findtext(f"{_DC}title")))
    items: Iterator[ElementTree.Element] = work.iter(_ITEM)
    keywords = [word for item in items if not _NO_WORD.fullmatch(word := _plain(item.text))]
    description = _plain(work.findtext(f"{_DC}description"))
    if not title or not keywords:
        return []
    captions = [title, ", ".join(dict.fromkeys(keywords))]
    if len(description.split()) > 2 and description != title:
        captions.append(description)
    return [caption for caption in captions if len(caption.split()) <= LONGEST]


def _plain(text: str | None) -> str:
    return " ".join((text or "").replace("_", " ").split())
