"""The real CuPy on an emulated GPU, for tests on machines without one; see README.md.

`build.py` compiles the fake CUDA libraries and makes a virtual environment use them: there, the
first import of CuPy calls `install`. Elsewhere `installed()` is false, and nothing happens.
"""

import ctypes
import importlib.util
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from emulated_cuda.redirect import redirect

SOURCES = Path(__file__).resolve().parent
BUILT = SOURCES.parents[1] / "build" / "emulated_cuda"
KERNEL_SOURCES = BUILT / "kernel_sources"  # of all kernels that were compiled, for real_nvrtc.py
EMULATION = "libemulated_cuda.so"
# The names under which CuPy looks for CUDA; each is an empty library that brings in the emulation.
FACADES = ("libcuda.so.1", "libcudart.so.13", "libnvrtc.so.13", "libcublasLt.so.13")
CUBLAS = "libcublas.so.13"
FLAGS = "-std=c++17 -w -O1 -fPIC -fno-gnu-unique -fno-strict-aliasing -fwrapv"  # of kernels
KINDS = ("kernel", "product", "copy_in", "copy_out", "copy_within", "fill", "graph", "callback")

_library: Any = None


def installed() -> bool:
    """Tell whether CuPy runs on the emulation in this process."""
    return _library is not None


def install() -> None:
    """Load the fake libraries and redirect CuPy's own copy of the CUDA runtime to them.

    Raises
    ------
    ImportError
        If `build.py` has not been run here, or CuPy's copy of the runtime cannot be found.
    """
    global _library
    if not (BUILT / EMULATION).is_file():
        raise ImportError(f"the emulated CUDA is not built in {BUILT}; run: make test-cuda")
    os.environ["CUDA_PATH"] = str(folder_of("nvidia.cu13"))  # the headers
    os.environ["CUPY_ACCELERATORS"] = ""  # CUB's kernels come compiled for a GPU
    os.environ["CUPY_CACHE_DIR"] = str(BUILT / "kernels")  # not among a real GPU's
    os.environ["EMULATED_CUDA_SOURCES"] = str(KERNEL_SOURCES)
    os.environ["EMULATED_CUDA_PRELUDE"] = str(BUILT / "prelude.h")
    os.environ["EMULATED_CUDA_FLAGS"] = FLAGS
    names = (EMULATION, *FACADES, CUBLAS)
    loaded = [ctypes.CDLL(str(BUILT / name), mode=ctypes.RTLD_GLOBAL) for name in names]
    redirect(runtime_module(), loaded[0])
    _library = loaded[0]
    _library.emulated_kernels.restype = ctypes.c_char_p


def folder_of(package: str) -> Path:
    """Return where a package is installed, without importing it."""
    try:
        found = importlib.util.find_spec(package)
    except ModuleNotFoundError:  # the package that it is in
        found = None
    if found is None or not found.submodule_search_locations:
        raise ImportError(f"{package} is not installed here; install xpnet[emulated-cuda]")
    return Path(next(iter(found.submodule_search_locations)))


def runtime_module() -> Path:
    """Return CuPy's extension module that has the CUDA runtime within."""
    folder = folder_of("cupy_backends") / "cuda" / "api"
    found = list(folder.glob("runtime.*.so"))
    if len(found) != 1:
        raise ImportError(f"{folder} has {len(found)} files runtime.*.so, not one")
    return found[0]


class _BeforeCuPy:
    """A finder of modules that finds none, but installs the emulation at CuPy's first import."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        if name not in ("cupy", "cupy_backends"):
            return
        sys.meta_path.remove(self)
        try:
            install()
        except ImportError:
            sys.meta_path.insert(0, self)  # to say so again at the next attempt
            raise


def install_on_import() -> None:
    """Install the emulation when CuPy is first imported."""
    sys.meta_path.insert(0, _BeforeCuPy())


# What the emulation counts and forbids


def counts() -> dict[str, int]:
    """Return how often since the start the host waited, and what the GPU was given.

    ``waits`` counts the host's waits for the device. ``kernel``, ``product``, ``copy_in`` (from
    the host), ``copy_out``, ``copy_within``, ``fill``, ``graph`` and ``callback`` count what the
    host gave, one command each; with the prefix ``executed_`` those within graphs too.
    """
    numbers = (ctypes.c_long * (1 + 2 * len(KINDS)))()
    _library.emulated_counters(numbers)
    return dict(
        zip(("waits", *KINDS, *(f"executed_{each}" for each in KINDS)), numbers, strict=True)
    )


@contextmanager
def counting() -> Iterator[dict[str, int]]:
    """Fill the dictionary, on leaving, with what `counts` counted within."""
    before, found = counts(), {}
    yield found
    found.update({name: number - before[name] for name, number in counts().items()})


@contextmanager
def no_host_waits() -> Iterator[None]:
    """Refuse each wait of the host for the device: CuPy raises cudaErrorNotPermitted there."""
    _library.emulated_forbid_waiting(1)
    try:
        with counting() as found:
            yield
    finally:
        _library.emulated_forbid_waiting(0)
    if found["waits"]:  # raised where the wait was, but what called it may have gone on
        raise AssertionError(f"the host waited for the device {found['waits']} time(s) here")


def kernels() -> dict[str, int]:
    """Return how often each kernel ran since the last call, by name and types of arguments."""
    found: dict[str, int] = {}
    for line in _library.emulated_kernels().decode().splitlines():
        count, _, kernel = line.partition("\t")
        name, _, signature = kernel.partition(": ")
        types = signature.partition("[with A = {")[2].removesuffix("}]")  # as g++ tells them
        found[f"{name}({types})"] = int(count)
    return found
