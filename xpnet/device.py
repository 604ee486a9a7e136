"""Where the arrays live: which namespace, how they get there and back.

The only file that says cupy. Everything else receives a `Device` (or its ``xp``) and does not
ask which one it is.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from xpnet.errors import DeviceError, InputError
from xpnet.types import Array, Namespace

DTYPES = ("float32", "float64")

INSTALL_CUPY = (
    "install one of: pip install 'xpnet[cuda13]' (NVIDIA driver 580 or newer) "
    "or pip install 'xpnet[cuda12]' (driver 525 or newer)"
)


def _matmul_into(out: Array, a: Array, b: Array) -> None:
    np.matmul(a, b, out=out)


@dataclass(frozen=True)
class Device:
    """One place where arrays are computed.

    Attributes
    ----------
    name : str
        ``"cpu"``, ``"gpu"``, ``"gpu:1"``, or the name of a foreign library's device.
    xp : namespace
        The Array API functions for arrays that live there.
    put : callable
        ``put(array, dtype_name)`` brings a host array (or one that is already there) to the
        device with that dtype; no copy where none is needed.
    get : callable
        ``get(array)`` brings a device array to the host as a NumPy array.
    matmul_into : callable
        ``matmul_into(out, a, b)`` writes the product of a and b into out. The standard has no
        ``out=``, so this is the one operation that each library says in its own way.
    block : int
        Elements that an update in place should take at a time, to stay in the cache.
    """

    name: str
    xp: Namespace = field(repr=False)
    put: Callable[[Any, str], Array] = field(repr=False)
    get: Callable[[Array], Any] = field(repr=False)
    matmul_into: Callable[[Array, Array, Array], None] = field(repr=False)
    block: int = field(repr=False, default=1 << 62)

    # A device is a reference to a library, not data: copies of a network share it, and a pickle
    # carries the name only.
    def __reduce__(self) -> tuple[Callable[[str], "Device"], tuple[str]]:
        return open_device, (self.name,)

    def __deepcopy__(self, memo: dict[int, Any]) -> "Device":
        return self


def _put_on_host(array: Any, dtype: str) -> Array:
    with np.errstate(over="ignore"):  # infinity in float32 is found, and named, at the door
        return np.asarray(array, dtype=dtype)


# NumPy 2 is an Array API namespace by itself; array-api-compat's wrapper around it would cost
# about 1 µs per matrix product and add nothing that is used here.
CPU = Device("cpu", np, _put_on_host, np.asarray, _matmul_into, block=1 << 16)


def open_device(name: str = "cpu") -> Device:
    """Return the device called ``"cpu"``, ``"gpu"`` or ``"gpu:N"``; never another one instead.

    Raises
    ------
    InputError
        For any other name.
    DeviceError
        If that GPU cannot be used; the message says why and what to install.
    """
    if name == "cpu":
        return CPU
    kind, _, number = name.partition(":")
    if kind == "gpu" and (number.isdecimal() or name == "gpu"):
        return _open_gpu(name, int(number or 0))
    raise InputError(f"device {name!r} is not known; use 'cpu', 'gpu' or 'gpu:N', N from 0")


def _open_gpu(name: str, index: int) -> Device:
    """Select a CUDA device for this thread and prove with a small product that it computes."""
    try:
        import cupy
    except ImportError as error:
        detail = "" if isinstance(error, ModuleNotFoundError) else f" ({error})"
        raise DeviceError(
            f"device {name!r} needs CuPy, which is not installed{detail}; {INSTALL_CUPY}"
        ) from error
    runtime = cupy.cuda.runtime
    try:
        count = runtime.getDeviceCount()
    except runtime.CUDARuntimeError as error:
        raise DeviceError(f"device {name!r}: {_why_no_device(runtime, error)}") from error
    if index >= count:
        raise DeviceError(f"device {name!r}: this machine has {count} CUDA device(s), from gpu:0")
    cupy.cuda.Device(index).use()
    _prove_it_computes(name, cupy)

    import array_api_compat.cupy as xp

    def put(array: Any, dtype: str) -> Array:
        return xp.asarray(array, dtype=dtype)

    def matmul_into(out: Array, a: Array, b: Array) -> None:
        cupy.matmul(a, b, out=out)

    return Device(name, xp, put, cupy.asnumpy, matmul_into)


def _why_no_device(runtime: Any, error: Any) -> str:
    """Read CUDA's status code: 35 no or too old a driver, 100 no visible device."""
    driver, needed = runtime.driverGetVersion(), runtime.runtimeGetVersion()
    if error.status == 35 and driver == 0:
        return "no NVIDIA driver found (libcuda is missing); install one, then try nvidia-smi"
    if error.status == 35:
        return (
            f"the NVIDIA driver supports CUDA {driver // 1000}.{driver % 1000 // 10}, this CuPy "
            f"needs CUDA {needed // 1000}; update the driver or {INSTALL_CUPY}"
        )
    if error.status == 100:
        return "no CUDA device is visible; is CUDA_VISIBLE_DEVICES empty?"
    return f"{error}; try nvidia-smi"


def _prove_it_computes(name: str, cupy: Any) -> None:
    """Run one kernel and one product: missing CUDA libraries show up only when they are used."""
    try:
        product = cupy.matmul(cupy.ones((2, 2), "f4"), cupy.ones((2, 2), "f4") + 1)
        total = float(product.sum())
    except MemoryError as error:
        raise DeviceError(
            f"device {name!r} has no memory left; end what holds it (nvidia-smi shows it), or use "
            "another GPU with 'gpu:N'"
        ) from error
    # ImportError, RuntimeError and CompileException (a plain Exception) occur here.
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else "no message"
        raise DeviceError(
            f"device {name!r}: CUDA is there but CuPy cannot compute ({type(error).__name__}: "
            f"{reason}); its CUDA libraries are missing or do not fit: {INSTALL_CUPY}"
        ) from error
    if total != 16.0:
        raise DeviceError(f"device {name!r}: the GPU gave {total} for a product that is 16")


def device_of(array: Array) -> Device:
    """Return the device on which a given array lives, for arrays of any Array API library.

    Raises
    ------
    InputError
        If the object is not an array of such a library.
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
        return open_device(f"gpu:{place.id}" if place.id else "gpu")

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

    return Device(f"{compat_name(xp)}:{place}", xp, put, get, matmul_into)


def compat_name(xp: Namespace) -> str:
    """Return the library's own name of a (wrapped) namespace, for messages."""
    return str(xp.__name__).removeprefix("array_api_compat.")


def is_foreign(array: Any) -> bool:
    """Tell whether this is an array of a library other than NumPy that knows its own device."""
    if isinstance(array, (np.ndarray, np.generic, list, tuple)) or np.isscalar(array):
        return False
    import array_api_compat as compat

    return bool(compat.is_array_api_obj(array))
