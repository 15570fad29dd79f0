"""Errors that a user can fix. The command line prints them, as it does OSError, in one line without a traceback."""


class RevisionError(ValueError):
    """Base class of all errors that this package raises deliberately; messages state location, reason and fix."""


class ConfigError(RevisionError):
    """An invalid configuration, parameter or name."""


class DataError(RevisionError):
    """Data that cannot be used; messages name the file and, where there is one, the row."""
