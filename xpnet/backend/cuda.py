"""The GPU: opening it, fused kernels, CUDA graphs. The only file that imports cupy."""

import ctypes
import re
import warnings
import weakref
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from threading import RLock
from typing import Any

from xpnet.backend.device import Array, Device, Function, Step, as_it_is
from xpnet.errors import DeviceError

INSTALL_CUPY = (
    "install one of: pip install 'xpnet[cuda13]' (NVIDIA driver 580 or newer) "
    "or pip install 'xpnet[cuda12]' (driver 525 or newer)"
)
WORKSPACE_BYTES = 32 << 20  # what NVIDIA recommends for cuBLAS on Hopper
_POINTER, _INTEGER = ctypes.c_void_p, ctypes.c_int
# transa transb m n k | alpha A | typeA lda | B | typeB ldb | beta C | typeC ldc compute algo
_GEMM_EX: list[Callable[[int], Any]] = [
    *[_INTEGER] * 5, _POINTER, _POINTER, _INTEGER, _INTEGER, _POINTER, _INTEGER, _INTEGER,
    _POINTER, _POINTER, *[_INTEGER] * 4,
]  # fmt: skip


def open_gpu(name: str, index: int, *, fuse: bool, graph: bool) -> Device:
    """Open a CUDA device, and test it with a small product."""
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
        remedy = f"see nvidia-smi and CUDA_VISIBLE_DEVICES, update the driver, or {INSTALL_CUPY}"
        raise DeviceError(f"device {name!r}: {error}; {remedy}") from error
    if index >= count:
        raise DeviceError(
            f"device {name!r}: this machine has {count} CUDA device(s), numbered from gpu:0"
        )
    place = cupy.cuda.Device(index)  # a context manager, for any thread and within itself
    with place:
        _prove_it_computes(name, cupy)

    import array_api_compat.cupy as xp

    def put(array: Any, dtype: str) -> Array:
        with place:
            return xp.asarray(array, dtype=dtype)

    def matmul_into(out: Array, a: Array, b: Array) -> None:
        cupy.matmul(a, b, out=out)

    return Device(
        name, xp, put, cupy.asnumpy, xp.matmul, matmul_into, xp.vecdot, cupy.ones, active=place,
        fuse=partial(_fused, cupy) if fuse else as_it_is,
        record=partial(GraphedStep, cupy) if graph else None,
    )  # fmt: skip


@cache
def _prove_it_computes(name: str, cupy: Any) -> None:
    """Run one kernel and one product: missing CUDA libraries show only when they are used."""
    try:
        product = cupy.matmul(cupy.ones((2, 2), "f4"), cupy.ones((2, 2), "f4") + 1)
        total = float(product.sum())
    except MemoryError as error:
        raise DeviceError(
            f"device {name!r} has no memory left; stop what is using it (nvidia-smi shows it), or "
            "use another GPU with 'gpu:N'"
        ) from error
    # ImportError, RuntimeError and CompileException (a plain Exception) occur here.
    except Exception as error:
        raise DeviceError(
            f"device {name!r}: CUDA is present but CuPy cannot compute ({_first_line(error)}); its "
            f"CUDA libraries are missing or do not match: {INSTALL_CUPY}"
        ) from error
    if total != 16.0:
        raise DeviceError(f"device {name!r}: the GPU gave {total} for a product that is 16")


class _Traceable:
    """CuPy's functions, with those conversions of arrays in a form that `cupy.fuse` can trace."""

    def __init__(self, cupy: Any) -> None:
        self._cupy = cupy

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cupy, name)

    @staticmethod
    def astype(array: Array, dtype: Any, **others: Any) -> Array:
        return array.astype(dtype)

    @staticmethod
    def asarray(array: Array, dtype: Any = None, **others: Any) -> Array:
        return array if dtype is None else array.astype(dtype)


class _NothingToFuseError(Exception):
    """A function returns its argument unchanged, so a kernel would only copy it."""


def _fused(cupy: Any, function: Function) -> Function:
    """Make one kernel of an elementwise function, which runs unchanged if CuPy cannot."""
    name = getattr(function, "__name__", type(function).__name__)
    # C has functions such as tanh, and words such as double: hence the prefix.
    kernel_name = "xpnet_" + re.sub(r"\W", "_", name, flags=re.ASCII)
    space, refused = _Traceable(cupy), False

    @cupy.fuse(kernel_name=kernel_name)  # type: ignore[untyped-decorator]
    def kernel(*arrays: Array) -> Array:
        result = function(space, *arrays)
        if any(result is each for each in arrays):
            raise _NothingToFuseError
        return result

    def call(xp: Any, *arrays: Array) -> Array:
        nonlocal refused
        if not refused:
            try:
                return kernel(*arrays)
            except Exception as error:  # noqa: BLE001  tracing may fail in any way
                refused = True
                if not isinstance(error, _NothingToFuseError):
                    _warn(f"{name} could not be fused", error)
        return function(xp, *arrays)

    return call


class GraphedStep:
    """A step that is recorded as a CUDA graph at its second call, and replayed from then on.

    The first call runs unchanged, which compiles the kernels. Recording executes nothing, so a step
    that cannot be recorded can still be run. A recording takes its arrays from its own pool:
    otherwise a replay could overwrite memory that CuPy's common pool has since reused.
    """

    def __init__(self, cupy: Any, step: Step) -> None:
        self._cupy, self._step = cupy, step
        self._warm = self._refused = False
        self._graph: Any = None
        self._kept: list[Any] = []
        self._result: Any = None

    def __call__(self) -> Any:
        """Take the step, recorded or not; return what it returns."""
        if self._warm and not self._refused and self._graph is None:
            try:
                self._record()
            except Exception as error:  # noqa: BLE001  CuPy's, the driver's, or ctypes'
                self._refused = True
                _warn("CUDA graph not available", error)
        self._warm = True
        if self._graph is None:
            return self._step()
        self._graph.launch(self._cupy.cuda.get_current_stream())
        return self._result

    def _record(self) -> None:
        cuda = self._cupy.cuda
        stream, pool = cuda.Stream(non_blocking=True), cuda.MemoryPool()
        with _RECORDING, stream, cuda.using_allocator(pool.malloc):
            products = _Products(self._cupy, stream)
            with products.recordable():
                stream.begin_capture()
                try:
                    self._result = self._step()
                finally:
                    graph = stream.end_capture()
        self._kept = [stream, pool, products]  # all must live as long as the graph
        self._graph = graph


_RECORDING = RLock()  # one recording at a time stands in for cublas.gemmEx
_IDLE: dict[int, list[int]] = defaultdict(list)  # by GPU: cuBLAS handles of past recordings


class _Products:
    """A cuBLAS handle for one recording: CuPy 14 refuses to record products with its own handle.

    A later recording takes over the handle when this object is gone: to destroy it would wait for
    the whole GPU, which is not allowed while another thread records.
    """

    def __init__(self, cupy: Any, stream: Any) -> None:
        from cuda.pathfinder import load_nvidia_dynamic_lib
        from cupy_backends.cuda.libs import cublas

        self._cupy, self._stream, self._cublas = cupy, stream, cublas
        self._library = ctypes.CDLL(load_nvidia_dynamic_lib("cublas").abs_path)
        self._workspace = cupy.empty(WORKSPACE_BYTES, cupy.uint8)
        idle = _IDLE[cupy.cuda.Device().id]
        self._handle = idle.pop() if idle else cublas.create()
        weakref.finalize(self, idle.append, self._handle)
        size = ctypes.c_size_t(WORKSPACE_BYTES)
        self._checked("cublasSetStream_v2", _POINTER(stream.ptr))
        self._checked("cublasSetWorkspace_v2", _POINTER(self._workspace.data.ptr), size)

    @contextmanager
    def recordable(self) -> Iterator[None]:
        """Send this stream's products to this handle: CuPy looks up ``cublas.gemmEx`` each time.

        All threads see the same function, so it passes on products of other streams.
        """
        original = self._cublas.gemmEx

        def gemm_ex(handle: int, *arguments: int) -> None:
            if self._cupy.cuda.get_current_stream().ptr != self._stream.ptr:
                original(handle, *arguments)
                return
            given = zip(_GEMM_EX, arguments, strict=True)
            self._checked("cublasGemmEx", *(kind(int(each)) for kind, each in given))

        self._cublas.gemmEx = gemm_ex
        try:
            yield
        finally:
            self._cublas.gemmEx = original

    def _checked(self, name: str, *arguments: Any) -> None:
        status = getattr(self._library, name)(_POINTER(self._handle), *arguments)
        if status:
            raise RuntimeError(f"{name} returned status {status}")


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {(str(error) or 'no message').splitlines()[0]}"


def _warn(what: str, error: Exception) -> None:
    warnings.warn(f"{what} ({_first_line(error)}); running it unchanged", stacklevel=2)
