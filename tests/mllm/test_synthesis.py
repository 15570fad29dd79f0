"""Captions written by a language model: their first words, their vocabulary, and their dependence on the seed."""

import pandas as pd
import pytest
from typer.testing import CliRunner

from revision.cli import app
from revision.data.corpus import write_corpus
from revision.data.scenes import World
from revision.errors import DataError
from revision.mllm.language_models.trained import LanguageModelSettings, new_llm, word_tokenizer
from revision.mllm.model import ReVisionModel
from revision.mllm.synthesis import SEED_WORDS, synthesise


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("synthesis")
    world = World()
    write_corpus(world, "captions", "text", 60, folder / "text.parquet")
    tokenizer = word_tokenizer(world.vocabulary())
    size = LanguageModelSettings(hidden_size=16, layers=1, heads=2)
    ReVisionModel(new_llm(size, tokenizer, 0), tokenizer, None).save(folder / "llm")
    synthesise(folder / "text.parquet", folder / "llm", folder / "one.parquet", seed=0)
    return folder


def test_texts_continue_the_captions_in_their_vocabulary(made):
    captions, written = pd.read_parquet(made / "text.parquet"), pd.read_parquet(made / "one.parquet")
    assert written.columns.tolist() == ["id", "short"] and written.id.tolist() == captions.id.tolist()
    known = {word for text in captions.short for word in text.split()}
    for caption, text in zip(captions.short, written.short, strict=True):
        start = caption.split()[:SEED_WORDS]  # of a shorter caption, all words
        assert text.split()[: len(start)] == start
        assert set(text.split()) <= known
    assert (written.short != captions.short).mean() > 0.5


def test_texts_depend_only_on_the_seed(made):
    options = ["--llm", made / "llm", "--seed", 0, "--out", made / "again.parquet"]
    arguments = ["synthesise", made / "text.parquet", *options]
    assert CliRunner().invoke(app, list(map(str, arguments))).exit_code == 0
    synthesise(made / "text.parquet", made / "llm", made / "other.parquet", seed=1, rows=20)
    first, again, other = (pd.read_parquet(made / f"{name}.parquet").short for name in ("one", "again", "other"))
    assert first.tolist() == again.tolist() and len(other) == 20
    assert first[:20].tolist() != other.tolist()


def test_a_missing_model_raises(made):
    with pytest.raises(DataError, match="no language model there"):
        synthesise(made / "text.parquet", made / "nowhere", made / "x.parquet", seed=0)
