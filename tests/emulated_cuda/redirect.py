"""Redirect the CUDA runtime that is linked into one of CuPy's modules, in memory.

CuPy reaches libcuda, libnvrtc and libcublas by name, so libraries with those names are enough. Its
CUDA runtime is part of a compiled module. The module keeps its local symbols, so each function's
place is known; the first bytes of each become a jump to the function of the same name in the
emulation. The file on disk stays as it is.
"""

import ctypes
import re
import struct
from pathlib import Path
from typing import Any

from emulated_cuda.elf import FUNCTION, SYMBOLS, symbols

JUMP = b"\xff\x25\0\0\0\0"  # x86-64: jmp *(%rip), to the address in the next eight bytes
PAGE = 4096
READ, WRITE, EXECUTE = 1, 2, 4

_loaded: list[Any] = []  # the module stays loaded, so that its redirected copy is the one used


def redirect(module: Path, emulation: Any) -> None:
    """Make the runtime's functions in `module` jump to those of `emulation`.

    Raises
    ------
    ImportError
        If the module has no function of the CUDA runtime to redirect.
    """
    functions = runtime_functions(module)
    _loaded.append(ctypes.CDLL(str(module)))
    start = _address_of(module)
    redirected = 0
    for name, address in functions.items():
        try:
            target = ctypes.cast(getattr(emulation, name), ctypes.c_void_p).value
        except (
            AttributeError
        ):  # not emulated, and not used: it would answer that there is no driver
            continue
        _write(start + address, JUMP + struct.pack("<Q", target))
        redirected += 1
    if not redirected:
        raise ImportError(f"none of the CUDA runtime's functions in {module} is emulated")


def runtime_functions(module: Path) -> dict[str, int]:
    """Return the place of each function of the CUDA runtime in a module's file."""
    functions = {
        each.name: each.address
        for each in symbols(module, SYMBOLS)
        if each.kind == FUNCTION and each.defined and re.match("cuda[A-Z]", each.name)
    }
    if not functions:
        raise ImportError(
            f"{module} has no symbols of the CUDA runtime: this build of CuPy cannot be redirected"
        )
    return functions


def _address_of(module: Path) -> int:
    maps = Path("/proc/self/maps").read_text().splitlines()
    starts = [int(line.split("-")[0], 16) for line in maps if line.endswith(str(module.resolve()))]
    return min(starts)


def _write(address: int, code: bytes) -> None:
    page = address - address % PAGE
    length = address + len(code) - page
    _protect(page, length, READ | WRITE | EXECUTE)
    ctypes.memmove(address, code, len(code))
    _protect(page, length, READ | EXECUTE)


def _protect(page: int, length: int, protection: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mprotect(ctypes.c_void_p(page), ctypes.c_size_t(length), protection):
        raise OSError(ctypes.get_errno(), "mprotect of CuPy's module failed")
