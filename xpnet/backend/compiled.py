"""Compile a recorded step to a function that takes many: loops by numba, products by NumPy's BLAS.

`Source` turns a tape into the text of a function; `load` compiles it once, and keeps the result in
the user's cache folder. Operations on arrays of the same shape share a loop, so that most of their
results never leave the processor.
"""

import ctypes
import hashlib
import importlib.util
import math
import os
import sys
import tempfile
from collections.abc import Callable, Iterable
from functools import cache
from itertools import chain, count, groupby, product
from pathlib import Path
from typing import Any

import numpy as np

from xpnet.backend.files import atomic_write
from xpnet.backend.tape import NotRecordableError, Operation, Tape, View

ROW_MAJOR = 101  # in BLAS
SMALL_PRODUCT = 1_000  # multiplications; above, BLAS is faster than a loop
# Written so that NaN goes through, as in NumPy.
_LARGER = "({0} if {0} > {1} or {0} != {0} else {1})"
_FORMS = {
    "add": "({} + {})", "subtract": "({} - {})", "multiply": "({} * {})", "divide": "({} / {})",
    "true_divide": "({} / {})", "negative": "(-{})", "positive": "{}", "absolute": "abs({})",
    "maximum": _LARGER, "minimum": _LARGER.replace(">", "<"), "square": "({0} * {0})",
    "reciprocal": "(1 / {})", "copy": "{}", "where": "({1} if {0} else {2})",
    "clip": "min(max({}, {}), {})", "power": "({} ** {})",
    "greater": "({} > {})", "less": "({} < {})", "greater_equal": "({} >= {})",
    "less_equal": "({} <= {})", "equal": "({} == {})", "not_equal": "({} != {})",
    "logical_and": "({} and {})", "logical_or": "({} or {})", "logical_not": "(not {})",
    "bitwise_and": "({} & {})", "bitwise_or": "({} | {})", "bitwise_xor": "({} ^ {})",
    "left_shift": "({} << {})", "right_shift": "({} >> {})", "sign": "np.sign({})",
} | {
    name: f"math.{name}({{}})"
    for name in ("exp", "log", "log1p", "expm1", "tanh", "sqrt", "sin", "cos", "tan", "sinh",
                 "cosh", "floor", "ceil")
}  # fmt: skip
_REDUCTIONS = {"add.reduce": ("0", "{0} + {1}"), "maximum.reduce": ("-np.inf", _LARGER),
               "minimum.reduce": ("np.inf", _LARGER.replace(">", "<"))}  # fmt: skip
_LETTERS = "ijkl"

_HEADER = """\
import math

import numba
import numpy as np
from numba import types

{product}


@numba.njit(cache=True, error_model="numpy", boundscheck=False, nogil=True,
            fastmath={"contract", "reassoc", "nsz", "arcp"})
"""


class NoCompilerError(NotRecordableError):
    """No compiler is installed."""


class Source:
    """The text of a function that takes many steps, and the scratch arrays that it needs, by dtype.

    Buffers of the tape in `kept`, such as parameters, become arguments. All others, such as the
    step's inputs and constants, are parts of one scratch array for each dtype.
    """

    def __init__(self, tape: Tape, kept: Iterable[Any], product: str) -> None:
        self._tape, self._header = tape, _HEADER.replace("{product}", product)
        self._kept = [tape.view(each).buffer for each in kept]
        self._lines: list[str] = []
        self._places = dict[int, int]()  # of buffers in their scratch array
        sizes = dict.fromkeys(("float32", "float64", "int64", "bool"), 0)
        for number, buffer in enumerate(tape.buffers):
            if number not in self._kept:
                kind = buffer.dtype.name
                if kind not in sizes:
                    raise NotRecordableError(f"an array of {kind}")
                self._places[number] = sizes[kind]
                sizes[kind] += -(-buffer.size // 16) * 16
        self.scratch = {kind: np.zeros(max(size, 1), kind) for kind, size in sizes.items()}
        made = {each.out.buffer for each in tape.operations}
        for number, place in self._places.items():
            buffer = tape.buffers[number]
            if number not in made:  # an input, which is overwritten, or a constant
                own = self.scratch[buffer.dtype.name]
                own[place : place + buffer.size] = buffer.reshape(-1)
        operations = _fold_products(tape.operations)
        self.writes_gradients = operations is tape.operations  # or else not the large ones
        self._body(_groups(operations))

    def place(self, array: Any) -> int:
        """Return where the numbers of an input begin in the scratch array of its dtype."""
        return self._start(self._tape.view(array))

    def entry(self, array: Any) -> str:
        """Return the text of a 0-d result."""
        return self._entry(self._tape.view(array), "")

    def text(self, parameters: str, prologue: Iterable[str], epilogue: Iterable[str]) -> str:
        """Return the function: a loop over ``s`` from ``begin``, ``count`` times."""
        kept = "".join(f", p{i}" for i in range(len(self._kept)))
        lines = [*prologue, *self._lines, *epilogue]
        return (
            f"{self._header}def steps(float32, float64, int64, bool_{kept}, {parameters}):\n"
            "    for s in range(begin, begin + count):\n"
            + "".join(f"        {line}\n" for line in lines)
        )

    def _body(self, groups: list[list[Operation]]) -> None:
        readers: dict[int, set[int]] = {}
        for number, group in enumerate(groups):
            for view in _views(chain.from_iterable(each.inputs for each in group)):
                readers.setdefault(view.buffer, set()).add(number)
        for number, group in enumerate(groups):
            if group[0].name == "dot":
                self._dot(group[0])
            elif group[0].name in _REDUCTIONS:
                self._reduce(group[0])
            else:
                self._map(group, number, readers)

    def _name(self, view: View) -> str:
        if view.buffer in self._kept:
            return f"p{self._kept.index(view.buffer)}"
        return "bool_" if view.dtype == "bool" else view.dtype

    def _start(self, view: View) -> int:
        return self._places.get(view.buffer, 0) + view.offset

    def _entry(self, view: View, letters: str) -> str:
        """Return the text of an array's entry at the loops' indices, broadcast."""
        terms = [str(self._start(view))]
        used = letters[len(letters) - len(view.shape) :]
        for letter, step in zip(used, view.strides, strict=True):
            if step:
                terms.append(letter if step == 1 else f"{letter} * {step}")
        return f"{self._name(view)}[{' + '.join(terms)}]"

    def _loop(self, sizes: dict[str, int], line: str) -> None:
        """Write a line within loops over letters, the first one outermost."""
        for depth, (letter, size) in enumerate(sizes.items()):
            self._lines.append(f"{'    ' * depth}for {letter} in range({size}):")
        self._lines.append("    " * len(sizes) + line)

    def _map(self, group: list[Operation], number: int, readers: dict[int, set[int]]) -> None:
        """Write one loop for elementwise operations of the same shape."""
        shape = group[0].out.shape
        every = dict.fromkeys(v for each in group for v in (each.out, *_views(each.inputs)))
        seen = {view: view for view in every}
        if all(_is_flat(view, shape) or not view.shape for view in every):  # one long loop
            shape = (int(np.prod(shape)),) if shape else ()
            seen = {v: v._replace(shape=shape, strides=(1,)) if v.shape else v for v in every}
        values: dict[View, str] = {}
        if shape:  # what is one number for all entries is read before
            values = {view: f"c{i}" for i, view in enumerate(every) if not view.shape}
            self._lines += [f"{name} = {self._entry(v, '')}" for v, name in values.items()]
        letters, body = _LETTERS[: len(shape)], []
        for place, each in enumerate(group):
            for view in _views(each.inputs):
                if view not in values:
                    values[view] = f"v{len(values)}"
                    body.append(f"{values[view]} = {self._entry(seen[view], letters)}")
            given = [values[v] if isinstance(v, View) else v for v in each.inputs]
            body.append(f"t{place} = {_expression(each, given)}")
            values[each.out] = f"t{place}"
            elsewhere = readers.get(each.out.buffer, set()) - {number}
            if each.out.buffer in self._kept or elsewhere or not each.out.shape:
                body.append(f"{self._entry(seen[each.out], letters)} = t{place}")
        indented = ("\n        " + "    " * len(shape)).join(body)
        self._loop(dict(zip(letters, shape, strict=True)), indented)

    def _reduce(self, each: Operation) -> None:
        (view,), (start, form), out = each.inputs, _REDUCTIONS[each.name], each.out
        letters = _LETTERS[: len(view.shape)]
        sizes = dict(zip(letters, view.shape, strict=True))
        outer = {letter: n for i, (letter, n) in enumerate(sizes.items()) if i not in each.axis}
        if len(out.shape) == len(view.shape):  # keepdims
            kept = [i for i in range(len(view.shape)) if i not in each.axis]
            out = out._replace(shape=tuple(out.shape[i] for i in kept),
                               strides=tuple(out.strides[i] for i in kept))  # fmt: skip
        target = self._entry(out, "".join(outer))
        self._loop(outer, f"{target} = np.{out.dtype}({start})")
        self._loop(sizes, f"{target} = {form.format(target, self._entry(view, letters))}")

    def _dot(self, each: Operation) -> None:
        a, b = each.inputs
        out = each.out
        if len(a.shape) == 1:
            a = a._replace(shape=(1, *a.shape), strides=(0, *a.strides))
            out = out._replace(shape=(1, *out.shape), strides=(0, *out.strides))
        if len(b.shape) == 1:
            b = b._replace(shape=(*b.shape, 1), strides=(*b.strides, 0))
            out = out._replace(shape=(*out.shape, 1), strides=(*out.strides, 0))
        (rows, inner), columns = a.shape, b.shape[1]
        leading = [max(view.strides) for view in (a, b, out)]
        if _is_large_product(each):
            turned = [112 if view.strides[0] == 1 and view.strides[1] != 1 else 111
                      for view in (a, b)]  # fmt: skip
            starts = [f"{self._name(v)}.ctypes.data + {self._start(v) * np.dtype(v.dtype).itemsize}"
                      for v in (a, b, out)]  # fmt: skip
            left, right, target = (f"np.int64({at}), integer({step})"
                                   for at, step in zip(starts, leading, strict=True))  # fmt: skip
            given = [f"np.int32({each})" for each in (ROW_MAJOR, *turned)]
            given += [f"integer({each})" for each in (rows, columns, inner)]
            factor = f"-{self._entry(each.subtracted_times, '')}" if each.subtracted_times else "1"
            given += [f"np.{out.dtype}({factor})", left, right]
            given += [f"np.{out.dtype}({int(each.subtracted_times is not None)})", target]
            self._lines.append(f"gemm({', '.join(given)})")
            return
        left, right, target = (self._entry(*each) for each in ((a, "ik"), (b, "kj"), (out, "ij")))
        sizes = {"i": rows, "k": inner, "j": columns}
        if b.strides[1] != 1 or columns == 1:  # an inner product
            sizes = {"i": rows, "j": columns, "k": inner}
        self._loop({"i": rows, "j": columns}, f"{target} = np.{out.dtype}(0)")
        self._loop(sizes, f"{target} += {left} * {right}")


def _views(inputs: Iterable[Any]) -> list[View]:
    return [each for each in inputs if isinstance(each, View)]


def _is_flat(view: View, shape: tuple[int, ...]) -> bool:
    steps = tuple(int(np.prod(shape[i + 1 :])) if n > 1 else 0 for i, n in enumerate(shape))
    return view.shape == shape and view.strides == steps


def _is_large_product(each: Operation) -> bool:
    first, second = each.inputs[0], each.inputs[-1]
    if each.name != "dot" or len(first.shape) < 2 or len(second.shape) < 2:
        return False
    sizes: tuple[int, ...] = (*first.shape, second.shape[1])
    return min(sizes) > 1 and math.prod(sizes) > SMALL_PRODUCT


def _fold_products(operations: list[Operation]) -> list[Operation]:
    """Let BLAS subtract products, times a number, from the parameters, if nothing else reads them.

    Products ``g = a @ b``, each a part of the gradient, and ``p -= rate * g`` at the end become one
    call each: large gradients are then neither written nor read.
    """
    *before, scaled, taken = operations
    read = {view.buffer for each in before for view in _views(each.inputs)}
    update, gradient = (scaled.name, taken.name, taken.inputs), scaled.inputs[-1]
    if (
        update != ("multiply", "subtract", (taken.out, scaled.out))
        or [len(each.shape) for each in _views(scaled.inputs)] != [0, 1]
        or gradient.buffer in read
    ):
        return operations
    kept, folded, start = list[Operation](), list[Operation](), 0
    for i, each in enumerate(before):
        sources = {view.buffer for view in _views(each.inputs)}
        changed = any(later.out.buffer in sources for later in [*before[i:], taken])
        if each.out.buffer != gradient.buffer or changed or not _is_large_product(each):
            kept.append(each)
            continue
        folded.append(
            each._replace(
                out=each.out._replace(buffer=taken.out.buffer), subtracted_times=scaled.inputs[0]
            )
        )
    if not folded:
        return operations
    parts = [(each.out.offset, math.prod(each.out.shape)) for each in folded]
    for offset, size in [*sorted(parts), (gradient.shape[0], 0)]:
        if offset > start:
            kept += [_part(rest, gradient.shape, start, offset) for rest in (scaled, taken)]
        start = offset + size
    return [*kept, *folded]


def _part(each: Operation, shape: tuple[int, ...], start: int, end: int) -> Operation:
    """Return an operation on vectors, restricted to some of their entries."""

    def part(view: Any) -> Any:
        if not isinstance(view, View) or view.shape != shape:
            return view
        return view._replace(offset=view.offset + start, shape=(end - start,))

    return each._replace(inputs=tuple(map(part, each.inputs)), out=part(each.out))


def _groups(operations: Iterable[Operation]) -> list[list[Operation]]:
    """Group neighbours that can share a loop: elementwise operations of the same shape."""
    number = count()

    def key(each: Operation) -> Any:
        if each.name == "dot" or each.name in _REDUCTIONS:
            return next(number)  # alone
        if each.name not in _FORMS:
            raise NotRecordableError(f"numpy.{each.name}")
        return each.out.shape

    return [list(group) for _, group in groupby(operations, key)]


def _expression(each: Operation, given: list[Any]) -> str:
    """Return the text of an entry of the result, in the precision that NumPy would use."""
    kinds = [view.dtype for view in _views(each.inputs)]
    numbers = [value for value in given if not isinstance(value, str)]
    kind = np.result_type(*kinds, *numbers) if kinds else np.dtype(each.out.dtype)
    shown = [value if isinstance(value, str) else f"np.{kind}({value!r})" for value in given]
    text = _FORMS[each.name].format(*shown)
    return text if each.out.dtype == "bool" else f"np.{each.out.dtype}({text})"


def product_of(dtype: str) -> str:
    """Return the lines that declare ``gemm``, the matrix product of NumPy's BLAS.

    numba's ``numpy.dot`` uses SciPy's library, which may be another one, and slower.
    """
    if importlib.util.find_spec("numba") is None:
        raise NoCompilerError("numba is not installed (pip install 'xpnet[fast]')")
    from llvmlite.binding import add_symbol
    from threadpoolctl import threadpool_info

    paths = [each["filepath"] for each in threadpool_info() if each["user_api"] == "blas"]
    libraries = map(ctypes.CDLL, sorted(paths, key=lambda each: "numpy" not in each))
    name = f"cblas_{'s' if dtype == 'float32' else 'd'}gemm"
    found = (
        (function, "int64" if after else "int32")
        for library, after, before in product(libraries, ("64_", ""), ("scipy_", ""))
        if (function := getattr(library, f"{before}{name}{after}", None)) is not None
    )
    gemm, integer = next(found, (None, ""))
    if gemm is None:
        raise NotRecordableError("the BLAS of this NumPy has no CBLAS interface")
    symbol = f"xpnet_{dtype}_{integer}"
    add_symbol(symbol, ctypes.cast(gemm, ctypes.c_void_p).value)
    real, matrix = f"types.{dtype}", f"types.int64, types.{integer}"
    sizes = ", ".join(["types.int32"] * 3 + [f"types.{integer}"] * 3)
    return (
        f"integer = np.{integer}\n"
        f'gemm = types.ExternalFunction("{symbol}", types.void('
        f"{sizes}, {real}, {matrix}, {matrix}, {real}, {matrix}))"
    )


def load(text: str) -> Callable[..., None]:
    """Return the function with this text; it is compiled at its first call, and kept on disk."""
    from importlib.metadata import version  # which takes as long to import as all else here

    about = "\n".join([text, version("numba"), np.__version__])
    name = f"xpnet_{hashlib.sha256(about.encode()).hexdigest()[:16]}"
    if name not in sys.modules:
        path = _folder() / f"{name}.py"
        if not path.exists():
            with atomic_write(path) as file:  # another process may write the same
                file.write(text.encode())
        spec: Any = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        sys.modules[name] = module
    function: Callable[..., None] = sys.modules[name].steps
    return function


def _folder() -> Path:
    """Return the user's folder for compiled functions, or else a temporary one."""
    try:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        folder = Path(base) / "xpnet"
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except (OSError, RuntimeError):  # there is no home
        folder = Path(_temporary().name)
    return folder


@cache
def _temporary() -> tempfile.TemporaryDirectory[str]:
    """Return a new folder, in which nobody else can put code; it is removed at exit."""
    return tempfile.TemporaryDirectory(prefix="xpnet-")
