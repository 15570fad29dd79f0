"""Folders of captioned images in each layout, all with the same images and captions."""

import csv
import io
import json
import tarfile
from pathlib import Path

from datasets_in_small import images

SPLITS = ("train", "val", "test", "restval")


def captions(row: int) -> list[str]:
    return [f"A dog, number {row}.", f"Dog {row}"]


def names(rows: int) -> list[str]:
    return [f"{row:03d}.png" for row in range(rows)]


def karpathy(folder: Path, rows: int = 40) -> Path:
    images(folder / "images", names(rows))
    items = [
        {"filename": name, "imgid": row, "split": SPLITS[row % 4], "sentences": [{"raw": raw} for raw in captions(row)]}
        for row, name in enumerate(names(rows))
    ]
    (folder / "dataset_flickr8k.json").write_text(json.dumps({"images": items, "dataset": "flickr8k"}))
    return folder


def coco(folder: Path, rows: int = 40) -> Path:
    (folder / "annotations").mkdir(parents=True)
    for split, part in (("train", range(rows // 2)), ("val", range(rows // 2, rows))):
        images(folder / f"{split}2017", [names(rows)[row] for row in part])
        content = {
            "images": [{"id": row, "file_name": names(rows)[row]} for row in part],
            "annotations": [{"id": row, "image_id": row, "caption": text} for row in part for text in captions(row)],
        }
        (folder / f"annotations/captions_{split}2017.json").write_text(json.dumps(content))
    return folder


def flickr(folder: Path, rows: int = 40) -> Path:
    images(folder / "Flicker8k_Dataset", names(rows))
    lines = [f"{name}#{k}\t{text}" for row, name in enumerate(names(rows)) for k, text in enumerate(captions(row))]
    (folder / "Flickr8k.token.txt").write_text("\n".join(lines) + "\n")
    return folder


def table(folder: Path, rows: int = 40) -> Path:
    images(folder / "Images", names(rows))
    with open(folder / "captions.txt", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("image", "caption"))
        writer.writerows((name, text) for row, name in enumerate(names(rows)) for text in captions(row))
    return folder


LAYOUTS = {"karpathy": karpathy, "coco": coco, "flickr": flickr, "csv": table}


def package(path: Path, files: dict[str, bytes]) -> Path:
    """Write a Debian package with `files`, an `ar` archive."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:xz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"./{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    members = {"debian-binary": b"2.0\n", "control.tar.xz": b"odd", "data.tar.xz": buffer.getvalue()}
    with open(path, "wb") as file:
        file.write(b"!<arch>\n")
        for name, content in members.items():
            file.write(f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(content):<10}`\n".encode() + content)
            file.write(b"\n" * (len(content) % 2))
    return path
