"""Errors that a user can fix; `main` prints them, and OSError, in one line without a traceback."""


class RevisionError(ValueError):
    """Base of every error that this package raises on purpose: location, reason and fix in one message."""


class ConfigError(RevisionError):
    """A configuration key, scale, method or name that does not exist or does not fit."""


class DataError(RevisionError):
    """Data that cannot be used: names the file and the row."""
