"""The toy task of colours: its language model is trained once, and each test gets its own copy."""

import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from colour_world import build


@pytest.fixture(scope="session")
def colours(tmp_path_factory):
    folder = tmp_path_factory.mktemp("colours")
    build(folder)
    return folder


@pytest.fixture
def world(colours, tmp_path):
    """A folder with the embeddings, the captions and the LLM; the test may write to it."""
    shutil.copytree(colours, tmp_path, dirs_exist_ok=True)
    return tmp_path
