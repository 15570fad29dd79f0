"""The examples in docstrings run and give what they show."""

import doctest
import importlib

import pytest


@pytest.mark.parametrize(
    "module",
    ["revision.align", "revision.align.base", "revision.align.realign", "revision.embeddings.writer"],
)
def test_docstring_examples(module):
    results = doctest.testmod(importlib.import_module(module))
    assert results.attempted > 0
    assert results.failed == 0
