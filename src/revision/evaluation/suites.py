"""The suites of a world as an lmms-eval task folder: parquet files with the task and group YAMLs beside them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from PIL import Image

from revision.data.images import encode_image
from revision.data.scenes import World
from revision.errors import ConfigError, DataError
from revision.io.files import atomic_folder

COLUMNS = ("id", "image", "question", "answer", "suite", "group")
ALL = "revision"
"""Name of the lmms-eval group that holds every suite; tasks and groups of one kind carry it as a prefix."""


@dataclass(frozen=True)
class Suite:
    """One suite of a task folder; `rows` is its number of questions."""

    name: str
    group: str
    data: Path
    rows: int

    @property
    def task(self) -> str:
        """The suite's name as an lmms-eval task."""
        return task_name(self.name)

    def question(self, sample: Mapping[str, Any]) -> str:
        """Name of the question that lmms-eval logged as `sample`."""
        return sample["doc"]["id"]

    def is_right(self, sample: Mapping[str, Any], task: Any) -> int:
        """1 or 0 for one logged question."""
        return int(sample["accuracy"])


def task_name(name: str) -> str:
    """lmms-eval's name of a suite or of a group of suites."""
    return f"{ALL}_{name}"


def write_tasks(
    world: World,
    folder: str | Path,
    count: int,
    suites: Sequence[str] | None = None,
    max_new_tokens: int = 4,
) -> Path:
    """Write `count` questions of each suite (all of the world's if None) as an lmms-eval task folder, atomically.

    The YAMLs name their data relatively, so the folder may be moved; lmms-eval itself runs it by `--include_path`.
    Raises ConfigError for a suite that the world does not have, DataError for one without questions.
    """
    known = world.suites()
    chosen = list(known if suites is None else suites)
    unknown = sorted(set(chosen) - set(known))
    if unknown or not chosen:
        raise ConfigError(f"unknown suite {', '.join(unknown) or '(none given)'}; the suites are {', '.join(known)}")
    members: dict[str, list[str]] = {}
    for name in chosen:
        members.setdefault(world.suite_group(name), []).append(name)
    clash = sorted(set(members) & set(chosen))
    if clash:
        raise ConfigError(f"{', '.join(clash)} is the name of a suite and of a group; rename the suite")
    templates = files("revision.evaluation.tasks")
    with atomic_folder(folder) as temporary:
        # Without the ending .yaml, lmms-eval includes it but does not list it as a task.
        (temporary / "_suite_yaml").write_bytes((templates / "suite.yaml").read_bytes())
        for name in chosen:
            table = suite_table(world, name, count)
            pq.write_table(table, temporary / f"{name}.parquet", write_page_checksum=True)
            task = {
                "include": "_suite_yaml",
                "task": task_name(name),
                "dataset_kwargs": {"data_files": {"test": f"{name}.parquet"}},
                "generation_kwargs": {"max_new_tokens": max_new_tokens, "do_sample": False, "until": ["\n"]},
            }
            (temporary / f"{name}.yaml").write_text(yaml.safe_dump(task, sort_keys=False), encoding="utf-8")
        groups = {task_name(group): [task_name(name) for name in names] for group, names in members.items()}
        for group, tasks in {**groups, ALL: list(groups)}.items():
            mean = {"metric": "accuracy", "aggregation": "mean", "weight_by_size": False}
            config = {"group": group, "task": tasks, "aggregate_metric_list": [mean], "metadata": {"version": 1.0}}
            path = temporary / f"group_{group}.yaml"
            path.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    return Path(folder)


def suite_table(world: World, name: str, count: int) -> pa.Table:
    """The first `count` questions of a suite: columns `COLUMNS`, images as PNG in the layout of `datasets.Image`."""
    questions = world.suite(name, count)
    if not questions:
        raise DataError(f"suite {name}: no questions for count {count}; give a count of at least 1")
    images = world.images([question.scene for question in questions])
    rows = [
        {
            "id": f"{name}-{row:06d}",
            "image": {"bytes": encode_image(Image.fromarray(images[row]), compress_level=6), "path": None},
            "question": question.question,
            "answer": question.answer,
            "suite": name,
            "group": world.suite_group(name),
        }
        for row, question in enumerate(questions)
    ]
    import datasets

    features = {column: datasets.Value("string") for column in COLUMNS} | {"image": datasets.Image()}
    return pa.Table.from_pylist(rows, schema=datasets.Features(features).arrow_schema)


def read_suites(folder: str | Path, names: Sequence[str] | None = None) -> list[Suite]:
    """Check a task folder and list its suites (those in `names`, in that order; all, sorted, if None).

    Raises DataError for a folder or a column that is missing and ConfigError for an unknown suite.
    """
    folder = Path(folder)
    found = {path.stem: path for path in sorted(folder.glob("*.parquet"))}
    if not found:
        raise DataError(f"{folder}: no evaluation tasks there; write them with revision.evaluation.suites.write_tasks")
    unknown = sorted(set(names or ()) - set(found))
    if unknown:
        raise ConfigError(f"{folder}: unknown suite {', '.join(unknown)}; the suites are {', '.join(found)}")
    return [_read_suite(found[name]) for name in (found if names is None else names)]


def _read_suite(path: Path) -> Suite:
    try:
        file = pq.ParquetFile(path, page_checksum_verification=True)
        for _ in file.iter_batches(256):  # reads every page, so that an altered one is found
            pass
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path}: not a readable parquet file ({error}); write the tasks again") from error
    missing = [column for column in COLUMNS if column not in file.schema_arrow.names]
    if missing:
        raise DataError(f"{path}: missing column {', '.join(missing)}; the columns are {', '.join(COLUMNS)}")
    if not path.with_suffix(".yaml").exists():
        raise DataError(f"{path.with_suffix('.yaml')}: missing task of suite {path.stem}; write the tasks again")
    if file.metadata.num_rows == 0:
        raise DataError(f"{path}: no questions; write the tasks again")
    group = file.read(columns=["group"])["group"][0].as_py()
    return Suite(name=path.stem, group=group, data=path, rows=file.metadata.num_rows)
