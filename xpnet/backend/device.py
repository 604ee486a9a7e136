"""Where arrays live: which namespace, and how they get to a device and back.

Everything else receives a `Device` (or its ``xp``) and does not ask which one it is. All that needs
CuPy itself is in `xpnet.backend.cuda`.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from typing import Any, TypeAlias

import numpy as np

from xpnet.errors import InputError, bad_argument

# The Array API leaves these types open.
Array: TypeAlias = Any  # of any library that follows the standard
Namespace: TypeAlias = Any  # the module of functions that goes with such arrays, such as numpy
Scalar: TypeAlias = Any  # a Python number, or a 0-d array on the device
Step: TypeAlias = Callable[[], Any]
Function: TypeAlias = Callable[..., Array]

DTYPES = ("float32", "float64")

_NO_NUMBERS = {
    "c": "pass the real part, or two columns",
    "mM": "pass numbers, such as days since the first",
    "UST": "convert it with numpy.asarray(..., dtype='float64')",
}


def as_it_is(function: Function) -> Function:
    """Return the function, not fused."""
    return function


class _NumPy:
    """NumPy's functions, some of them without their Python wrappers.

    These cost 1 µs, as array-api-compat's do, which is more than the work in a small network.
    """

    def __init__(self) -> None:
        vars(self).update(vars(np), astype=self._astype)
        self.sum, self.max = _short(np.sum, np.add), _short(np.max, np.maximum)

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)  # what NumPy itself imports on demand, as linalg

    @staticmethod
    def _astype(x: Any, dtype: Any, *, copy: bool = True, device: Any = None) -> Any:
        return x.astype(dtype, copy=copy)


def _short(function: Function, pairwise: Any) -> Function:
    """Return NumPy's sum or max without the wrapper, for the arguments that a step gives."""
    reduce = pairwise.reduce

    def short(a: Any, axis: Any = None, *more: Any, keepdims: bool = False, **others: Any) -> Any:
        if more or others:  # users' own functions are given this namespace, too
            others |= {"keepdims": True} if keepdims else {}  # it may be among the others by place
            return function(a, axis, *more, **others)
        if axis == -1 and _is_narrow(a):
            return _by_columns(pairwise, a, keepdims)
        return reduce(a, axis, None, None, keepdims)

    return short


def _is_narrow(a: Any) -> bool:
    """Return whether an array has so many short rows that reducing it by columns is faster.

    NumPy reduces row by row, which costs 20 to 50 ns each. Recorded arrays are of another type.
    """
    if type(a) is not np.ndarray or a.size < 256:
        return False
    width = a.shape[-1]
    return 1 < width < 8 and a.size >= 64 * width * width and a.dtype.char in "fd"


def _by_columns(pairwise: Function, a: Array, keepdims: bool) -> Array:
    """Reduce the last axis, of less than 8 numbers, with the bits of NumPy's own reduction."""
    total = a[..., 0].copy()
    for column in range(1, a.shape[-1]):
        pairwise(total, a[..., column], out=total)
    return total[..., None] if keepdims else total


def _product(a: Array, b: Array) -> Array:
    return a.dot(b)  # the same BLAS calls as matmul's, at half the overhead


def _matmul_into(out: Array, a: Array, b: Array) -> None:
    try:
        a.dot(b, out)
    except ValueError:  # another dtype, as from a user's activation with a float64 in it
        np.matmul(a, b, out=out)


@lru_cache(maxsize=4)
def _kept_ones(count: int, dtype: str) -> Array:
    ones = np.ones(count, dtype=dtype)
    ones.flags.writeable = False
    return ones


def _ones(count: int, dtype: str) -> Array:  # long ones are not worth their memory
    return _kept_ones(count, dtype) if count <= 4096 else np.ones(count, dtype=dtype)


@dataclass(frozen=True)
class Device:
    """A place where arrays are computed; `name` is that of `open_device`, or a library's own."""

    name: str
    xp: Namespace = field(repr=False)
    """The Array API functions for arrays that live there."""
    put: Callable[[Any, str], Array] = field(repr=False)
    """``put(array, dtype_name)`` brings an array there, without a copy if none is needed."""
    get: Callable[[Array], Any] = field(repr=False)
    """``get(array)`` brings a device array to the host as a NumPy array."""
    matmul: Callable[[Array, Array], Array] = field(repr=False)
    """``matmul(a, b)`` gives the product of vectors and matrices in the fastest way."""
    matmul_into: Callable[[Array, Array, Array], None] = field(repr=False)
    """``matmul_into(out, a, b)`` writes the product to `out`, which the standard cannot do."""
    vecdot: Callable[[Array, Array], Array] = field(repr=False)
    """``vecdot(a, b)`` gives the sums of products over the last axis."""
    ones: Callable[[int, str], Array] = field(repr=False)
    """``ones(count, dtype_name)`` gives a read-only vector, perhaps the same one each time."""
    block: int = field(repr=False, default=1 << 62)
    """Elements that an in-place update should process at a time, to stay in the cache."""
    fuse: Callable[[Function], Function] = field(repr=False, default=as_it_is)
    """``fuse(function)`` gives an elementwise function back, perhaps as one kernel."""
    record: Callable[[Step], Step] | None = field(repr=False, default=None)
    """``record(step)`` gives a step that replays its first call; None if steps just run."""
    active: AbstractContextManager[Any] = field(repr=False, default=nullcontext())
    """A context in which this thread computes on the device. `fit`, `predict` and all functions
    that check their arguments enter it themselves. With several GPUs, enter it around functions of
    device arrays, such as `MLP.forward`, and around arithmetic of your own."""

    # A device is a reference to a library, not data: copies of a network share it, and a pickle
    # carries the name only, and what was switched off.
    def __reduce__(self) -> tuple[Callable[[], "Device"], tuple[()]]:
        return partial(open_device, **self.opening()), ()

    def opening(self) -> dict[str, Any]:
        """Return the arguments of `open_device` that give this device."""
        fuse, graph = self.fuse is not as_it_is, self.record is not None
        return {"name": self.name, "fuse": fuse, "graph": graph}

    def __deepcopy__(self, memo: dict[int, Any]) -> "Device":
        return self


def _put_on_host(array: Any, dtype: str) -> Array:
    with np.errstate(over="ignore"):  # infinity in float32 is found, and named, at the door
        return np.asarray(array, dtype=dtype)


CPU = Device(
    "cpu", _NumPy(), _put_on_host, np.asarray, _product, _matmul_into, _product, _ones,
    block=1 << 16,
)  # fmt: skip
_CPU_STACK = replace(
    CPU, matmul=np.matmul, vecdot=np.vecdot, matmul_into=lambda out, a, b: np.matmul(a, b, out)
)


def for_many(device: Device) -> Device:
    """Return the device for stacks of networks, whose products are of stacks of matrices."""
    # CuPy refuses such products in a CUDA graph.
    return _CPU_STACK if device is CPU else replace(device, record=None)


def open_device(name: str | Device = "cpu", *, fuse: bool = True, graph: bool = True) -> Device:
    """Return the device called ``"cpu"``, ``"gpu"`` or ``"gpu:N"``; never a substitute.

    Parameters
    ----------
    name : str or Device
        A `Device` is returned as it is.
    fuse, graph : bool
        For a GPU: make one kernel of each activation, and replay the training step as a CUDA
        graph. If CuPy cannot, a warning says why and the step runs unchanged.

    Raises
    ------
    InputError
        For any other name.
    DeviceError
        If that GPU cannot be used; the message says why and what to install.
    """
    if isinstance(name, Device):
        return name
    if name == "cpu":
        return CPU
    kind, _, number = str(name).partition(":")
    if kind == "gpu" and (number.isdecimal() or name == "gpu"):
        from xpnet.backend.cuda import open_gpu

        index = int(number or 0)  # "gpu" and "gpu:0" are one device, under one name
        return open_gpu(f"gpu:{index}" if index else "gpu", index, fuse=fuse, graph=graph)
    raise bad_argument("device", name, "is not known; use 'cpu', 'gpu' or 'gpu:N', N from 0")


def device_of(array: Array) -> Device:
    """Return the device on which an array of any Array API library lives.

    Raises `InputError` for an object that is no such array.
    """
    if isinstance(array, np.ndarray):
        return CPU
    import array_api_compat as compat

    try:
        xp = compat.array_namespace(array)
    except TypeError as error:
        raise InputError(f"{type(array).__name__} is not an Array API array: {error}") from error
    place = compat.device(array)
    if compat.is_cupy_array(array):
        return open_device(f"gpu:{place.id}")

    def put(values: Any, dtype: str) -> Array:
        if isinstance(values, (np.ndarray, np.generic)):
            values = np.asarray(values)
        return xp.asarray(values, dtype=getattr(xp, dtype), device=place)

    def get(values: Array) -> Any:
        if compat.is_torch_array(values):
            return values.detach().cpu().numpy()
        return np.from_dlpack(values)

    def matmul_into(out: Array, a: Array, b: Array) -> None:
        out[...] = xp.matmul(a, b)

    def ones(count: int, dtype: str) -> Array:
        return xp.ones(count, dtype=getattr(xp, dtype), device=place)

    library = xp.__name__.removeprefix("array_api_compat.")  # that name is of a wrapper
    return Device(f"{library}:{place}", xp, put, get, xp.matmul, matmul_into, xp.vecdot, ones)


def to_host(array: Any) -> Any:
    """Return an array of any Array API library as a NumPy array, without a copy if it is one."""
    return np.asarray(device_of(array).get(array)) if is_foreign(array) else np.asarray(array)


def real_numbers(array: Any) -> Array:
    """Return an argument as an array: another library's array unchanged, anything else NumPy's.

    A TypeError or ValueError says what it holds instead of real numbers.
    """
    if is_foreign(array):
        kind = "c" if "complex" in str(array.dtype) else "f"
    else:
        if isinstance(array, np.ma.MaskedArray) and np.any(array.mask):
            hidden = int(np.sum(array.mask))
            raise ValueError(f"{hidden} values are masked; fill them in, or drop those rows")
        array = np.asarray(array)
        kind = array.dtype.kind
    for kinds, remedy in _NO_NUMBERS.items():
        if kind in kinds:
            raise TypeError(f"{array.dtype} values; {remedy}")
    return array


def is_foreign(array: Any) -> bool:
    """Return whether this is an array of a library other than NumPy, which has a device."""
    if isinstance(array, (np.ndarray, np.generic, list, tuple)) or np.isscalar(array):
        return False
    import array_api_compat as compat

    return bool(compat.is_array_api_obj(array))
