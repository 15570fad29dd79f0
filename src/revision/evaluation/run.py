"""Score many checkpoints in one process through lmms-eval, whose import alone takes seconds."""

import os
import random
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from revision.config.evaluation import Checkpoint
from revision.encoders.base import Encoder
from revision.errors import ConfigError
from revision.evaluation.captioning import caption_rows, write_captions
from revision.evaluation.images import ImageEmbeddings
from revision.evaluation.published_suites import PublishedSuite, is_published, read_written_suites
from revision.evaluation.suites import CONDITIONS, Suite, captioning_tasks, read_suites
from revision.io.files import atomic_file

ANSWERS = pa.schema(
    {
        "method": pa.string(),
        "encoder": pa.int64(),
        "seed": pa.int64(),
        "suite": pa.string(),
        "group": pa.string(),
        "question": pa.string(),
        "correct": pa.int8(),
        "prediction": pa.string(),
    }
)

AnySuite = Suite | PublishedSuite


def evaluate(
    checkpoints: Sequence[Checkpoint],
    tasks: str | Path,
    encoder: Encoder | str | Path | None,
    answers: str | Path | None,
    *,
    captions: str | Path | None = None,
    suites: Sequence[str] | None = None,
    limit: int | None = None,
    batch_size: int = 512,
    device: str | None = None,
    precision: str = "no",
    progress: Callable[[str], None] | None = None,
) -> pa.Table:
    """Answer the suites of a task folder with every checkpoint, and score the answers by lmms-eval's tasks.

    Parameters
    ----------
    checkpoints : sequence of Checkpoint
        The models and their names in the tables.
    tasks : str or Path
        Task folder of `write_tasks` or `write_published`.
    encoder : Encoder or str or Path or None
        Encoder of the images, or its folder or YAML file; None if all checkpoints are text-only.
    answers : str or Path or None
        Parquet file to write, atomically; None for a task folder that has captioning only.
    captions : str or Path, optional
        Parquet file of scored captions (`captioning.CAPTIONS`) to write, atomically: those of the folder's captioning
        tasks under each condition, a text-only model's without an image only. Default: no captions.
    suites : sequence of str, optional
        Names of suites; default: all.
    limit : int, optional
        Number of questions per suite, and of images to caption, from the first; default: all.
    batch_size : int, default 512
        Questions per call of the model.
    device : str, optional
        A torch device; by default all accelerators, else the CPU.
    precision : {"no", "bf16"}
        "bf16" loads the language models in bfloat16.
    progress : callable, optional
        Receives one line of text per checkpoint.

    Returns
    -------
    pyarrow.Table
        The answers, one row per checkpoint and question: method, encoder, seed, suite, group, question,
        correct (0 or 1), prediction.

    Raises
    ------
    ConfigError
        For invalid settings, before any model is loaded.
    DataError
        If the task folder, a checkpoint or an image is not readable.
    """
    chosen: Sequence[AnySuite]
    if answers is None:
        chosen = []
    else:
        chosen = read_written_suites(tasks, suites) if is_published(tasks) else read_suites(tasks, suites)
    _check(checkpoints, limit)
    captioning = {} if captions is None else captioning_tasks(tasks)
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("LMMS_EVAL_DATASETS_CACHE", _dataset_cache().name)
    images = None if encoder is None else ImageEmbeddings(encoder)
    objects = _load_tasks(Path(tasks), [*(suite.task for suite in chosen), *captioning.values()])
    rows: list[dict[str, Any]] = []
    captioned: list[dict[str, Any]] = []
    for checkpoint in checkpoints:
        results = _score(checkpoint, objects, images, limit, batch_size, device, precision)
        labels = {"method": checkpoint.method, "encoder": checkpoint.encoder, "seed": checkpoint.seed}
        rows += [labels | row for row in _answer_rows(results, chosen, objects)]
        captioned += [labels | row for row in caption_rows(results["samples"], captioning)]
        if progress:
            counted = f"{len(rows)} answers" + (f" and {len(captioned)} captions" if captioning else "")
            progress(f"{checkpoint.method}, encoder {checkpoint.encoder}, seed {checkpoint.seed}: {counted} so far")
    table = pa.Table.from_pylist(rows, schema=ANSWERS)
    if answers is not None:
        with atomic_file(answers) as temporary:
            pq.write_table(table, temporary, write_page_checksum=True)
    if captions is not None:
        write_captions(captions, captioned)
    return table


def _check(checkpoints: Sequence[Checkpoint], limit: int | None) -> None:
    if not checkpoints:
        raise ConfigError("evaluate: no checkpoints given; name at least one")
    names = [f"{one.method} (encoder {one.encoder}, seed {one.seed})" for one in checkpoints]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ConfigError(
            f"evaluate: {', '.join(repeated)} is given twice; method, encoder and seed must identify a checkpoint"
        )
    if limit is not None and limit < 1:
        raise ConfigError(f"evaluate: limit is {limit}; it must be at least 1, or None for all questions")


def _load_tasks(folder: Path, names: Sequence[str]) -> dict[str, Any]:
    """Create lmms-eval's task objects by name, once for all checkpoints."""
    from lmms_eval.tasks import TaskManager, get_task_dict

    manager = TaskManager(include_path=str(folder), include_defaults=False)
    tasks: dict[str, Any] = get_task_dict(list(names), manager)
    for task in tasks.values():
        # lmms-eval iterates over these rows twice per checkpoint, which is much faster with plain dictionaries.
        task.dataset_no_image = {split: rows.to_list() for split, rows in task.dataset_no_image.items()}
    return tasks


def _score(
    checkpoint: Checkpoint,
    tasks: dict[str, Any],
    images: ImageEmbeddings | None,
    limit: int | None,
    batch_size: int,
    device: str | None,
    precision: str,
) -> dict[str, Any]:
    from lmms_eval.evaluator import evaluate as lmms_evaluate

    from revision.evaluation.lmms_model import ReVisionLmms

    model = ReVisionLmms(checkpoint.folder, None, batch_size, device=device, precision=precision, images=images)
    if model.images is None:
        # Without images all conditions are the same.
        alike = [name for condition, name in CONDITIONS.items() if condition != "none"]
        tasks = {name: task for name, task in tasks.items() if name not in alike}
    model.task_dict = {name: task.dataset for name, task in tasks.items()}
    # MMMU's scoring draws a random option for an answer without one.
    random.seed(checkpoint.seed)
    # Scoring needs neither images (process_with_media) nor a bootstrap, and one thread is faster than several.
    return lmms_evaluate(
        model,
        tasks,
        limit=limit,
        bootstrap_iters=0,
        log_samples=True,
        cli_args=SimpleNamespace(process_with_media=False),
        process_docs_parallel=1,
    )


def _answer_rows(
    results: Mapping[str, Any], suites: Sequence[AnySuite], tasks: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    for suite in suites:
        for sample in results["samples"][suite.task]:
            response = sample["filtered_resps"][0]
            yield {
                "suite": suite.name,
                "group": suite.group,
                "question": suite.question(sample),
                "correct": suite.is_right(sample, tasks[suite.task]),
                "prediction": response if isinstance(response, str) else response[0],
            }


@cache
def _dataset_cache() -> tempfile.TemporaryDirectory[str]:
    """Temporary folder for the Arrow copies that `datasets` makes of the tasks, removed at exit."""
    return tempfile.TemporaryDirectory(prefix="revision-evaluation-")
