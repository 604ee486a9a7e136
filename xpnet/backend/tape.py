"""Record what a function of NumPy arrays computes, call by call, so that it can be compiled.

The function is run once with `Recorded` arrays, which note on a `Tape` what is done with them, as
operations on views of a few buffers. What cannot be noted, such as a branch on a number, raises
`NotRecordableError`. Arrays that are made without a recorded one count as constants.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from xpnet.backend.device import CPU

_BY_UFUNCS = (np.sum, np.max, np.min, np.mean, np.clip)  # written in Python, of recorded calls
_CONSTANTS = (np.zeros_like, np.ones_like, np.full_like)
_VIEWS = (np.reshape, np.transpose, np.matrix_transpose, np.squeeze, np.expand_dims,
          np.broadcast_to)  # fmt: skip


class NotRecordableError(Exception):
    """A function does something that has to run in Python each time."""


class View(NamedTuple):
    """An array as a part of a buffer of the tape; offset and strides count elements."""

    buffer: int
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: str


class Operation(NamedTuple):
    """One call. ``name`` is that of a ufunc or its ``.reduce``, ``copy``, ``where`` or ``dot``."""

    name: str
    inputs: tuple[Any, ...]  # views, and Python's numbers
    out: View
    axis: tuple[int, ...] = ()  # of a reduction
    subtracted_times: View | None = None  # a number: so often a product is taken from `out`


class Tape:
    """The operations of one run, and the buffers that they use, in the order of their first use."""

    def __init__(self) -> None:
        self.operations: list[Operation] = []
        self.buffers: list[Any] = []
        self._numbers: dict[int, int] = {}
        self._kept: list[Any] = []  # so that no address is used twice

    def record(self, array: Any) -> Any:
        """Return a view of an array that notes what is done with it."""
        self._number(array)
        own = array.view(Recorded)
        own.tape = self
        return own

    def note(self, name: str, inputs: Sequence[Any], out: Any, axis: tuple[int, ...] = ()) -> Any:
        """Note an operation on plain arrays; return its result as a recorded array."""
        seen = tuple(self.view(each) if isinstance(each, np.ndarray) else each for each in inputs)
        recorded = self.record(out)
        self.operations.append(Operation(name, seen, self.view(out), axis))
        return recorded

    def view(self, array: Any) -> View:
        """Return the place of an array in a buffer."""
        if isinstance(array, Recorded) and _root(array).ctypes.data not in self._numbers:
            raise NotRecordableError("an array came out of a call that cannot be noted")
        number = self._number(array)
        size, start = array.itemsize, _root(array).ctypes.data
        strides = tuple(
            0 if length == 1 else step // size
            for length, step in zip(array.shape, array.strides, strict=True)
        )
        offset = (array.ctypes.data - start) // size
        return View(number, offset, array.shape, strides, array.dtype.name)

    def _number(self, array: Any) -> int:
        root = _root(array)
        self._kept.append(root)
        if root.ctypes.data not in self._numbers:
            self._numbers[root.ctypes.data] = len(self.buffers)
            self.buffers.append(root)
        return self._numbers[root.ctypes.data]


class Recorded(np.ndarray[Any, Any]):
    """An array that notes on a tape what is done with it."""

    tape: Tape

    def __array_finalize__(self, obj: Any) -> None:
        self.tape = getattr(obj, "tape", None)  # type: ignore[assignment]

    def __array_ufunc__(
        self, ufunc: Any, method: str, *inputs: Any, out: Any = None, **options: Any
    ) -> Any:
        given = [_plain(each) for each in inputs]
        options = {k: v for k, v in options.items() if v is not None and v is not np._NoValue}
        target = {} if out is None else {"out": tuple(_plain(each) for each in out)}
        axis = options.get("axis", 0)
        if options.get("where") is True:  # as NumPy's own sum and max give it
            del options["where"]
        if options.keys() - {"axis", "keepdims", "dtype"} or method not in ("__call__", "reduce"):
            raise NotRecordableError(f"{ufunc.__name__} with {', '.join(options)}")
        if method == "reduce" and "axis" not in options:  # None means all, and was left out
            options["axis"] = axis = None
        result = getattr(ufunc, method)(*given, **target, **options)
        plain = target["out"][0] if target else np.asarray(result)
        if method == "__call__":
            name = "dot" if ufunc in (np.matmul, np.vecdot) else ufunc.__name__
            noted = self._tape(inputs, out).note(name, given, plain)
        else:
            axes = range(given[0].ndim) if axis is None else np.atleast_1d(axis)
            places = tuple(int(each) % given[0].ndim for each in axes)
            name = f"{ufunc.__name__}.reduce"
            noted = self._tape(inputs, out).note(name, given, plain, places)
        return noted if out is None else out[0]

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if func is np.dot:
            return self._dot(*args, **kwargs)
        given = [_plain(each) for each in args]
        if func is np.where and len(args) == 3:
            return self._tape(args).note("where", given, np.asarray(func(*given)))
        if func in _VIEWS:
            found = func(*given, **kwargs)
            if np.shares_memory(found, given[0]):
                return self._tape(args).record(found)
            self._tape(args).note("copy", given[:1], found.reshape(given[0].shape))
            return self._tape(args).record(found)
        if func in _CONSTANTS:
            return func(*given, **kwargs)
        if func in _BY_UFUNCS:
            return super().__array_function__(func, types, args, kwargs)
        raise NotRecordableError(getattr(func, "__name__", str(func)))

    def _dot(self, a: Any, b: Any, out: Any = None) -> Any:
        plain = [_plain(a), _plain(b)]
        result = np.asarray(np.dot(plain[0], plain[1], out=None if out is None else _plain(out)))
        noted = self._tape((a, b, out)).note("dot", plain, result)
        return noted if out is None else out

    def _tape(self, *arrays: Any) -> Tape:
        every = [each for some in arrays if some is not None for each in some]
        return next(each.tape for each in every if isinstance(each, Recorded))

    def astype(  # type: ignore[override]
        self, dtype: Any, *_: Any, copy: bool = True, **__: Any
    ) -> Any:
        """Note the conversion, or the copy."""
        if np.dtype(dtype) == self.dtype and not copy:
            return self
        return self.tape.note("copy", [_plain(self)], _plain(self).astype(dtype))

    def __setitem__(self, key: Any, value: Any) -> None:
        target = _plain(self)[key]
        _plain(self)[key] = _plain(value)
        self.tape.note("copy", [_plain(value)], target)

    def _branch(self, *_: Any) -> Any:
        raise NotRecordableError("a number is read from an array")

    __bool__ = __float__ = __int__ = __index__ = item = tolist = _branch


RECORDING = replace(
    CPU, matmul=np.dot, vecdot=np.dot, block=1 << 62,
    matmul_into=lambda out, a, b: np.dot(a, b, out),
)  # fmt: skip
"""The CPU, for networks of recorded arrays."""


def _plain(value: Any) -> Any:
    return value.view(np.ndarray) if isinstance(value, Recorded) else value


def _root(array: Any) -> Any:
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array
