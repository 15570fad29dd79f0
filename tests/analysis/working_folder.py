"""Synthetic embeddings, questions and answers for the figure scripts; importing it puts analysis/ on the path."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from revision.config.variants import AlignerSettings
from revision.data.corpus import encode_image
from revision.data.scenes import World
from revision.embeddings import open_embeddings, write_embeddings
from revision.gap.held_out import write_held_out

ROOT = Path(__file__).parents[2]
SIZES = {"text": 240, "reference": 200, "probe": 160}
DIM = 12
CONFIG = yaml.safe_load((ROOT / "config/default.yaml").read_text())
ALIGNERS = {name: values for name, values in CONFIG["aligners"].items() if values["method"] != "mean_shift"}

sys.path.insert(0, str(ROOT / "analysis"))


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def embeddings(work):
    """Write images and texts of two domains that share content and differ by an offset."""
    rng = np.random.default_rng(3)
    scale = np.arange(1, DIM + 1) ** -0.6
    offset = rng.standard_normal(DIM)
    for domain, turn in (("", 0), ("scan_", 1)):
        apart = np.roll(offset, turn)
        for table, count in SIZES.items():
            content = rng.standard_normal((count, DIM)) * scale
            columns = {"image": content + 0.6 * apart}
            for column, noise in (("short", 0.5), ("long", 0.3)):
                columns[column] = content + noise * rng.standard_normal((count, DIM)) * scale - 0.6 * apart
            for column, rows in columns.items():
                ids = [f"{table}-{i}" for i in range(count)]
                write_embeddings(work / f"embeddings/{domain}{table}_{column}", ids, unit(rows), about={})


def rows(work, name):
    """The embeddings of a set, of shape (n, d)."""
    return open_embeddings(work / f"embeddings/{name}").array()


def held_out(work):
    """Write the output of `revision measure` for short and for long captions."""
    for caption, names in (("short", ALIGNERS), ("long", ("identity", "realign"))):
        sets = [rows(work, name) for name in (f"text_{caption}", "reference_image", f"probe_{caption}", "probe_image")]
        write_held_out(
            work / f"held_out/{caption}",
            *sets[:2],
            sets[2:],
            {name: AlignerSettings(**ALIGNERS[name]) for name in names},
        )
    (work / "aligners.yaml").write_text(yaml.safe_dump({"aligners": ALIGNERS}, sort_keys=False))


def answers(work):
    """Write two suites of six questions; half of the answers are correct."""
    (work / "tasks").mkdir()
    (work / "answers").mkdir()
    world, answered = World(), []
    for suite in ("colour", "count"):
        questions = world.suite(suite, 6)
        ids = [f"{suite}-{i:06d}" for i in range(6)]
        table = {
            "id": ids,
            "image": [encode_image(world.image(question.scene)) for question in questions],
            "question": [question.question for question in questions],
            "answer": [question.answer for question in questions],
        }
        pd.DataFrame(table).to_parquet(work / f"tasks/{suite}.parquet")
        about = {"method": "stage2/revision", "encoder": 0, "seed": 0, "suite": suite, "group": "general"}
        for index, (name, question) in enumerate(zip(ids, questions, strict=True)):
            prediction = question.answer if index % 2 else "no idea"
            answered.append(about | {"question": name, "correct": index % 2, "prediction": prediction})
    pd.DataFrame(answered).to_parquet(work / "answers/seed0.parquet")
