"""Corpus tables out of other people's data sets: fields to columns, a split by hash, and every row checked.

A row goes to the table whose share holds the hash of its id (or of what `split_by` names): tables with separate
shares of one source never meet, on any machine and in any order.
"""

import hashlib
from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from revision.data.corpus import BLOCK, ROOT
from revision.data.images import check_image
from revision.data.sources import Example, Source, inside, read
from revision.errors import ConfigError, DataError
from revision.io.files import atomic_file

TEXTS = ("short", "long", "question", "answer", "conversation")
KNOWN = ("id", "image", *TEXTS)
BYTES = 64 << 20  # images that wait for a block to be written
ASKS, ANSWERS = ("human", "user"), ("gpt", "assistant")
MARK = "<image>"


@dataclass
class Written:
    """What came of a source: rows in the table, source rows used and passed over, and what was left out and why."""

    rows: int = 0
    used: int = 0
    skipped: Counter[str] = field(default_factory=Counter)


class _Skip(Exception):
    """A row that the source's `skip` may leave out: the kind and the error that it is otherwise."""

    def __init__(self, kind: str, error: str) -> None:
        super().__init__(error)
        self.kind = kind


def share_of(key: str) -> float:
    """Place of a key in [0, 1): the first 8 bytes of its BLAKE2b hash."""
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest()) / 2**64


def write_corpus_from(
    source: Source, share: Sequence[float], count: int, path: str | Path, *, at_most: bool = False
) -> Written:
    """Write the first `count` rows of the share [low, high) of `source` to the Parquet file `path`, atomically.

    Memory: one block, and 16 bytes a row to find an id that stands twice. A source row with several exchanges gives
    several rows but counts once. Raises DataError for a row that can't be used (file, row, mend) and, unless
    `at_most`, if there are fewer rows than `count`; ConfigError for fields or a share that make no sense.
    """
    low, high = _checked(source, share, count)
    written = Written()
    ids, places = array("Q"), array("Q")
    with atomic_file(path) as temporary:
        table = _Table(temporary, source)
        for number, example in enumerate(read(source)):
            if written.used == count:
                break
            identity = _identity(source, example)
            if not low <= share_of(_key(source, example, identity)) < high:
                continue
            try:
                rows = _rows(source, example, identity)
            except _Skip as reason:
                if reason.kind not in source.skip:
                    raise DataError(f"{reason}; or let it be left out: skip: [{reason.kind}]") from None
                written.skipped[reason.kind] += 1
                continue
            ids.append(int.from_bytes(hashlib.blake2b(identity.encode(), digest_size=8).digest()))
            places.append(number)
            table.add(rows)
            written.used += 1
            written.rows += len(rows)
        _refuse_twins(source, ids, places)
        if not written.used or (written.used < count and not at_most):
            raise DataError(
                f"{source.path}: {written.used} usable rows in its share {low:g} to {high:g}, {count} are asked for; "
                f"ask for fewer, widen the share, or set at_most (left out: {dict(written.skipped) or 'nothing'})"
            )
        table.close(written)
    return written


class _Table:
    """The Parquet file that is being written, block by block."""

    def __init__(self, path: Path, source: Source) -> None:
        self.path, self.source = path, source
        self.rows: list[dict[str, Any]] = []
        self.bytes = 0
        self.writer: pq.ParquetWriter | None = None

    def add(self, rows: list[dict[str, Any]]) -> None:
        self.rows += rows
        self.bytes += sum(len(row["image"]) for row in rows if isinstance(row.get("image"), bytes))
        if len(self.rows) >= BLOCK or self.bytes >= BYTES:
            self._write()

    def close(self, written: Written) -> None:
        self._write()
        assert self.writer is not None
        self.writer.add_key_value_metadata({"revision.skipped": repr(dict(sorted(written.skipped.items())))})
        self.writer.close()

    def _write(self) -> None:
        if not self.rows:
            return
        table = pa.Table.from_pylist(self.rows)
        if self.writer is None:
            schema = table.schema.with_metadata({ROOT: self.source.path.encode()})
            self.writer = pq.ParquetWriter(self.path, schema, write_page_checksum=True)
        self.writer.write_table(table.cast(self.writer.schema))
        self.rows, self.bytes = [], 0


def _checked(source: Source, share: Sequence[float], count: int) -> tuple[float, float]:
    if len(share) != 2 or not 0 <= share[0] < share[1] <= 1:
        raise ConfigError(f"source {source.path}: share {list(share)} is no part of [0, 1); give two rising numbers")
    if count < 1:
        raise ConfigError(f"source {source.path}: {count} rows asked for; ask for at least 1")
    unknown = sorted(set(source.fields) - set(KNOWN))
    if unknown:
        raise ConfigError(f"source {source.path}: unknown column {', '.join(unknown)}; there are {', '.join(KNOWN)}")
    if not set(source.fields) & set(TEXTS):
        raise ConfigError(f"source {source.path}: fields name no text; give one of {', '.join(TEXTS)}")
    return float(share[0]), float(share[1])


def _at(example: Example, place: str) -> Any:
    """The value at a dotted place of a row. Raises DataError that names the step that is missing."""
    value: Any = example.values
    for step in place.split("."):
        try:
            value = value[int(step)] if isinstance(value, list) else value[step]
        except (KeyError, IndexError, ValueError, TypeError):
            there = f"the keys are {', '.join(map(str, value))}" if isinstance(value, dict) else f"it is {value!r:.60}"
            raise DataError(f"{example.where}: no {step!r} on the way to {place}; {there}: correct `fields`") from None
    return value


def _identity(source: Source, example: Example) -> str:
    if "id" not in source.fields:
        return example.name
    found = _at(example, source.fields["id"])
    if found is None or not str(found).strip():
        raise DataError(f"{example.where}: the id is empty; fill it, or leave `id` out of `fields` to number the rows")
    return str(found)


def _key(source: Source, example: Example, identity: str) -> str:
    """What decides the part: the value at `split_by`, or the id where there is none."""
    if not source.split_by or source.split_by.split(".")[0] not in example.values:
        return identity
    return str(_at(example, source.split_by))


def _rows(source: Source, example: Example, identity: str) -> list[dict[str, Any]]:
    """The table's rows of one source row: one, or one an exchange of its conversation."""
    image = _image(source, example) if "image" in source.fields else {}
    if "conversation" in source.fields:
        exchanges = _exchanges(example, _at(example, source.fields["conversation"]))
        names = [identity] if len(exchanges) == 1 else [f"{identity}#{turn}" for turn in range(len(exchanges))]
        return [
            {"id": name, "suite": "", "question": question, "answer": answer, **image}
            for name, (question, answer) in zip(names, exchanges, strict=True)
        ]
    row = {"id": identity}
    for column in ("short", "long", "question", "answer"):
        if column in source.fields:
            row[column] = _text(example, _at(example, source.fields[column]), column)
    return [row | ({"suite": ""} if "question" in row else {}) | image]


def _text(example: Example, value: Any, column: str) -> str:
    if not isinstance(value, str):
        raise DataError(f"{example.where}: {column} is {type(value).__name__}, not a text; correct `fields`")
    text = value.replace(MARK, "").strip()
    if not text:
        raise _Skip("empty_text", f"{example.where}: {column} is empty; fill it or remove the row")
    return text


def _exchanges(example: Example, turns: Any) -> list[tuple[str, str]]:
    """Question and answer of every exchange; turns of a system prompt are passed over."""
    if not isinstance(turns, list) or not all(isinstance(turn, dict) and "from" in turn for turn in turns):
        raise DataError(f"{example.where}: the conversation is no list of {{from, value}}; correct `fields`")
    spoken = [turn for turn in turns if turn["from"] in (*ASKS, *ANSWERS)]
    pairs = list(zip(spoken[::2], spoken[1::2], strict=False))
    if not pairs or len(spoken) % 2 or any(a["from"] not in ASKS or b["from"] not in ANSWERS for a, b in pairs):
        raise DataError(f"{example.where}: the turns are not question and answer by turns; mend or remove the row")
    return [(_text(example, a.get("value"), "question"), _text(example, b.get("value"), "answer")) for a, b in pairs]


def _image(source: Source, example: Example) -> dict[str, Any]:
    """The column `image`: the bytes, or the path from the source's folder. Its header is read, so that it is one."""
    top = source.fields["image"].split(".")[0]
    value = _at(example, source.fields["image"]) if top in example.values else None
    if isinstance(value, list):
        if len(value) > 1:
            raise _Skip("several_images", f"{example.where}: {len(value)} images; one visual token shows one")
        value = value[0] if value else None
    if isinstance(value, dict):
        value = value.get("bytes") or value.get("path")
    if not value:
        raise _Skip("no_image", f"{example.where}: no image; remove the row")
    if isinstance(value, bytes):
        check_image(value, example.where)
        return {"image": value}
    if not isinstance(value, str):
        raise DataError(f"{example.where}: image is {type(value).__name__}, not bytes or a path; correct `fields`")
    found = inside(source.path, f"{example.folder}/{value}" if value[:1] != "/" else value, example.where)
    if not found.is_file():
        raise _Skip("missing_image", f"{example.where}: {found} does not exist; complete the images")
    check_image(found, f"{example.where}: {found}")
    return {"image": found.relative_to(source.path).as_posix()}


def _refuse_twins(source: Source, ids: array, places: array) -> None:
    order = np.argsort(np.frombuffer(ids, np.uint64), kind="stable") if ids else np.empty(0, int)
    found = np.frombuffer(ids, np.uint64)[order] if ids else order
    twins = np.flatnonzero(found[1:] == found[:-1])
    if len(twins):
        first, second = (places[order[twins[0] + step]] for step in (0, 1))
        raise DataError(
            f"{source.path}: rows {first} and {second} (counted over all its files, from 0) have the same id; remove "
            "one, or leave `id` out of `fields` to number the rows"
        )
