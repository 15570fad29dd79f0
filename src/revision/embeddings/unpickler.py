"""Read pickle files that hold only data: numpy arrays of numbers or text, and Python's own containers.

A pickle can name any function and have it called. Here the few names that pickled numpy arrays need are mapped to
functions of this module and all others are refused, so a file cannot run code. Memory is not limited: a small file can
request a lot of it, so read only files from sources that you trust not to do so.
"""

import pickle
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from revision.errors import DataError

FIX = "export its arrays as .npy or .safetensors, and open it elsewhere only if you trust it"


class _DType:
    """Replacement for a dtype, whose pickled state numpy would trust even where it takes pointers for numbers."""

    def __init__(self, code: str, *_: Any) -> None:
        self.dtype = np.dtype(code)
        if self.dtype.kind not in "biufSU" or self.dtype.subdtype:
            raise pickle.UnpicklingError(f"an array of {self.dtype}; only numbers and text are supported")

    def __setstate__(self, state: tuple) -> None:
        self.dtype = self.dtype.newbyteorder(state[1])


class _Array(np.ndarray):
    """An array whose pickled state refers to a `_DType`."""

    def __setstate__(self, state: Any) -> None:
        version, shape, kind, is_fortran, data = state
        super().__setstate__((version, shape, kind.dtype, is_fortran, data))


def _reconstruct(*_: Any) -> _Array:
    return np.ndarray.__new__(_Array, (0,), np.int8)


def _frombuffer(data: Any, kind: _DType, shape: Any, order: Any) -> np.ndarray:
    return np.frombuffer(data, kind.dtype).reshape(shape, order=order)


def _scalar(kind: _DType, data: Any) -> Any:
    return np.frombuffer(data, kind.dtype)[0]


def _encode(text: str, _: str) -> bytes:
    return text.encode("latin1")


ALLOWED: dict[str, Callable[..., Any]] = {
    "numpy.ndarray": _reconstruct,
    "numpy.dtype": _DType,
    "numpy._core.multiarray._reconstruct": _reconstruct,
    "numpy._core.multiarray.scalar": _scalar,
    "numpy._core.numeric._frombuffer": _frombuffer,
    "_codecs.encode": _encode,
    "collections.OrderedDict": OrderedDict,
}


class _DataUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        full = f"{module}.{name}".replace("numpy.core.", "numpy._core.")  # numpy 1 writes this name
        if full not in ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is not data and was not run")
        # A new function each time, so that a file cannot change the attributes of the functions in ALLOWED.
        return lambda *arguments: ALLOWED[full](*arguments)


def read_pickle(path: str | Path) -> Any:
    """Read the data in a pickle file without running code from it.

    Parameters
    ----------
    path : str or Path
        The file.

    Returns
    -------
    Any
        The data.

    Raises
    ------
    OSError
        If the file cannot be opened.
    DataError
        If the file is damaged, or asks for anything but arrays and containers.
    """
    with open(path, "rb") as file:
        try:
            return _DataUnpickler(file).load()
        except Exception as error:  # a damaged pickle raises almost anything
            reason = f"{type(error).__name__}: {error}"[:300]
            raise DataError(f"{path}: not a pickle of plain arrays ({reason!a}); {FIX}") from error
