"""The second domain as a corpus table, and the fraction of non-visual words."""

import pytest

from revision.data.corpus import read_columns, write_corpus
from revision.data.scenes import World, nonvisual_share
from revision.errors import ConfigError


def test_corpus_of_the_second_domain_has_separate_ids_and_words(tmp_path):
    write_corpus(World(), "captions", "probe", 20, tmp_path / "general.parquet")
    write_corpus(World(), "captions", "probe", 20, tmp_path / "scan.parquet", "scan")
    general, scan = (read_columns(tmp_path / f"{name}.parquet", ["id", "short"]) for name in ("general", "scan"))
    assert not set(general["id"]) & set(scan["id"]) and scan["id"][3] == "scan-probe-000000003"
    words = {word for text in scan["short"] for word in text.split()}
    assert words & {"nodule", "fracture", "cyst"} and not words & {"circle", "square", "star"}


def test_invalid_domains_are_reported(tmp_path):
    with pytest.raises(ConfigError, match="unknown domain 'x-ray'"):
        write_corpus(World(), "captions", "probe", 5, tmp_path / "a.parquet", "x-ray")
    with pytest.raises(ConfigError, match="only captions exist in the domain 'scan'"):
        write_corpus(World(), "instructions", "probe", 5, tmp_path / "a.parquet", "scan")


@pytest.mark.parametrize(
    ("text", "domain", "fraction"),
    [
        ("a red star in the sea", "general", 0),
        ("nobody knows why . a red star", "general", 3 / 6),
        ("perfect for a gift . a red star . it feels calm and hopeful", "general", 9 / 12),
        ("a dense cyst . history of surgery", "scan", 3 / 6),
        ("nobody knows why . a dense cyst", "scan", 0),
    ],
)
def test_nonvisual_share_is_the_fraction_of_words_in_phrases(text, domain, fraction):
    assert nonvisual_share(text, domain) == pytest.approx(fraction)


def test_only_long_captions_have_nonvisual_phrases():
    world = World()
    scenes = world.scenes("probe", 0, 50)
    assert not any(nonvisual_share(text) for text in world.captions(scenes, "short"))
    assert any(nonvisual_share(text) for text in world.captions(scenes, "long"))


def test_unknown_kind_and_zero_rows_are_reported(tmp_path):
    with pytest.raises(ConfigError, match="corpus kind 'poems' does not exist; the kinds are captions"):
        write_corpus(World(), "poems", "probe", 5, tmp_path / "a.parquet")
    with pytest.raises(ConfigError, match="count is 0; request at least 1 row"):
        write_corpus(World(), "captions", "probe", 0, tmp_path / "a.parquet")
    assert list(tmp_path.iterdir()) == []
