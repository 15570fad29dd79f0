"""The working folder of planted faults: built once, copied for every fault."""

import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from planting import build


@pytest.fixture(scope="session")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    build(folder)
    return folder


@pytest.fixture
def work(whole, tmp_path, monkeypatch):
    """A fresh copy of the working folder; the test runs in it."""
    folder = tmp_path / "work"
    shutil.copytree(whole, folder)
    monkeypatch.chdir(folder)
    return folder
