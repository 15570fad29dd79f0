"""Names of corpus tables and of their columns: written and read back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from revision.config import CaptionSet, TableName
from revision.errors import ConfigError

TABLES = st.sampled_from(["text", "text_long", "probe", "scan_text", "validation_instruct", "synthetic"])
FACTORS = st.sampled_from([1.0, 2.0, 0.1, 8.0, 1.85])


@given(TABLES, st.sampled_from(["image", "short", "long"]), FACTORS)
def test_names_parse_to_the_same_set(table, column, factor):
    captions = CaptionSet(table, column, factor)
    assert CaptionSet.parse(captions.name) == captions
    assert TableName.parse(captions.rows.name) == captions.rows == TableName(table, factor)


@pytest.mark.parametrize(
    ("captions", "name"),
    [
        (CaptionSet("text", "short"), "text_short"),
        (CaptionSet("text", "short", 2.0), "text_2x_short"),
        (CaptionSet("text_long", "image", 0.1), "text_long_0.1x_image"),
    ],
)
def test_name_format(captions, name):
    assert captions.name == name


@pytest.mark.parametrize("name", ["short", "text", "text_middle", "_short", "text_2_short", "Text_short", ""])
def test_invalid_names_raise(name):
    with pytest.raises(ConfigError, match=r"is not a column|is not the name of a corpus table"):
        CaptionSet.parse(name)
