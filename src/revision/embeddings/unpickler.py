"""Pickle files as plain data: numpy arrays and containers. A pickle can run any program when read; this reader can't.

The names that numpy's own pickles use are bound to small checked stand-ins; whatever else a file asks for is refused by
name. A look at the opcodes beforehand refuses what would take memory or time beyond the file's size.
"""

import mmap
import pickle
import pickletools
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from revision.errors import DataError

SIMPLE_KINDS = "biufSU"  # bool, integers, floats, text: no objects, no records, whose states numpy does not check
SAID = 300  # characters of a library's message that are repeated
MEND = "do not open it elsewhere unless you trust it; export the arrays as .npy or .safetensors instead"


def read_pickle(path: str | Path) -> Any:
    """The plain data in a pickle file; raises DataError that names what it refused. Nothing in the file is ever run."""
    try:
        with open(path, "rb") as handle, mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) as data:
            _refuse_bombs(data)
            data.seek(0)
            return _PlainUnpickler(data).load()
    except OSError:
        raise
    except Exception as error:  # a damaged pickle raises almost anything
        said = f"{type(error).__name__}: {error}"[:SAID]
        raise DataError(f"{path}: not a pickle of plain arrays ({said!a}); {MEND}") from error


def _refuse_bombs(data: mmap.mmap) -> None:
    """Raise for opcodes that a few bytes of make gigabytes or hours of.

    A memo index allocates that many places. A tuple that holds one tuple twice, that one another twice, and so on is
    hashed as a key in time 2^depth.
    """
    tuples, puts, before = set(), 0, ""
    for opcode, argument, position in pickletools.genops(data):  # type: ignore[arg-type]
        name, number = opcode.name, argument if isinstance(argument, int) else 0
        position = position or 0
        if name in ("DUP", "FROZENSET"):
            raise pickle.UnpicklingError(f"opcode {name} at byte {position} is in no pickle of arrays")
        if name in ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"):
            index = puts if name == "MEMOIZE" else number
            if index > position:
                raise pickle.UnpicklingError(f"memo index {index} at byte {position} is larger than any pickler writes")
            puts += 1
            if before.startswith(("TUPLE", "POP")):
                tuples.add(index)
        elif name in ("GET", "BINGET", "LONG_BINGET") and number in tuples:
            raise pickle.UnpicklingError(f"a tuple is repeated at byte {position}")
        before = name


class _Name:
    """A name that a pickle may use: nothing can be set on it, and calling it does only what it says."""

    __slots__ = ("_call",)
    _call: Callable[..., Any]

    def __init__(self, call: Callable[..., Any]) -> None:
        object.__setattr__(self, "_call", call)

    def __call__(self, *arguments: Any) -> Any:
        return self._call(*arguments)

    def __setattr__(self, name: str, value: Any) -> None:
        raise pickle.UnpicklingError(f"it sets {name!r:.40} on a function")


class _Type:
    """A numpy dtype in the making; only byte order and width of the state are used."""

    def __init__(self, code: Any, *_: Any) -> None:
        if not isinstance(code, str | bytes):
            raise pickle.UnpicklingError("a dtype is not named by a text")
        self.dtype = np.dtype(code if isinstance(code, str) else code.decode("ascii"))
        if self.dtype.kind not in SIMPLE_KINDS or self.dtype.names or self.dtype.subdtype:
            raise pickle.UnpicklingError(f"an array of dtype {self.dtype!s:.40}; only plain numbers and texts are read")

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, tuple) or len(state) < 5 or any(part is not None for part in state[2:5]):
            raise pickle.UnpicklingError("a dtype with fields")
        order = state[1].decode("ascii") if isinstance(state[1], bytes) else state[1]
        self.dtype = self.dtype.newbyteorder(">" if order == ">" else "<" if order == "<" else "|")


class _Array(np.ndarray):
    """An empty array whose state may be set to numbers that the file really holds."""

    def __setstate__(self, state: Any) -> None:
        _, shape, kind, fortran, data = state
        dtype = _simple(kind)
        if isinstance(data, str):
            data = data.encode("latin1")
        if not isinstance(data, bytes | bytearray):
            raise pickle.UnpicklingError("an array whose numbers are no bytes")
        whole: Any = (1, _shape(shape, dtype, len(data)), dtype, bool(fortran), bytes(data))
        super().__setstate__(whole)


def _simple(kind: Any) -> np.dtype:
    if not isinstance(kind, _Type):
        raise pickle.UnpicklingError("an array without a dtype")
    return kind.dtype


def _shape(shape: Any, dtype: np.dtype, size: int) -> tuple[int, ...]:
    """The shape, if that many numbers are there."""
    if not isinstance(shape, tuple) or not all(type(side) is int and 0 <= side <= size for side in shape):
        raise pickle.UnpicklingError(f"an array of shape {shape!r:.60} on {size} bytes")
    if int(np.prod(shape, dtype=object)) * dtype.itemsize != size:
        raise pickle.UnpicklingError(f"an array of shape {shape!r:.60} and dtype {dtype} on {size} bytes")
    return shape


def _reconstruct(_kind: Any, _shape: Any, _code: Any) -> _Array:
    return np.ndarray.__new__(_Array, (0,), np.int8)


def _frombuffer(data: Any, kind: Any, shape: Any, order: Any) -> np.ndarray:
    dtype = _simple(kind)
    if not isinstance(data, bytes | bytearray) or order not in ("C", "F"):
        raise pickle.UnpicklingError("an array whose numbers are no bytes")
    return np.frombuffer(data, dtype).reshape(_shape(shape, dtype, len(data)), order=order)


def _scalar(kind: Any, data: Any) -> Any:
    dtype = _simple(kind)
    raw = data.encode("latin1") if isinstance(data, str) else data
    if not isinstance(raw, bytes) or len(raw) != dtype.itemsize or not raw:
        raise pickle.UnpicklingError("a number whose width is not its dtype's")
    return np.frombuffer(raw, dtype)[0]


def _encode(text: Any, encoding: Any) -> bytes:
    if encoding not in ("latin1", "latin-1") or not isinstance(text, str):
        raise pickle.UnpicklingError(f"text in encoding {encoding!r:.40}")
    return text.encode("latin1")


def _never(*_: Any) -> None:
    raise pickle.UnpicklingError("it builds an array without numbers")


def _ordered(*arguments: Any) -> OrderedDict:
    if any(type(value) not in (list, dict) for value in arguments):
        raise pickle.UnpicklingError("an ordered dictionary out of no list of pairs")
    return OrderedDict(*arguments)


ALLOWED = {
    ("numpy", "ndarray"): _Name(_never),
    ("numpy", "dtype"): _Name(_Type),
    ("_codecs", "encode"): _Name(_encode),
    ("collections", "OrderedDict"): _Name(_ordered),
} | {
    (f"{package}.{module}", name): _Name(call)
    for package in ("numpy.core", "numpy._core")
    for module, name, call in (
        ("multiarray", "_reconstruct", _reconstruct),
        ("multiarray", "scalar", _scalar),
        ("numeric", "_frombuffer", _frombuffer),
    )
}


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module:.60}.{name:.60}, which is no data and was not run")
        return ALLOWED[module, name]
