"""Convert published data sets to corpus tables: map fields to columns, split rows by hash and check every row.

A row belongs to the table whose hash range contains the hash of its id (or of the field `split_by`). Tables with
disjoint hash ranges of one source therefore share no rows, on any machine and in any order.
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
from revision.data.sources import Example, Source, path_inside, read
from revision.errors import ConfigError, DataError
from revision.io.files import atomic_file

TEXTS = ("short", "long", "question", "answer", "conversation")
KNOWN = ("id", "image", *TEXTS)
BYTES = 64 << 20  # largest total size of images in a block
QUESTION_ROLES, ANSWER_ROLES = ("human", "user"), ("gpt", "assistant")
IMAGE_TOKEN = "<image>"


@dataclass
class IngestSummary:
    """Summary of the conversion of a source.

    Attributes
    ----------
    rows : int
        Rows of the table.
    used : int
        Source rows that were converted.
    skipped : Counter of str
        Source rows that were skipped, by reason.
    """

    rows: int = 0
    used: int = 0
    skipped: Counter[str] = field(default_factory=Counter)


class _Skip(Exception):
    """A row that is skipped if the source's `skip` lists `kind`, and an error with this message otherwise."""

    def __init__(self, kind: str, error: str) -> None:
        super().__init__(error)
        self.kind = kind


def hash_fraction(key: str) -> float:
    """Map a key to [0, 1) by the 8-byte BLAKE2b hash."""
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest()) / 2**64


def write_corpus_from(
    source: Source, hash_range: Sequence[float], count: int, path: str | Path, *, at_most: bool = False
) -> IngestSummary:
    """Write a corpus table of a published data set, atomically and block by block.

    Memory is that of one block, and 16 bytes per row to detect duplicate ids.

    Parameters
    ----------
    source : Source
        The data set and its fields.
    hash_range : (float, float)
        Range [low, high) in [0, 1]; only rows whose hash is in it are used.
    count : int
        Number of source rows to use, from the first. A conversation with several exchanges yields several rows of
        the table but counts as one.
    path : path
        Parquet file to write.
    at_most : bool
        Whether fewer than `count` rows are accepted.

    Returns
    -------
    IngestSummary
        Numbers of rows.

    Raises
    ------
    DataError
        If a row is invalid (names file, row and fix), ids are not unique, or there are too few rows.
    ConfigError
        If `hash_range`, `count` or the fields of the source are invalid.
    """
    low, high = _validated(source, hash_range, count)
    summary = IngestSummary()
    ids, numbers = array("Q"), array("Q")
    with atomic_file(path) as temporary:
        table = _Table(temporary, source)
        for number, example in enumerate(read(source)):
            if summary.used == count:
                break
            identity = _identity(source, example)
            if not low <= hash_fraction(_key(source, example, identity)) < high:
                continue
            try:
                rows = _rows(source, example, identity)
            except _Skip as reason:
                if reason.kind not in source.skip:
                    raise DataError(f"{reason}; or skip such rows: skip: [{reason.kind}]") from None
                summary.skipped[reason.kind] += 1
                continue
            ids.append(int.from_bytes(hashlib.blake2b(identity.encode(), digest_size=8).digest()))
            numbers.append(number)
            table.add(rows)
            summary.used += 1
            summary.rows += len(rows)
        _require_unique(source, ids, numbers)
        if not summary.used or (summary.used < count and not at_most):
            skipped = dict(summary.skipped) or "none"
            raise DataError(
                f"{source.path}: {summary.used} usable rows in its share {low:g} to {high:g}, but {count} "
                f"are requested; request fewer, widen the share or set at_most (skipped: {skipped})"
            )
        table.close(summary)
    return summary


class _Table:
    """Writer of the Parquet file, block by block."""

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

    def close(self, summary: IngestSummary) -> None:
        self._write()
        assert self.writer is not None
        self.writer.add_key_value_metadata({"revision.skipped": repr(dict(sorted(summary.skipped.items())))})
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


def _validated(source: Source, hash_range: Sequence[float], count: int) -> tuple[float, float]:
    if len(hash_range) != 2 or not 0 <= hash_range[0] < hash_range[1] <= 1:
        raise ConfigError(
            f"source {source.path}: share {list(hash_range)} is not a range in [0, 1]; give two increasing values"
        )
    if count < 1:
        raise ConfigError(f"source {source.path}: count is {count}; request at least 1 row")
    unknown = sorted(set(source.fields) - set(KNOWN))
    if unknown:
        raise ConfigError(
            f"source {source.path}: unknown column {', '.join(unknown)}; the columns are {', '.join(KNOWN)}"
        )
    if not set(source.fields) & set(TEXTS):
        raise ConfigError(f"source {source.path}: `fields` has no text column; add one of {', '.join(TEXTS)}")
    return float(hash_range[0]), float(hash_range[1])


def _lookup(example: Example, path: str) -> Any:
    """Return the value at a dotted path of a row. Raises DataError that names the missing key."""
    value: Any = example.values
    for key in path.split("."):
        try:
            value = value[int(key)] if isinstance(value, list) else value[key]
        except (KeyError, IndexError, ValueError, TypeError):
            keys = f"the keys are {', '.join(map(str, value))}" if isinstance(value, dict) else f"it is {value!r:.60}"
            raise DataError(f"{example.where}: no {key!r} in the path {path}; {keys}; correct `fields`") from None
    return value


def _identity(source: Source, example: Example) -> str:
    if "id" not in source.fields:
        return example.name
    identity = _lookup(example, source.fields["id"])
    if identity is None or not str(identity).strip():
        raise DataError(f"{example.where}: the id is empty; fill it, or omit `id` from `fields` to number the rows")
    return str(identity)


def _key(source: Source, example: Example, identity: str) -> str:
    """Return the value whose hash decides the table: the field `split_by`, or the id if there is none."""
    if not source.split_by or source.split_by.split(".")[0] not in example.values:
        return identity
    return str(_lookup(example, source.split_by))


def _rows(source: Source, example: Example, identity: str) -> list[dict[str, Any]]:
    """Convert a source row to rows of the table: one, or one per exchange of its conversation."""
    image = _image(source, example) if "image" in source.fields else {}
    if "conversation" in source.fields:
        exchanges = _exchanges(example, _lookup(example, source.fields["conversation"]))
        names = [identity] if len(exchanges) == 1 else [f"{identity}#{turn}" for turn in range(len(exchanges))]
        return [
            {"id": name, "suite": "", "question": question, "answer": answer, **image}
            for name, (question, answer) in zip(names, exchanges, strict=True)
        ]
    row = {"id": identity}
    for column in ("short", "long", "question", "answer"):
        if column in source.fields:
            row[column] = _text(example, _lookup(example, source.fields[column]), column)
    return [row | ({"suite": ""} if "question" in row else {}) | image]


def _text(example: Example, value: Any, column: str) -> str:
    if not isinstance(value, str):
        raise DataError(f"{example.where}: {column} is {type(value).__name__}, not text; correct `fields`")
    text = value.replace(IMAGE_TOKEN, "").strip()
    if not text:
        raise _Skip("empty_text", f"{example.where}: {column} is empty; fill it or remove the row")
    return text


def _exchanges(example: Example, turns: Any) -> list[tuple[str, str]]:
    """Return question and answer of every exchange; turns of a system prompt are ignored."""
    if not isinstance(turns, list) or not all(isinstance(turn, dict) and "from" in turn for turn in turns):
        raise DataError(f"{example.where}: the conversation is not a list of {{from, value}}; correct `fields`")
    messages = [turn for turn in turns if turn["from"] in (*QUESTION_ROLES, *ANSWER_ROLES)]
    pairs = list(zip(messages[::2], messages[1::2], strict=False))
    alternating = len(messages) % 2 == 0 and all(
        question["from"] in QUESTION_ROLES and answer["from"] in ANSWER_ROLES for question, answer in pairs
    )
    if not pairs or not alternating:
        raise DataError(f"{example.where}: questions and answers do not alternate; fix or remove the row")
    return [
        (_text(example, question.get("value"), "question"), _text(example, answer.get("value"), "answer"))
        for question, answer in pairs
    ]


def _image(source: Source, example: Example) -> dict[str, Any]:
    """Return the column `image`, bytes or a path relative to the source's folder, after a check of the header."""
    top = source.fields["image"].split(".")[0]
    value = _lookup(example, source.fields["image"]) if top in example.values else None
    if isinstance(value, list):
        if len(value) > 1:
            raise _Skip("several_images", f"{example.where}: {len(value)} images; a visual token embeds one")
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
    file = path_inside(source.path, f"{example.folder}/{value}" if value[:1] != "/" else value, example.where)
    if not file.is_file():
        raise _Skip("missing_image", f"{example.where}: {file} does not exist; add the missing images")
    check_image(file, f"{example.where}: {file}")
    return {"image": file.relative_to(source.path).as_posix()}


def _require_unique(source: Source, ids: array, numbers: array) -> None:
    """Raise DataError if two rows have the same id, of which only the hashes are kept."""
    order = np.argsort(np.frombuffer(ids, np.uint64), kind="stable") if ids else np.empty(0, int)
    hashes = np.frombuffer(ids, np.uint64)[order] if ids else order
    duplicates = np.flatnonzero(hashes[1:] == hashes[:-1])
    if len(duplicates):
        first, second = (numbers[order[duplicates[0] + step]] for step in (0, 1))
        raise DataError(
            f"{source.path}: rows {first} and {second} (counted over all its files, from 0) have the same id; remove "
            "one, or omit `id` from `fields` to number the rows"
        )
