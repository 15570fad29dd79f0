"""Errors that a user can mend: each message names the place and the next step."""


class RevisionError(ValueError):
    """Base of every error this package raises on purpose; the command line prints it without a traceback."""


class ConfigError(RevisionError):
    """A configuration key, scale, method or name that does not exist or does not fit."""


class DataError(RevisionError):
    """Data that cannot be used: names the file, the row and the mend."""
