"""The paper's suites (section 5, appendix H.3) through lmms-eval's own tasks.

A YAML (config/suites.yaml) says which task a suite is and what makes a question right. `write_published` turns it into
a task folder of small YAMLs that include lmms-eval's; the data stay where `datasets` keeps them, or in a local folder.
"""

import contextlib
import io
import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import Field

from revision.config import Settings, parse, read_yaml
from revision.errors import ConfigError, DataError
from revision.evaluation.suites import task_name
from revision.io.files import atomic_folder, write_json

LISTING = "published.json"
OWN = "revision:"


class Correct(Settings):
    """What makes a question right: the first of `metrics` that the task gives, at `key`, or aggregated by the task."""

    metrics: Annotated[list[str], Field(min_length=1)]
    key: str | None = None
    aggregate: bool = False


class PublishedSuite(Settings):
    """A suite that is a task of lmms-eval, there called `name`; config/suites.yaml explains the fields."""

    name: str
    file: str
    group: str
    published: str
    correct: Correct
    change: str = ""
    one_image: bool = False
    files: list[str] = Field(default_factory=list)
    revision: str = ""

    @property
    def task(self) -> str:
        """The suite's name as a task of the folder."""
        return task_name(self.name)

    def question(self, sample: Mapping[str, Any]) -> str:
        """Name of a question: its place in the split."""
        return f"{self.name}-{sample['doc_id']:06d}"

    def is_right(self, sample: Mapping[str, Any], task: Any) -> int:
        """1 or 0 for one logged question; DataError if the task gave none of the metrics that say so."""
        metric = next((name for name in self.correct.metrics if name in sample), None)
        if metric is None:
            wanted = ", ".join(self.correct.metrics)
            raise DataError(f"suite {self.name}, question {sample['doc_id']}: the task gave no {wanted}")
        value = sample[metric]
        if self.correct.aggregate:
            with contextlib.redirect_stdout(io.StringIO()):  # MMMU's prints a table at every call
                value = task.aggregation()[metric]([value])
        elif self.correct.key is not None:
            value = value[self.correct.key]
        if value not in (0, 1):
            raise DataError(f"suite {self.name}, question {sample['doc_id']}: {metric} is {value!r}, not 0 or 1")
        return int(value)


def read_published_suites(path: str | Path) -> list[PublishedSuite]:
    """The suites of a YAML such as config/suites.yaml. Raises ConfigError for what is not one."""
    found = read_yaml(path)
    if not found:
        raise ConfigError(f"{path}: no suites; a mapping of name to task is expected, as in config/suites.yaml")
    return [parse(PublishedSuite, {"name": n} | (v or {}), f"{path}, suite {n}") for n, v in found.items()]


def task_file(suite: PublishedSuite) -> Path:
    """The YAML of a suite's task, of lmms-eval or of this package. Raises ConfigError if it is not there."""
    if suite.file.startswith(OWN):
        path = Path(str(files("revision.evaluation.tasks"))) / suite.file.removeprefix(OWN)
    else:
        spec = find_spec("lmms_eval")
        assert spec is not None and spec.submodule_search_locations
        path = Path(spec.submodule_search_locations[0]) / "tasks" / suite.file
    if not path.is_file():
        raise ConfigError(
            f"suite {suite.name}: {path} does not exist; correct `file` or install the lmms-eval it is of"
        )
    return path


def task_settings(suite: PublishedSuite) -> dict[str, Any]:
    """What a suite's task says of its data (dataset_path, dataset_name, dataset_kwargs, test_split); nothing is run."""
    found: dict[str, Any] = {}
    path = task_file(suite)
    while True:
        values = yaml.load(path.read_text(encoding="utf-8"), Loader=_Plain)
        found = values | found
        if "include" not in values:
            return found
        path = path.parent / values["include"]


class _Plain(yaml.SafeLoader):
    """Reads `!function` as a plain text."""


_Plain.add_constructor("!function", lambda loader, node: str(node.value))


def write_published(suites: Sequence[PublishedSuite], folder: str | Path, data: str | Path | None = None) -> Path:
    """Write the task folder of `suites`, atomically.

    With `data`, a suite with a folder <data>/<name>/ reads the Parquet files there in place of the hub's data set.
    Raises ConfigError for a task that is not installed, DataError for such a folder without Parquet files.
    """
    templates = files("revision.evaluation.tasks")
    with atomic_folder(folder) as temporary:
        for suite in suites:
            changes = [name for name in (suite.change, "one_image.yaml" if suite.one_image else "") if name]
            for name in changes:
                (temporary / f"_{name.removesuffix('.yaml')}_yaml").write_bytes((templates / name).read_bytes())
            task = {
                "include": [*(f"_{name.removesuffix('.yaml')}_yaml" for name in changes), str(task_file(suite))],
                "task": suite.task,
                **_data_of(suite, data),
            }
            (temporary / f"{suite.name}.yaml").write_text(yaml.safe_dump(task, sort_keys=False), encoding="utf-8")
        write_json(temporary / LISTING, [suite.record() for suite in suites])
    return Path(folder)


def _data_of(suite: PublishedSuite, data: str | Path | None) -> dict[str, Any]:
    """The task's settings of its data: without the demand for a token, pinned or local where that is asked for."""
    settings = task_settings(suite)
    own = None if data is None else Path(data) / suite.name
    if own is not None and own.is_dir():
        found = sorted(str(path.resolve()) for path in own.glob("*.parquet"))
        if not found:
            raise DataError(f"{own}: no Parquet file; put the questions of {suite.name} there or take the folder away")
        kwargs: dict[str, Any] = {"data_files": {settings["test_split"]: found}}
        return {"dataset_path": "parquet", "dataset_name": None, "dataset_kwargs": kwargs}
    kwargs = {key: value for key, value in (settings.get("dataset_kwargs") or {}).items() if key != "token"}
    name = settings.get("dataset_name")
    if suite.files:
        kwargs["data_files"], name = {settings["test_split"]: suite.files}, None
    if suite.revision:
        kwargs["revision"] = suite.revision
    return {"dataset_name": name, "dataset_kwargs": kwargs}


def is_published(folder: str | Path) -> bool:
    """Whether a task folder is one of `write_published`."""
    return (Path(folder) / LISTING).is_file()


def listed(folder: str | Path, names: Sequence[str] | None = None) -> list[PublishedSuite]:
    """The suites of a task folder, those in `names` or all. Raises ConfigError for an unknown one."""
    values = json.loads((Path(folder) / LISTING).read_text(encoding="utf-8"))
    found = {value["name"]: PublishedSuite(**value) for value in values}
    unknown = sorted(set(names or ()) - set(found))
    if unknown:
        raise ConfigError(f"{folder}: unknown suite {', '.join(unknown)}; the suites are {', '.join(found)}")
    return [found[name] for name in (found if names is None else names)]


def look_up(folder: str | Path, suite: str, questions: Sequence[str]) -> list[dict[str, Any]]:
    """Text, true answer and image (PNG bytes) of some questions of a suite, for people to look at."""
    from lmms_eval.tasks import TaskManager, get_task_dict

    manager = TaskManager(include_path=str(folder), include_defaults=False)
    (task,) = get_task_dict([task_name(suite)], manager).values()
    found = []
    for question in questions:
        doc = task.dataset[task.config.test_split][int(question.rpartition("-")[2])]
        buffer = io.BytesIO()
        task.doc_to_visual(doc)[0].save(buffer, "PNG")
        found.append(
            {"text": task.doc_to_text(doc), "answer": str(task.doc_to_target(doc)), "image": buffer.getvalue()}
        )
    return found
