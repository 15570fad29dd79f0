"""Tiny imitations of published data sets in their original formats."""

import io
import json
import tarfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

COLOURS, SHAPES, SIZES = ("red", "blue", "green"), ("circle", "square"), ("a big", "a small")


def image(shade: int = 0, size: int = 8, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (size, size), (shade % 256, shade // 256, 7)).save(buffer, kind)
    return buffer.getvalue()


def images(folder: Path, names: list[str]) -> None:
    for shade, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(image(shade))


def bunny(folder: Path, rows: int = 40) -> dict:
    """Bunny-pretrain: one JSON list; the caption is the second turn."""
    images(folder / "pretrain/images", [f"{row:05d}.png" for row in range(rows)])
    items = [
        {
            "id": f"{row:09d}",
            "image": f"{row:05d}.png",
            "conversations": [
                {"from": "human", "value": "Describe it.\n<image>"},
                {"from": "gpt", "value": f"Caption {row}, größer."},
            ],
        }
        for row in range(rows)
    ]
    (folder / "pretrain/bunny_pretrain_laion_2m.json").write_text(json.dumps(items, ensure_ascii=False), "utf-8")
    return {
        "path": str(folder), "format": "json", "files": ["pretrain/*.json"], "images": "pretrain/images",
        "fields": {"id": "id", "short": "conversations.1.value", "image": "image"},
    }  # fmt: skip


def densefusion(folder: Path, rows: int = 12) -> dict:
    """DenseFusion-1M: JSON lines of image_id, image_path, caption."""
    images(folder / "images", [f"0/{row}.png" for row in range(rows)])
    lines = [
        json.dumps({"image_id": row, "url": "none", "caption": f"A long story {row}.", "image_path": f"0/{row}.png"})
        for row in range(rows)
    ]
    (folder / "DenseFusion-1M.jsonl").write_text("\n".join(lines) + "\n")
    return {
        "path": str(folder), "format": "jsonl", "files": ["DenseFusion-1M.jsonl"], "images": "images",
        "fields": {"id": "image_id", "long": "caption", "image": "image_path"},
    }  # fmt: skip


def pubmedvision(folder: Path, rows: int = 10) -> dict:
    """PubMedVision: one JSON list; `image` is a list, sometimes of several."""
    images(folder, [f"images/pmc_{row}.png" for row in range(rows)])
    items = [
        {
            "id": f"PMC{row}",
            "image": [f"images/pmc_{row}.png"] * (2 if row % 5 == 4 else 1),
            "modality": "CT",
            "conversations": [{"from": "human", "value": "What is it?"}, {"from": "gpt", "value": f"A lesion {row}."}],
        }
        for row in range(rows)
    ]
    (folder / "PubMedVision_Alignment_VQA.json").write_text(json.dumps(items))
    return {
        "path": str(folder), "format": "json", "files": ["PubMedVision_Alignment_VQA.json"],
        "fields": {"id": "id", "short": "conversations.1.value", "image": "image"}, "skip": ["several_images"],
    }  # fmt: skip


def internvl(folder: Path) -> dict:
    """InternVL-Chat-V1-2-SFT: a meta file that lists JSON-lines files and their image folders."""
    images(folder, ["data/coco/1.png", "data/coco/2.png", "data/dvqa/images/a.png"])

    lists = {
        "mix": (
            "data/",
            [
                {
                    "id": "same",
                    "image": "coco/1.png",
                    "conversations": _turns("<image>\nWhat?", "A dog.", "Why?", "So."),
                },
                {"id": "same", "image": "coco/2.png", "conversations": _turns("Where?\n<image>", "There.")},
                {"id": "text", "conversations": _turns("Who wrote it?", "Nobody.")},
            ],
        ),
        "dvqa": ("data/dvqa", [{"id": 0, "image": "images/a.png", "conversations": _turns("<image>\nHow many?", "5")}]),
    }
    meta = {}
    (folder / "opensource").mkdir(parents=True)
    for name, (root, rows) in lists.items():
        (folder / f"opensource/{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        meta[name] = {"root": root, "annotation": f"opensource/{name}.jsonl", "data_augment": False, "repeat_time": 1,
                      "length": len(rows)}  # fmt: skip
    (folder / "meta.json").write_text(json.dumps(meta))
    return {
        "path": str(folder), "format": "meta", "files": ["meta.json"],
        "fields": {"conversation": "conversations", "image": "image"}, "split_by": "image", "skip": ["no_image"],
    }  # fmt: skip


def llava_pretrain(folder: Path, rows: int = 400) -> None:
    """LLaVA-Pretrain: one JSON list whose ids are the names of the images, in folders by their first digits."""
    names = [f"{row:09d}" for row in range(rows)]
    images(folder / "images", [f"{name[:5]}/{name}.jpg" for name in names])
    items = [
        {
            "id": name,
            "image": f"{name[:5]}/{name}.jpg",
            "conversations": [
                {"from": "human", "value": "Give a brief description of the image.\n<image>"},
                {"from": "gpt", "value": f"{SIZES[row % 2]} {COLOURS[row % 3]} {SHAPES[row // 3 % 2]}"},
            ],
        }
        for row, name in enumerate(names)
    ]
    (folder / "blip_laion_cc_sbu_558k.json").write_text(json.dumps(items))


def sharegpt4v(folder: Path, rows: int = 400) -> None:
    """ShareGPT4V-PT: long captions of the images of LLaVA-Pretrain, and of COCO and SAM."""
    path = folder / "sharegpt4v/share-captioner_coco_lcs_sam_1246k_1107.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    items: list[dict] = [{"id": "sa_1", "image": "sam/images/sa_1.jpg"}, {"id": "0", "image": "coco/train2017/0.jpg"}]
    names = [f"{row:09d}" for row in range(rows)]
    items += [{"id": name, "image": f"llava/llava_pretrain/images/{name[:5]}/{name}.jpg"} for name in names]
    for row, item in enumerate(items):
        text = f"the {COLOURS[row % 3]} {SHAPES[row % 2]} on the left {'big ' * (row % 5)}{row}"
        item["conversations"] = [{"from": "human", "value": "What is it?\n<image>"}, {"from": "gpt", "value": text}]
    path.write_text(json.dumps(items))


def llava_instruct(folder: Path, rows: int = 300) -> None:
    """LLaVA-1.5's mixture: conversations about images of COCO and about others, which are missing, and texts alone."""
    names = [f"coco/train2017/{row:012d}.jpg" for row in range(rows)]
    images(folder, names)
    items: list[dict] = [{"id": "text", "conversations": _turns("Who?", "Nobody."), "model": ""}]
    for row, name in enumerate(names):
        short = "What colour?\nAnswer the question using a single word or phrase.\n<image>", COLOURS[row % 3]
        longer = (*short, "Where is it?", f"It is on the left {row}.")
        items.append({"id": name[15:27], "image": name, "conversations": _turns(*(longer if row % 2 else short))})
        items.append({"id": name[15:27], "image": f"gqa/images/{row}.jpg", "conversations": _turns(*short)})
    (folder / "llava_v1_5_mix665k.json").write_text(json.dumps(items))


def _turns(*texts: str) -> list[dict]:
    return [{"from": ("human", "gpt")[turn % 2], "value": text} for turn, text in enumerate(texts)]


def laion(folder: Path, shards: int = 2, rows: int = 5) -> dict:
    """LAION as img2dataset writes it: webdataset shards of <key>.jpg, <key>.txt, <key>.json."""
    folder.mkdir(parents=True, exist_ok=True)
    for shard in range(shards):
        with tarfile.open(folder / f"{shard:05d}.tar", "w") as archive:
            for row in range(rows):
                key = f"{shard:05d}{row:04d}"
                content = {"jpg": image(row, kind="JPEG"), "txt": f"alt text {key}".encode(),
                           "json": json.dumps({"key": key, "url": "none"}).encode()}  # fmt: skip
                for extension, data in content.items():
                    member = tarfile.TarInfo(f"{key}.{extension}")
                    member.size = len(data)
                    archive.addfile(member, io.BytesIO(data))
    return {
        "path": str(folder), "format": "webdataset", "files": ["*.tar"],
        "fields": {"id": "__key__", "short": "txt", "image": "image"},
    }  # fmt: skip


def parquet(folder: Path, rows: int = 6) -> dict:
    """Parquet with images in the layout of `datasets.Image`."""
    folder.mkdir(parents=True, exist_ok=True)
    table = {
        "key": list(range(rows)),
        "caption": [f"text {row}" for row in range(rows)],
        "image": [{"bytes": image(row), "path": None} for row in range(rows)],
    }
    pq.write_table(pa.table(table), folder / "train-00000.parquet")
    return {
        "path": str(folder), "format": "parquet", "files": ["*.parquet"],
        "fields": {"id": "key", "short": "caption", "image": "image"},
    }  # fmt: skip


MAKERS = {
    "bunny": bunny, "densefusion": densefusion, "pubmedvision": pubmedvision, "internvl": internvl, "laion": laion,
    "parquet": parquet,
}  # fmt: skip
