"""The toy task of colours (tests/mllm), as inputs of the study."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "mllm"))

from colour_world import build


@pytest.fixture(scope="session")
def colours(tmp_path_factory):
    folder = tmp_path_factory.mktemp("colours")
    build(folder)
    return folder
