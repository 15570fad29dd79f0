"""Names of corpus tables, `<table>[_<n>x]`, and of their columns, `<table>[_<n>x]_<column>`."""

import re
from dataclasses import dataclass
from typing import Self

from revision.errors import ConfigError

FACTOR = r"(?:_[0-9.]+x)?"
COLUMN = r"image|short|long|full"


@dataclass(frozen=True)
class TableName:
    """A corpus table with `factor` times the rows of the configuration."""

    table: str
    factor: float = 1.0

    @property
    def name(self) -> str:
        """The name, such as `text` or `text_0.1x`."""
        return self.table if self.factor == 1 else f"{self.table}_{self.factor:g}x"

    @classmethod
    def parse(cls, name: str) -> Self:
        """Parse a name such as `text_2x`. Raises ConfigError if it is not the name of a corpus table."""
        match = re.fullmatch(r"([a-z_]+?)(?:_([0-9.]+)x)?", name)
        if match is None:
            raise ConfigError(f"{name!r} is not the name of a corpus table; give one such as text or text_2x")
        return cls(match[1], float(match[2] or 1))


@dataclass(frozen=True)
class CaptionSet:
    """One column of a corpus table: the rows of an embedding set, or the captions of a variant."""

    table: str
    column: str
    factor: float = 1.0

    @property
    def name(self) -> str:
        """The name, such as `text_short` or `text_2x_short`."""
        return f"{self.rows.name}_{self.column}"

    @property
    def rows(self) -> TableName:
        """The table, without the column."""
        return TableName(self.table, self.factor)

    @classmethod
    def parse(cls, name: str) -> Self:
        """Parse a name such as `text_2x_short`. Raises ConfigError if it is not the name of a column."""
        table, _, column = name.rpartition("_")
        if not table or not re.fullmatch(COLUMN, column):
            raise ConfigError(
                f"{name!r} is not a column of a corpus table; give one such as text_short or text_2x_long"
            )
        rows = TableName.parse(table)
        return cls(rows.table, column, rows.factor)
