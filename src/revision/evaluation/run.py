"""Score many checkpoints in one process through lmms-eval, whose import alone takes many seconds."""

import os
import random
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from revision.config.evaluation import Checkpoint
from revision.errors import ConfigError
from revision.evaluation.images import ImageEmbeddings, ImageEncoder
from revision.evaluation.published import PublishedSuite, is_published, listed
from revision.evaluation.suites import ALL, Suite, read_suites, task_name
from revision.io.files import atomic_file

EVERY = "all"
"""Stands for every suite (of a group) or every group in the column of that name."""
_LABELS = {"method": pa.string(), "seed": pa.int64(), "suite": pa.string(), "group": pa.string()}
SCORES = pa.schema({**_LABELS, "metric": pa.string(), "value": pa.float64(), "n": pa.int64()})
ANSWERS = pa.schema({**_LABELS, "question": pa.string(), "correct": pa.int8(), "prediction": pa.string()})


AnySuite = Suite | PublishedSuite


def evaluate(
    checkpoints: Sequence[Checkpoint],
    tasks: str | Path,
    encoder: ImageEncoder | str | Path | None,
    scores: str | Path,
    answers: str | Path,
    *,
    suites: Sequence[str] | None = None,
    limit: int | None = None,
    batch_size: int = 512,
    device: str | None = None,
    precision: str = "no",
    progress: Callable[[str], None] | None = None,
) -> pa.Table:
    """Score every checkpoint on the suites of the folder `tasks` and write two parquet tables, atomically.

    `scores` has one row a number: method, seed, suite, group, metric, value, n (questions). Rows with suite "all" are
    lmms-eval's unweighted means of accuracy over the suites of a group, and of all suites where the group is "all" too;
    they are left out if `suites` picks some suites. Published suites (revision.evaluation.published) have a row `score`
    too, from 0 to 100, and their group rows are means of the suites that were scored.
    `answers` has one row a question: method, seed, suite, group, question, correct (0 or 1), prediction.
    `device` is a torch device or None for the accelerators that there are, else the CPU; `precision` bf16 loads the
    language models in bfloat16.
    `encoder` may be None if all checkpoints are text-only; `limit` takes the first questions of every suite only.
    Returns the table of scores. Raises ConfigError or DataError for settings or data that do not fit, and DataError
    naming file and row for an image that can't be read.
    """
    published = is_published(tasks)
    chosen: Sequence[AnySuite] = listed(tasks, suites) if published else read_suites(tasks, suites)
    _check(checkpoints, limit)
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("LMMS_EVAL_DATASETS_CACHE", _dataset_cache().name)
    images = None if encoder is None else ImageEmbeddings(encoder)
    score_rows: list[dict[str, Any]] = []
    answer_rows: list[dict[str, Any]] = []
    with _quiet():
        task_tree = _load_tasks(Path(tasks), chosen, suites is None and not published)
        objects = dict(_leaves(task_tree))
        for checkpoint in checkpoints:
            results = _score(checkpoint, task_tree, images, limit, batch_size, device, precision)
            labels = {"method": checkpoint.method, "seed": checkpoint.seed}
            answered = list(_answer_rows(results, chosen, objects))
            numbers = list(_score_rows(results, chosen))
            if published:
                numbers += _percent_rows(results, chosen, answered)
            score_rows += [{**labels, **row} for row in numbers]
            answer_rows += [{**labels, **row} for row in answered]
            if progress:
                progress(f"{checkpoint.method}, seed {checkpoint.seed}: {len(answer_rows)} answers so far")
    table = pa.Table.from_pylist(score_rows, schema=SCORES)
    for path, content in ((answers, pa.Table.from_pylist(answer_rows, schema=ANSWERS)), (scores, table)):
        with atomic_file(path) as temporary:
            pq.write_table(content, temporary, write_page_checksum=True)
    return table


def _check(checkpoints: Sequence[Checkpoint], limit: int | None) -> None:
    if not checkpoints:
        raise ConfigError("evaluate: no checkpoints given; name at least one")
    names = [(checkpoint.method, checkpoint.seed) for checkpoint in checkpoints]
    twice = sorted({f"{method} (seed {seed})" for method, seed in names if names.count((method, seed)) > 1})
    if twice:
        raise ConfigError(f"evaluate: {', '.join(twice)} is given twice; method and seed must identify a checkpoint")
    if limit is not None and limit < 1:
        raise ConfigError(f"evaluate: limit is {limit}; it must be at least 1, or None for all questions")


def _load_tasks(folder: Path, suites: Sequence[AnySuite], groups: bool) -> dict[Any, Any]:
    """Make lmms-eval's task objects once: the tree of groups, or bare tasks if only some suites are wanted."""
    from lmms_eval.tasks import TaskManager, get_task_dict

    manager = TaskManager(include_path=str(folder), include_defaults=False)
    wanted: list[Any] = [ALL] if groups else [suite.task for suite in suites]
    tree = get_task_dict(wanted, manager)
    for _, task in _leaves(tree):
        # lmms-eval walks over these rows twice a checkpoint; plain dictionaries make that cheap.
        task.dataset_no_image = {split: rows.to_list() for split, rows in task.dataset_no_image.items()}
    return tree


def _score(
    checkpoint: Checkpoint,
    task_tree: Mapping[Any, Any],
    images: ImageEmbeddings | None,
    limit: int | None,
    batch_size: int,
    device: str | None,
    precision: str,
) -> dict[str, Any]:
    from lmms_eval.evaluator import evaluate as lmms_evaluate

    from revision.evaluation.lmms_model import ReVisionLmms

    model = ReVisionLmms(checkpoint.folder, None, batch_size, device=device, precision=precision, images=images)
    model.task_dict = {name: task.dataset for name, task in _leaves(task_tree)}
    # MMMU's scoring draws an option where an answer names none: from the same seed at every run.
    random.seed(checkpoint.seed)
    # Scoring reads no pictures (process_with_media), needs no bootstrap, and one thread is faster than four here.
    return lmms_evaluate(
        model,
        task_tree,
        limit=limit,
        bootstrap_iters=0,
        log_samples=True,
        cli_args=SimpleNamespace(process_with_media=False),
        process_docs_parallel=1,
    )


def _leaves(tree: Mapping[Any, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from _leaves(value)
        else:
            yield name, value


def _score_rows(results: Mapping[str, Any], suites: Sequence[AnySuite]) -> Iterator[dict[str, Any]]:
    n = {suite.name: results["n-samples"][suite.task]["effective"] for suite in suites}
    for suite in suites:
        place = {"suite": suite.name, "group": suite.group}
        yield from _numbers(results["results"][suite.task], place, n[suite.name])
    groups = list(dict.fromkeys(suite.group for suite in suites))
    for group, task in [*((group, task_name(group)) for group in groups), (EVERY, ALL)]:
        if task in results.get("groups", {}):
            total = sum(n[suite.name] for suite in suites if group in (suite.group, EVERY))
            yield from _numbers(results["groups"][task], {"suite": EVERY, "group": group}, total)


def _numbers(found: Mapping[str, Any], place: dict[str, str], n: int) -> Iterator[dict[str, Any]]:
    for key, value in sorted(found.items()):
        metric = key.split(",")[0]
        if "," in key and "_stderr" not in metric and isinstance(value, int | float):
            yield {**place, "metric": metric, "value": float(value), "n": n}


def _percent_rows(
    results: Mapping[str, Any], suites: Sequence[AnySuite], answered: Sequence[Mapping[str, Any]]
) -> Iterator[dict[str, Any]]:
    """Accuracy and score of each published suite, and their unweighted means over groups and over all."""
    means: dict[str, list[tuple[float, float, int]]] = {}
    for suite in suites:
        assert isinstance(suite, PublishedSuite)
        right = [row["correct"] for row in answered if row["suite"] == suite.name]
        accuracy = sum(right) / len(right)
        found = {row["metric"]: row["value"] for row in _numbers(results["results"][suite.task], {}, 0)}
        numbers = (accuracy, suite.percent(found, accuracy), len(right))
        place = {"suite": suite.name, "group": suite.group}
        for metric, value in zip(("accuracy", "score"), numbers, strict=False):
            if metric not in found:
                yield {**place, "metric": metric, "value": value, "n": len(right)}
        for group in (suite.group, EVERY):
            means.setdefault(group, []).append(numbers)
    for group, rows in means.items():
        n = sum(row[2] for row in rows)
        for column, metric in enumerate(("accuracy", "score")):
            value = sum(row[column] for row in rows) / len(rows)
            yield {"suite": EVERY, "group": group, "metric": metric, "value": value, "n": n}


def _answer_rows(
    results: Mapping[str, Any], suites: Sequence[AnySuite], tasks: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    for suite in suites:
        for sample in results["samples"][suite.task]:
            said = sample["filtered_resps"][0]
            yield {
                "suite": suite.name,
                "group": suite.group,
                "question": suite.question(sample),
                "correct": suite.is_right(sample, tasks[suite.task]),
                "prediction": said if isinstance(said, str) else said[0],
            }


@cache
def _dataset_cache() -> tempfile.TemporaryDirectory[str]:
    """Folder for the Arrow copies that `datasets` makes of the tasks; it goes when the process ends."""
    return tempfile.TemporaryDirectory(prefix="revision-evaluation-")


@contextmanager
def _quiet() -> Iterator[None]:
    """Switch the progress bars of datasets, transformers and lmms-eval off: two a suite and checkpoint otherwise."""
    import datasets
    import lmms_eval.api.task
    import lmms_eval.evaluator
    from transformers.utils import logging as transformers_logging

    modules = (lmms_eval.api.task, lmms_eval.evaluator)
    bars = [module.tqdm for module in modules]
    datasets_shown = not datasets.are_progress_bars_disabled()
    transformers_shown = transformers_logging.is_progress_bar_enabled()
    try:
        datasets.disable_progress_bars()
        transformers_logging.disable_progress_bar()
        for module, bar in zip(modules, bars, strict=True):
            module.tqdm = partial(_hidden, bar)
        yield
    finally:
        for module, bar in zip(modules, bars, strict=True):
            module.tqdm = bar
        if transformers_shown:
            transformers_logging.enable_progress_bar()
        if datasets_shown:
            datasets.enable_progress_bars()


def _hidden(bar: Callable[..., Any], *arguments: Any, **settings: Any) -> Any:
    return bar(*arguments, **{**settings, "disable": True})
