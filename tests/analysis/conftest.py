"""A small working folder like that of the workflow."""

import pytest
from working_folder import SIZES, SPLITS, answers, captions, dose, embeddings, held_out

from revision.data.corpus import write_corpus
from revision.data.scenes import World


@pytest.fixture(scope="session")
def work(tmp_path_factory):
    folder = tmp_path_factory.mktemp("work")
    embeddings(folder)
    held_out(folder)
    answers(folder)
    captions(folder)
    dose(folder)
    (folder / "data").mkdir()
    for table, split in SPLITS.items():
        write_corpus(World(), "captions", split, SIZES[table], folder / f"data/{table}.parquet")
    return folder
