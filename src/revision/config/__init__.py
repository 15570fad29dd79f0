"""The typed configuration: one module a topic, `load` for a whole run, `read` for the file that a command takes."""

from revision.config.base import Settings, parse
from revision.config.configuration import Configuration
from revision.config.loading import load, merge, read, read_yaml, scale_file
from revision.config.names import CaptionSet, TableName

__all__ = [
    "CaptionSet", "Configuration", "Settings", "TableName", "load", "merge", "parse", "read", "read_yaml", "scale_file",
]  # fmt: skip
