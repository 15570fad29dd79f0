"""Pickle files as plain data: numpy arrays of numbers or text, and Python's own containers.

A pickle may name any function and have it called. Here the few names that numpy's pickles need are bound to functions
of this file, and every other name is refused, so no code of the file is ever run. Memory is not limited: a small file
can ask for much of it, so read only files that you trust that far.
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
    """Stands for a dtype: numpy believes any pickled state of one, even that objects are numbers."""

    def __init__(self, code: str, *_: Any) -> None:
        self.dtype = np.dtype(code)
        if self.dtype.kind not in "biufSU" or self.dtype.subdtype:
            raise pickle.UnpicklingError(f"an array of {self.dtype}; only numbers and text are read")

    def __setstate__(self, state: tuple) -> None:
        self.dtype = self.dtype.newbyteorder(state[1])


class _Array(np.ndarray):
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
        full = f"{module}.{name}".replace("numpy.core.", "numpy._core.")  # as numpy 1 writes them
        if full not in ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is no data and was not run")
        return lambda *arguments: ALLOWED[full](*arguments)  # attributes that the file sets on it are lost


def read_pickle(path: str | Path) -> Any:
    """Read the plain data in a pickle file; code in it is never run.

    Raises
    ------
    DataError
        For a damaged file, and for one that asks for anything but arrays and containers.
    """
    with open(path, "rb") as file:
        try:
            return _DataUnpickler(file).load()
        except Exception as error:  # a damaged pickle raises almost anything
            reason = f"{type(error).__name__}: {error}"[:300]
            raise DataError(f"{path}: not a pickle of plain arrays ({reason!a}); {FIX}") from error
