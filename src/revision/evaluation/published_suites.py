"""The paper's suites (Section 5, Appendix H.3) as tasks of lmms-eval.

A YAML file (config/suites.yaml) maps each suite to a task and defines when an answer is correct. `write_published`
turns it into a task folder of small YAML files that include lmms-eval's. The data stay in the hub's cache or in a local
folder, from where they are read without a network and without a login.
"""

import contextlib
import io
import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from pydantic import Field

from revision.config import Settings, parse, read_yaml
from revision.config.base import unknown_name
from revision.config.evaluation import PhotographCaptions, PublishedSuites
from revision.errors import ConfigError, DataError
from revision.evaluation.suites import CAPTIONING, PHOTOGRAPHS, photograph_table, task_name, write_captioning
from revision.io.files import atomic_folder, write_json
from revision.io.hub import cached_snapshot

LISTING = "published.json"
OWN = "revision:"


class Correct(Settings):
    """Definition of a correct answer: a metric of the task whose value is 1.

    Attributes
    ----------
    metrics : list of str
        Names of metrics; the first one that the task returns for a question is used.
    key : str, optional
        Key of the value, if the metric is a mapping.
    aggregate : bool
        Whether the value is the task's own aggregation of this one question.
    """

    metrics: Annotated[list[str], Field(min_length=1)]
    key: str | None = None
    aggregate: bool = False


class PublishedSuite(Settings):
    """A suite that is a task of lmms-eval.

    Attributes
    ----------
    name : str
        Name of the task in lmms-eval.
    file : str
        The task's YAML file in lmms_eval/tasks, or `revision:` and a YAML file of `revision.evaluation.tasks`.
    group : str
        Group of suites, such as general.
    published : str
        Column of the suite in config/published.yaml.
    correct : Correct
        Definition of a correct answer.
    change : str
        YAML file of `revision.evaluation.tasks` that changes the task.
    one_image : bool
        Whether questions with several images are left out (Appendix H.3).
    files : list of str
        Data files of the hub's data set, in place of the task's.
    revision : str
        Commit of the data set on the hub.
    """

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
        """Name of the suite's task in the task folder."""
        return task_name(self.name)

    def question(self, sample: Mapping[str, Any]) -> str:
        """Return the id of a logged question, by its position in the split."""
        return f"{self.name}-{sample['doc_id']:06d}"

    def is_right(self, sample: Mapping[str, Any], task: Any) -> int:
        """Score one logged question.

        Parameters
        ----------
        sample : mapping
            lmms-eval's log of the question, with the values of the task's metrics.
        task : lmms_eval.api.task.Task
            The suite's task, whose aggregation is used if `correct.aggregate`.

        Returns
        -------
        int
            1 for a correct answer, else 0.

        Raises
        ------
        DataError
            If the task returned none of the metrics, or the value is neither 0 nor 1.
        """
        where = f"suite {self.name}, question {sample['doc_id']}"
        metric = next((name for name in self.correct.metrics if name in sample), None)
        if metric is None:
            wanted = ", ".join(self.correct.metrics)
            raise DataError(f"{where}: the task gave no {wanted}; check `correct.metrics` of the suite")
        value = sample[metric]
        if self.correct.aggregate:
            with contextlib.redirect_stdout(io.StringIO()):  # MMMU's aggregation prints a table
                value = task.aggregation()[metric]([value])
        elif self.correct.key is not None:
            value = value[self.correct.key]
        if value not in (0, 1):
            raise DataError(f"{where}: {metric} is {value!r}, not 0 or 1; check `correct` of the suite")
        return int(value)


def used_suites(settings: PublishedSuites) -> list[PublishedSuite]:
    """Return the suites that the settings choose.

    Parameters
    ----------
    settings : PublishedSuites
        File and names of the suites.

    Returns
    -------
    list of PublishedSuite

    Raises
    ------
    ConfigError
        If the file is invalid, or a name is not a suite of it.
    """
    suites = {suite.name: suite for suite in read_published_suites(settings.file)}
    for name in settings.names or ():
        for line in unknown_name(f"{settings.file}, names", name, suites):
            raise ConfigError(line)
    return [suites[name] for name in (settings.names or suites)]


def read_published_suites(path: str | Path) -> list[PublishedSuite]:
    """Read the suites of a YAML file.

    Parameters
    ----------
    path : str or Path
        A file such as config/suites.yaml.

    Returns
    -------
    list of PublishedSuite

    Raises
    ------
    ConfigError
        If the file is not readable or empty, or a suite is invalid.
    """
    suites = read_yaml(path)
    if not suites:
        raise ConfigError(f"{path}: no suites; a mapping of name to task is expected, as in config/suites.yaml")
    return [
        parse(PublishedSuite, {"name": name} | (values or {}), f"{path}, suite {name}")
        for name, values in suites.items()
    ]


def task_file(suite: PublishedSuite) -> Path:
    """Return the path of a task's YAML file, in lmms-eval or in this package. Raises ConfigError if it is missing."""
    if suite.file.startswith(OWN):
        path = Path(str(files("revision.evaluation.tasks"))) / suite.file.removeprefix(OWN)
    else:
        spec = find_spec("lmms_eval")
        assert spec is not None and spec.submodule_search_locations
        path = Path(spec.submodule_search_locations[0]) / "tasks" / suite.file
    if not path.is_file():
        raise ConfigError(
            f"suite {suite.name}: {path} does not exist; correct `file` or install the version of lmms-eval that has it"
        )
    return path


def task_settings(suite: PublishedSuite) -> dict[str, Any]:
    """Read the settings of a suite's task without running its functions.

    Parameters
    ----------
    suite : PublishedSuite
        The suite.

    Returns
    -------
    dict
        Keys of the task's YAML file, such as dataset_path, dataset_name, dataset_kwargs and test_split, and of the
        files that it includes.

    Raises
    ------
    ConfigError
        If the task's file does not exist.
    """
    settings: dict[str, Any] = {}
    path = task_file(suite)
    while True:
        values = yaml.load(path.read_text(encoding="utf-8"), Loader=_Plain)
        settings = values | settings
        if "include" not in values:
            return settings
        path = path.parent / values["include"]


class _Plain(yaml.SafeLoader):
    """Loads `!function` tags as strings, so that no function is imported."""


_Plain.add_constructor("!function", lambda loader, node: str(node.value))


def write_published(
    suites: Sequence[PublishedSuite],
    folder: str | Path,
    data: str | Path | None = None,
    answer_tokens: int | None = None,
    captions: PhotographCaptions | None = None,
) -> Path:
    """Write the lmms-eval task folder of published suites, atomically.

    Parameters
    ----------
    suites : sequence of PublishedSuite
        The suites.
    folder : str or Path
        Folder to write.
    data : str or Path, optional
        Folder with the questions: a suite with a subfolder of its name reads the Parquet files there. Others read those
        in the hub's cache; without these, `datasets` asks the hub.
    answer_tokens : int, optional
        Longest answer, where a task allows a longer one.
    captions : PhotographCaptions, optional
        Photographs to caption; default: no captioning tasks.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    ConfigError
        If a task is not installed.
    DataError
        If a subfolder of `data` has no Parquet files, or those of the photographs are missing.
    """
    templates = files("revision.evaluation.tasks")
    with atomic_folder(folder) as temporary:
        for suite in suites:
            changes = [suite.change] if suite.change else []
            changes += ["one_image.yaml"] if suite.one_image else []
            includes = []
            for name in changes:
                # lmms-eval would list a file that ends in .yaml as a task of its own.
                includes.append(f"_{name.removesuffix('.yaml')}_yaml")
                (temporary / includes[-1]).write_bytes((templates / name).read_bytes())
            task = {
                "include": [*includes, str(task_file(suite))],
                "task": suite.task,
                **_data_of(suite, data),
                **_shortened(suite, answer_tokens),
            }
            (temporary / f"{suite.name}.yaml").write_text(yaml.safe_dump(task, sort_keys=False), encoding="utf-8")
        write_json(temporary / LISTING, [suite.record() for suite in suites])
        if captions is not None:
            files_of_captions = data_files(captioning_suite(captions), data)
            write_captioning(photographs(files_of_captions, captions), PHOTOGRAPHS, temporary / CAPTIONING)
    return Path(folder)


def captioning_suite(captions: PhotographCaptions) -> PublishedSuite:
    """Return the data set of the photographs to caption as a suite, which is not scored like one."""
    about: dict[str, Any] = {"group": CAPTIONING, "published": "", "correct": Correct(metrics=["coco_CIDEr"])}
    return PublishedSuite(
        name=CAPTIONING, file=captions.file, files=captions.files, revision=captions.revision, **about
    )


def photographs(paths: Sequence[Path], captions: PhotographCaptions) -> pa.Table:
    """Read the photographs to caption from a data set in the layout of lmms-eval's COCO captions.

    Parameters
    ----------
    paths : sequence of Path
        Parquet files with the columns question_id, image and answer (a list of captions).
    captions : PhotographCaptions
        Number of photographs.

    Returns
    -------
    pyarrow.Table
        Columns id, image (in the layout of `datasets.Image`), suite and references; the first rows.

    Raises
    ------
    DataError
        If there are too few photographs.
    """
    tables = [pq.read_table(path, columns=["question_id", "image", "answer"]) for path in paths]
    rows = pa.concat_tables(tables).slice(0, captions.count).to_pylist() if tables else []
    if len(rows) < captions.count:
        raise DataError(
            f"{captions.file}: {len(rows)} photographs in {len(paths)} files, but {captions.count} to caption; "
            "download the data set (`revision preflight` prints the command) or lower `captions.count`"
        )
    return photograph_table((str(row["question_id"]), row["image"], row["answer"]) for row in rows)


def data_files(suite: PublishedSuite, data: str | Path | None = None) -> list[Path]:
    """List the local Parquet files of a suite, in `data` or in the hub's cache.

    Parameters
    ----------
    suite : PublishedSuite
        The suite.
    data : path, optional
        Folder with a subfolder for each suite, in the layout of its data set or without folders.

    Returns
    -------
    list of Path
        The suite's `files`, else those named after the split, else all; empty if there are none.

    Raises
    ------
    ConfigError
        If the task is not installed.
    """
    settings = task_settings(suite)
    folder: Path | None = None if data is None else Path(data) / suite.name
    if folder is None or not folder.is_dir():
        folder = cached_snapshot("dataset", settings["dataset_path"], suite.revision or None)
    if folder is None:
        return []
    for patterns in (suite.files, [f"**/{settings['test_split']}-*.parquet"], ["**/*.parquet"]):
        if paths := [path.absolute() for pattern in patterns for path in sorted(folder.glob(pattern))]:
            return paths
    return []


def _shortened(suite: PublishedSuite, answer_tokens: int | None) -> dict[str, Any]:
    """Return the changed generation settings of a task: no answer is longer than `answer_tokens`."""
    if answer_tokens is None:
        return {}
    settings = task_settings(suite).get("generation_kwargs") or {}
    longest = min(answer_tokens, settings.get("max_new_tokens", answer_tokens))
    return {"generation_kwargs": settings | {"max_new_tokens": longest}}


def _data_of(suite: PublishedSuite, data: str | Path | None) -> dict[str, Any]:
    """Return the changed data settings of a task: no token needed, pinned to a commit, or local."""
    settings, paths = task_settings(suite), [str(path) for path in data_files(suite, data)]
    if paths:
        kwargs: dict[str, Any] = {"data_files": {settings["test_split"]: paths}}
        return {"dataset_path": "parquet", "dataset_name": None, "dataset_kwargs": kwargs}
    if data is not None and (local := Path(data) / suite.name).is_dir():
        raise DataError(f"{local}: no Parquet file; put the questions of {suite.name} there or remove the folder")
    kwargs = {key: value for key, value in (settings.get("dataset_kwargs") or {}).items() if key != "token"}
    name = settings.get("dataset_name")
    if suite.files:
        kwargs["data_files"], name = {settings["test_split"]: suite.files}, None
    if suite.revision:
        kwargs["revision"] = suite.revision
    return {"dataset_name": name, "dataset_kwargs": kwargs}


def is_published(folder: str | Path) -> bool:
    """Whether a task folder was written by `write_published`."""
    return (Path(folder) / LISTING).is_file()


def read_written_suites(folder: str | Path, names: Sequence[str] | None = None) -> list[PublishedSuite]:
    """List the suites of a folder that `write_published` wrote.

    Parameters
    ----------
    folder : str or Path
        The task folder.
    names : sequence of str, optional
        Suites to return, in this order; default: all.

    Returns
    -------
    list of PublishedSuite

    Raises
    ------
    ConfigError
        If a name is not a suite of the folder.
    """
    values = json.loads((Path(folder) / LISTING).read_text(encoding="utf-8"))
    suites = {value["name"]: PublishedSuite(**value) for value in values}
    unknown = sorted(set(names or ()) - set(suites))
    if unknown:
        raise ConfigError(f"{folder}: unknown suite {', '.join(unknown)}; the suites are {', '.join(suites)}")
    return [suites[name] for name in (suites if names is None else names)]


def look_up(folder: str | Path, suite: str, questions: Sequence[str]) -> list[dict[str, Any]]:
    """Look up questions of a suite, to show them in a figure.

    Parameters
    ----------
    folder : str or Path
        A task folder that `write_published` wrote.
    suite : str
        Name of a suite.
    questions : sequence of str
        Ids of questions, as `PublishedSuite.question` returns them.

    Returns
    -------
    list of dict
        Keys text, answer (the correct one) and image (PNG bytes).
    """
    from lmms_eval.tasks import TaskManager, get_task_dict

    manager = TaskManager(include_path=str(folder), include_defaults=False)
    (task,) = get_task_dict([task_name(suite)], manager).values()
    contents = []
    for question in questions:
        doc = task.dataset[task.config.test_split][int(question.rpartition("-")[2])]
        buffer = io.BytesIO()
        task.doc_to_visual(doc)[0].save(buffer, "PNG")
        answer = str(task.doc_to_target(doc))
        contents.append({"text": task.doc_to_text(doc), "answer": answer, "image": buffer.getvalue()})
    return contents
