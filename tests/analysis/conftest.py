"""A small working folder like that of the workflow."""

import pytest
from working_folder import SIZES, answers, dose, embeddings, held_out

from revision.data.corpus import write_corpus
from revision.data.scenes import World


@pytest.fixture(scope="session")
def work(tmp_path_factory):
    folder = tmp_path_factory.mktemp("work")
    embeddings(folder)
    held_out(folder)
    answers(folder)
    dose(folder)
    (folder / "data").mkdir()
    write_corpus(World(), "captions", "probe", SIZES["probe"], folder / "data/probe.parquet")
    return folder
