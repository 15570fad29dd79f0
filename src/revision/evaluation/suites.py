"""Suites and captioning as an lmms-eval task folder: Parquet files, task YAMLs, group YAMLs.

Questions are about generated scenes; captioning is also of photographs.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from PIL import Image

from revision.data.corpus import read_columns, stream
from revision.data.images import encode_image
from revision.data.scenes import World
from revision.errors import ConfigError, DataError
from revision.evaluation.captioning import VISUAL
from revision.io.files import atomic_folder

COLUMNS = ("id", "image", "question", "answer", "suite", "group")
ALL = "revision"
"""Name of the lmms-eval group of all suites, and prefix of the names of tasks and other groups."""
CAPTIONING = "captioning"
"""Name of the subfolder, the data file and the first task of captioning."""
PHOTOGRAPHS = "photographs.yaml"
"""Shared part of the tasks that caption photographs."""
CONDITIONS = {name: f"{ALL}_{CAPTIONING}" + ("" if name == "own" else f"_{name}") for name in VISUAL}
"""Task of each condition of captioning: the image, and the floors (another image, the mean image, no image)."""
REFERENCES = 5
CAPTION_TOKENS = 48


@dataclass(frozen=True)
class Suite:
    """One suite of a task folder.

    Attributes
    ----------
    name, group : str
        Names of the suite and of its group.
    data : Path
        Parquet file of the questions.
    rows : int
        Number of questions.
    """

    name: str
    group: str
    data: Path
    rows: int

    @property
    def task(self) -> str:
        """Name of the suite's task in lmms-eval."""
        return task_name(self.name)

    def question(self, sample: Mapping[str, Any]) -> str:
        """Return the id of a logged question."""
        return sample["doc"]["id"]

    def is_right(self, sample: Mapping[str, Any], task: Any) -> int:
        """Return 1 for a correct answer of a logged question, else 0."""
        return int(sample["accuracy"])


def task_name(name: str) -> str:
    """Return lmms-eval's name of a suite or of a group of suites."""
    return f"{ALL}_{name}"


def write_tasks(
    world: World,
    folder: str | Path,
    count: int,
    suites: Sequence[str] | None = None,
    max_new_tokens: int = 4,
    captions: int = 0,
) -> Path:
    """Write an lmms-eval task folder, atomically.

    Paths of data are relative, so that the folder may be moved; lmms-eval itself runs it with `--include_path`.

    Parameters
    ----------
    world : World
        The generated scenes.
    folder : str or Path
        Folder to write.
    count : int
        Questions per suite.
    suites : sequence of str, optional
        Names of suites; default: all of the world.
    max_new_tokens : int, default 4
        Longest answer.
    captions : int, default 0
        Images to caption, held-out scenes; 0 for no captioning tasks.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    ConfigError
        If a suite does not exist, or a suite and a group have the same name.
    DataError
        If a suite has no questions.
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
        # lmms-eval would list a file that ends in .yaml as a task of its own.
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
        if captions:
            write_captioning(captioning_table(world, captions), "captioning.yaml", temporary / CAPTIONING)
    return Path(folder)


def write_captioning(table: pa.Table, template: str, folder: Path) -> None:
    """Write captioning tasks and their data file to a subfolder, since each Parquet file of the folder is a suite.

    Parameters
    ----------
    table : pyarrow.Table
        The images and what scores their captions.
    template : str
        YAML file of `revision.evaluation.tasks` that all tasks include.
    folder : Path
        Folder to make.
    """
    folder.mkdir()
    pq.write_table(table, folder / f"{CAPTIONING}.parquet", write_page_checksum=True)
    (folder / "_captioning_yaml").write_bytes((files("revision.evaluation.tasks") / template).read_bytes())
    for visual, name in CONDITIONS.items():
        settings = {"max_new_tokens": CAPTION_TOKENS, "do_sample": False, "until": ["\n"], "visual": visual}
        task = {"include": "_captioning_yaml", "task": name, "generation_kwargs": settings}
        (folder / f"{visual}.yaml").write_text(yaml.safe_dump(task, sort_keys=False), encoding="utf-8")


def captioning_table(world: World, count: int) -> pa.Table:
    """Generate images to caption: the first scenes of the split `evaluation`.

    Parameters
    ----------
    world : World
        The generated scenes.
    count : int
        Number of images.

    Returns
    -------
    pyarrow.Table
        Columns id, image (PNG), suite, references (short captions) and scene (the full caption).
    """
    scenes = world.scenes("evaluation", 0, count)
    texts = zip(*(world.captions(scenes, "short", variant) for variant in range(REFERENCES)), strict=True)
    rows = [
        {"id": f"{CAPTIONING}-{row:06d}", "image": _png(image), "suite": CAPTIONING, "references": refs, "scene": scene}
        for row, (image, refs, scene) in enumerate(
            zip(world.images(scenes), texts, world.captions(scenes, "full"), strict=True)
        )
    ]
    return _captioning_rows(rows)


def write_photographs(table: str | Path, folder: str | Path) -> Path:
    """Write captioning of the photographs of a corpus table as an lmms-eval task folder without suites, atomically.

    Parameters
    ----------
    table : path
        Corpus table of captioned images (`revision.data.photos`).
    folder : path
        Folder to write.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    DataError
        If the table or an image cannot be read.
    """
    texts = read_columns(table, ("id", "captions"))
    images = (image for block in stream(table, ("image",)) for image in block["image"])
    layout = ({"bytes": one if isinstance(one, bytes) else one.read_bytes(), "path": None} for one in images)
    photographs = photograph_table(zip(texts["id"], layout, texts["captions"], strict=True))
    with atomic_folder(folder) as temporary:
        write_captioning(photographs, PHOTOGRAPHS, temporary / CAPTIONING)
    return Path(folder)


def photograph_table(photographs: Iterable[tuple[str, dict[str, Any], Sequence[str]]]) -> pa.Table:
    """Tabulate photographs to caption, with `PHOTOGRAPHS` as the YAML file of `write_captioning`.

    Parameters
    ----------
    photographs : iterable of (str, dict, sequence of str)
        Id, image in the layout of `datasets.Image`, and captions that people wrote.

    Returns
    -------
    pyarrow.Table
        Columns id, image, suite and references.
    """
    rows = [
        {"id": name, "image": image, "suite": CAPTIONING, "references": list(captions)}
        for name, image, captions in photographs
    ]
    return _captioning_rows(rows)


def _captioning_rows(rows: list[dict[str, Any]]) -> pa.Table:
    import datasets

    text = datasets.Value("string")
    features = {name: text for name in rows[0]} | {"image": datasets.Image(), "references": [text]}
    return pa.Table.from_pylist(rows, schema=datasets.Features(features).arrow_schema)


def _png(pixels: np.ndarray) -> dict[str, Any]:
    """Encode an image in the layout of `datasets.Image`."""
    return {"bytes": encode_image(Image.fromarray(pixels), compress_level=6), "path": None}


def suite_table(world: World, name: str, count: int) -> pa.Table:
    """Generate the first questions of a suite.

    Parameters
    ----------
    world : World
        The generated scenes.
    name : str
        Name of a suite.
    count : int
        Number of questions.

    Returns
    -------
    pyarrow.Table
        Columns `COLUMNS`; images are PNG in the layout of `datasets.Image`.

    Raises
    ------
    DataError
        If there are no questions.
    """
    questions = world.suite(name, count)
    if not questions:
        raise DataError(f"suite {name}: no questions for count {count}; give a count of at least 1")
    images = world.images([question.scene for question in questions])
    rows = [
        {
            "id": f"{name}-{row:06d}",
            "image": _png(images[row]),
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
    """Check a task folder and list its suites.

    Parameters
    ----------
    folder : str or Path
        Task folder that `write_tasks` wrote.
    names : sequence of str, optional
        Suites to return, in this order; default: all, sorted.

    Returns
    -------
    list of Suite

    Raises
    ------
    ConfigError
        If a name is not a suite of the folder.
    DataError
        If the folder, a column or a task is missing, or a file is not readable.
    """
    folder = Path(folder)
    paths = {path.stem: path for path in sorted(folder.glob("*.parquet"))}
    if not paths:
        raise DataError(f"{folder}: no evaluation tasks there; write them with revision.evaluation.suites.write_tasks")
    unknown = sorted(set(names or ()) - set(paths))
    if unknown:
        raise ConfigError(f"{folder}: unknown suite {', '.join(unknown)}; the suites are {', '.join(paths)}")
    return [_read_suite(paths[name]) for name in (paths if names is None else names)]


def captioning_tasks(folder: str | Path) -> dict[str, str]:
    """Return the task of each condition of captioning. Raises DataError if the folder has no captioning tasks."""
    missing = [path for name in CONDITIONS if not (path := Path(folder) / CAPTIONING / f"{name}.yaml").is_file()]
    if missing:
        raise DataError(f"{missing[0]}: no such captioning task; write the tasks of scenes again, with `captions`")
    return CONDITIONS


def _read_suite(path: Path) -> Suite:
    try:
        file = pq.ParquetFile(path, page_checksum_verification=True)
        for _ in file.iter_batches(256):  # read every page, which verifies its checksum
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
