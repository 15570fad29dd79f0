"""Planted faults: a small working folder, one fault put into it, and what the command then says."""

import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from revision.cli import main
from revision.embeddings import write_embeddings

LOOP = """--settings '{"epochs": 1, "batch_size": 8, "learning_rate": 0.01}'"""
STATS, ALIGN = "stats texts", "align texts aligned --target images"
EMBED = "embed text.parquet --encoder encoder --out set --column"
PRETRAIN = (
    "pretrain --llm model --embeddings images --captions text.parquet --validation-embeddings images "
    f"--validation-captions text.parquet {LOOP} --out out"
)
FINETUNE = (
    "finetune --start model --embeddings pictures --instructions instruct.parquet --validation-embeddings pictures "
    f"--validation-instructions instruct.parquet {LOOP} --out out"
)
EVALUATE = "evaluate m=model --tasks tasks --encoder encoder --answers out"


@dataclass(frozen=True)
class Fault:
    """What is wrong, how it is put into the working folder, the command, and a regular expression of its error."""

    name: str
    plant: Callable[[], object]
    command: str
    said: str


def table(faults: list[Fault]) -> pytest.MarkDecorator:
    """The faults as a test's parameters, by name."""
    return pytest.mark.parametrize("fault", [pytest.param(fault, id=fault.name) for fault in faults])


def said(command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    """What the command that must fail says, on one line; an error that is no message but a traceback fails the test."""
    monkeypatch.setattr(sys, "argv", ["revision", *shlex.split(command)])
    with pytest.raises(SystemExit) as end:
        main()
    printed = capsys.readouterr()
    assert end.value.code not in (0, None), printed
    assert "Traceback" not in printed.err + printed.out
    return " ".join(printed.err.split())


def build(folder: Path) -> None:
    """Two sets of embeddings, corpus tables, an encoder, a multimodal model and tasks, all very small."""
    from revision.data.corpus import write_corpus
    from revision.data.scenes import World
    from revision.encoders import DualEncoder, EncoderSettings
    from revision.evaluation.suites import write_tasks
    from revision.mllm.language_models.trained import LanguageModelSettings, new_llm, word_tokenizer
    from revision.mllm.model import ReVisionModel

    world, rng, ids = World(), np.random.default_rng(0), [f"text-{row:09d}" for row in range(40)]
    for name, shift in (("texts", 1), ("images", -1)):
        write_embeddings(folder / name, ids, rng.standard_normal((40, 8)) + shift, shard_rows=16)
    write_embeddings(folder / "pictures", [name.replace("text", "instruct") for name in ids], np.ones((40, 8)))
    write_corpus(world, "captions", "text", 40, folder / "text.parquet")
    write_corpus(world, "instructions", "instruct", 40, folder / "instruct.parquet")
    shape = EncoderSettings(dim=8, vision_width=16, text_width=16, text_layers=1)
    DualEncoder(shape, world.vocabulary(), world.settings.image_size).save(folder / "encoder")
    tokenizer = word_tokenizer(world.vocabulary())
    ReVisionModel(new_llm(LanguageModelSettings(16, 1, 2), tokenizer, 0), tokenizer, 8).save(folder / "model")
    write_tasks(world, folder / "tasks", 3)


def cut(path: str) -> Callable[[], object]:
    """Plant: the file ends in its middle."""
    return lambda: Path(path).write_bytes(Path(path).read_bytes()[: Path(path).stat().st_size // 2])


def flip(path: str, mark: bytes) -> Callable[[], object]:
    """Plant: one bit of the byte before the end of `mark`, or of the file's middle without a mark, is another."""

    def plant() -> None:
        data = bytearray(Path(path).read_bytes())
        data[data.index(mark) + len(mark) - 1 if mark else len(data) // 2] ^= 1
        Path(path).write_bytes(data)

    return plant


def rows(folder: str, change: Callable[[np.ndarray], np.ndarray]) -> Callable[[], object]:
    """Plant: the numbers of an embedding set are others, written past the checks that `append` makes."""

    def plant() -> None:
        from revision.embeddings import EmbeddingWriter, open_embeddings

        old = open_embeddings(folder)
        new = change(old.array())
        with EmbeddingWriter(folder, new.shape[1], checked=False) as writer:
            writer.append(old.ids().to_pylist()[: len(new)], new)

    return plant


def column(path: str, name: str, change: Callable[[list], list] | None) -> Callable[[], object]:
    """Plant: a Parquet column has other values, or is not there."""

    def plant() -> None:
        found = pq.read_table(path)
        place, values = found.column_names.index(name), found[name].to_pylist()
        kind = found.schema.field(name).type
        new = found.drop_columns([name])
        if change is not None:
            new = found.set_column(place, name, pa.array(change(values), kind))
        pq.write_table(new, path)

    return plant


def page(path: str, name: str) -> Callable[[], object]:
    """Plant: one bit in the pages of a Parquet column is another."""

    def plant() -> None:
        group = pq.ParquetFile(path).metadata.row_group(0)
        parts = (group.column(number) for number in range(group.num_columns))
        part = next(part for part in parts if part.path_in_schema.split(".")[0] == name)
        data = bytearray(Path(path).read_bytes())
        data[(part.dictionary_page_offset or part.data_page_offset) + part.total_compressed_size // 2] ^= 1
        Path(path).write_bytes(data)

    return plant
