"""One task folder and one scored run, shared by the tests, since importing lmms-eval takes seconds."""

import sys
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pyarrow.parquet as pq
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from fakes import COUNT, FakeEncoder, FakeModel, FakeWorld


@contextmanager
def without_weights():
    """Replace the real model by FakeModel within the block; tests of other folders need the real one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HUB_OFFLINE", "1")
        patch.setattr("revision.mllm.model.ReVisionModel", FakeModel)
        yield


@pytest.fixture(autouse=True)
def fake_model():
    with without_weights():
        yield


@pytest.fixture(scope="session")
def tasks(tmp_path_factory):
    from revision.evaluation.suites import write_tasks

    return write_tasks(FakeWorld(), tmp_path_factory.mktemp("evaluation") / "tasks", COUNT)


@pytest.fixture(scope="session")
def run(tasks, tmp_path_factory):
    from revision.evaluation.run import Checkpoint, evaluate

    folder = tmp_path_factory.mktemp("run")
    encoder = FakeEncoder()
    checkpoints = [
        Checkpoint("perfect", 0, 0, Path("perfect")),
        Checkpoint("perfect", 0, 1, Path("perfect")),
        Checkpoint("yes", 0, 0, Path("yes")),
        Checkpoint("blind", 0, 0, Path("blind")),
    ]
    with without_weights():
        evaluate(checkpoints, tasks, encoder, folder / "answers.parquet", batch_size=7)
    return SimpleNamespace(
        answers=pq.read_table(folder / "answers.parquet").to_pandas(),
        encoder=encoder,
        folder=folder,
    )
