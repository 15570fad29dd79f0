"""Typed configuration: one module per topic; `load` reads a whole run, `read` the settings file of one command."""

from revision.config.base import Settings, parse
from revision.config.configuration import Configuration
from revision.config.loading import load, merge, read, read_yaml, scale_file
from revision.config.names import CaptionSet, TableName

__all__ = [
    "CaptionSet",
    "Configuration",
    "Settings",
    "TableName",
    "load",
    "merge",
    "parse",
    "read",
    "read_yaml",
    "scale_file",
]
