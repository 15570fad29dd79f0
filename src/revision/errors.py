"""Errors that a user can mend: each message names the place and the next step."""

import errno
import os


class RevisionError(ValueError):
    """Base of every error this package raises on purpose; the command line prints it without a traceback."""


class ConfigError(RevisionError):
    """A configuration key, scale, method or name that does not exist or does not fit."""


class DataError(RevisionError):
    """Data that cannot be used: names the file, the row and the mend."""


FREE, OTHER = "free space, or write to another folder", "check its permissions, or use another folder"
MENDS = {
    errno.ENOSPC: FREE,
    errno.EDQUOT: FREE,
    errno.EFBIG: FREE,
    errno.EROFS: OTHER,
    errno.EACCES: OTHER,
    errno.EPERM: OTHER,
}
"""What to do about the system's refusals to write."""


class DiskError(RevisionError):
    """A file or folder `path` that the system refuses to write; `number` is a key of MENDS."""

    def __init__(self, path: object, number: int) -> None:
        super().__init__(f"{path}: {os.strerror(number)}; {MENDS[number]}. Nothing half written was left there")
        self.number = number


def is_explained(error: Exception) -> bool:
    """Whether `explain` says all that a user needs."""
    return isinstance(error, (RevisionError, OSError)) or _is_out_of_memory(error)


def explain(error: Exception) -> str:
    """An error in one line: place, what is wrong and, where it is known, the mend."""
    if _is_out_of_memory(error):
        return "memory ran out; free memory, or use smaller batches or fewer threads"
    if not isinstance(error, OSError):
        return str(error)
    mend = MENDS.get(error.errno or 0, "check the path, or use another folder")
    return f"{error.filename or 'a file'}: {error.strerror or error}; {mend}"


def _is_out_of_memory(error: Exception) -> bool:
    """Python's and numpy's own error, and torch's on a CPU and on a GPU."""
    words = ("can't allocate memory", "out of memory")
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(word in str(error) for word in words)
    )
