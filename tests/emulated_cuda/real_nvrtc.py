"""Compile the kernels that the emulated GPU ran with NVIDIA's compiler, which needs no GPU.

    cd tests && python -m emulated_cuda.real_nvrtc

g++ accepts what NVRTC refuses, a kernel with the name of one of CUDA's functions for one. So each
source that the emulation compiled goes through NVRTC too, with CuPy's own options, for each of
`ARCHITECTURES`. What has passed once is not compiled again.
"""

import ctypes
import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from emulated_cuda import BUILT, KERNEL_SOURCES, folder_of

ARCHITECTURES = ("sm_80", "sm_90", "sm_120")  # A100, H100 and H200, RTX 50 and RTX PRO
PASSED = BUILT / "passed_nvrtc"


class Kernel(NamedTuple):
    """A source as CuPy gave it: with its options, and the template instances to make."""

    path: Path
    options: list[str]
    expressions: list[str]


def read_kernel(path: Path) -> Kernel:
    """Read what `keep` in compiler.cpp wrote."""
    options, expressions = [], []
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("// option: "):
            options.append(line.removeprefix("// option: "))
        elif line.startswith("// expression: "):
            expressions.append(line.removeprefix("// expression: "))
        else:
            break
    options = [each for each in options if not each.startswith(("-arch", "--gpu-architecture"))]
    return Kernel(path, options, expressions)


def refusal(nvrtc: Any, kernel: Kernel, architecture: str) -> str:
    """Return the compiler's errors if it refuses a kernel, or an empty text."""
    program = ctypes.c_void_p()
    source, name = kernel.path.read_bytes(), kernel.path.name.encode()
    nvrtc.nvrtcCreateProgram(ctypes.byref(program), source, name, 0, None, None)
    for each in kernel.expressions:
        nvrtc.nvrtcAddNameExpression(program, each.encode())
    options = [each.encode() for each in (*kernel.options, f"-arch={architecture}")]
    status = nvrtc.nvrtcCompileProgram(
        program, len(options), (ctypes.c_char_p * len(options))(*options)
    )
    size = ctypes.c_size_t()
    nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    nvrtc.nvrtcGetProgramLog(program, log)
    nvrtc.nvrtcDestroyProgram(ctypes.byref(program))
    errors = [line for line in log.value.decode().splitlines() if "error" in line]
    return "\n".join(errors) or f"status {status}" if status else ""


def supported(nvrtc: Any) -> set[str]:
    """Return the architectures for which this NVRTC compiles."""
    count = ctypes.c_int()
    nvrtc.nvrtcGetNumSupportedArchs(ctypes.byref(count))
    numbers = (ctypes.c_int * count.value)()
    nvrtc.nvrtcGetSupportedArchs(numbers)
    return {f"sm_{each}" for each in numbers}


def refusals(nvrtc: Any, kernels: Sequence[Kernel]) -> list[str]:
    """Compile every kernel for every architecture; return a text for each that is refused."""
    PASSED.mkdir(exist_ok=True)

    def one(job: tuple[Kernel, str]) -> str:
        kernel, architecture = job
        passed = PASSED / f"{kernel.path.stem}-{architecture}"
        if passed.exists():
            return ""
        message = refusal(nvrtc, kernel, architecture)
        if not message:
            passed.touch()
            return ""
        return f"{kernel.path} for {architecture}:\n{message}"

    jobs = [(kernel, architecture) for kernel in kernels for architecture in ARCHITECTURES]
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # NVRTC runs without Python's lock
        return [each for each in pool.map(one, jobs) if each]


def main() -> None:
    """Print a summary; exit with 1 if a kernel is refused."""
    started = time.perf_counter()
    kernels = [read_kernel(each) for each in sorted(KERNEL_SOURCES.glob("*.cu"))]
    if not kernels:
        sys.exit(f"no kernel's source in {KERNEL_SOURCES}; run first: make test-cuda")
    nvrtc = ctypes.CDLL(str(folder_of("nvidia.cu13") / "lib" / "libnvrtc.so.13"))
    if unknown := set(ARCHITECTURES) - supported(nvrtc):
        sys.exit(f"this NVRTC does not compile for {', '.join(sorted(unknown))}")
    refused = refusals(nvrtc, kernels)
    if refused:
        print(*refused, f"(What no test uses any more goes with: rm -r {BUILT})", sep="\n")
    jobs = len(kernels) * len(ARCHITECTURES)
    print(
        f"NVRTC compiles {jobs - len(refused)} of {jobs}: {len(kernels)} kernels for "
        f"{', '.join(ARCHITECTURES)}, in {time.perf_counter() - started:.0f} s"
    )
    sys.exit(1 if refused else 0)


if __name__ == "__main__":
    main()
