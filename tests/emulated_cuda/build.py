"""Build the emulated CUDA, where needed, and make this virtual environment's CuPy use it.

    cd tests && python -m emulated_cuda.build

The libraries go to ``build/emulated_cuda``. A file ``emulated_cuda.pth`` in the environment then
installs the emulation when CuPy is imported; remove it and CuPy looks for a GPU again.
"""

import hashlib
import importlib.metadata
import platform
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path

from emulated_cuda import (
    BUILT,
    CUBLAS,
    EMULATION,
    FACADES,
    FLAGS,
    SOURCES,
    folder_of,
    runtime_module,
)
from emulated_cuda.elf import DYNAMIC_SYMBOLS, symbols
from emulated_cuda.redirect import runtime_functions

TESTED = "14.2.0"  # of cupy-cuda13x
NOT_SUPPORTED = 15  # CUBLAS_STATUS_NOT_SUPPORTED
STAMP = BUILT / "built-from"


def main() -> None:
    """Check, build if the sources changed, and switch the environment over."""
    try:
        check()
        if not (STAMP.is_file() and STAMP.read_text() == digest()):
            build()
            STAMP.write_text(digest())
    except (ImportError, subprocess.CalledProcessError) as error:
        sys.exit(f"The emulated GPU cannot be built: {error}")
    start = f"import sys; sys.path.append({str(SOURCES.parent)!r}); "
    start += "import emulated_cuda; emulated_cuda.install_on_import()\n"
    Path(sysconfig.get_path("purelib"), "emulated_cuda.pth").write_text(start)


def check() -> None:
    """Refuse, with the reason, what the emulation was not made for."""
    here = (platform.system(), platform.machine(), platform.python_implementation())
    if here != ("Linux", "x86_64", "CPython"):
        raise ImportError(f"it needs CPython on x86-64 Linux, and this is {' '.join(here)}")
    if sys.prefix == sys.base_prefix:
        raise ImportError("it needs a virtual environment of its own; run: make test-cuda")
    if shutil.which("g++") is None:
        raise ImportError("there is no g++ here, which compiles the kernels; install it")
    try:
        version = importlib.metadata.version("cupy-cuda13x")
    except importlib.metadata.PackageNotFoundError:
        version = "none"
    if version != TESTED:
        raise ImportError(
            f"it is tested with cupy-cuda13x {TESTED}, and this environment has {version}; "
            "install xpnet[emulated-cuda]"
        )
    folder_of("nvidia.cu13")  # the headers
    runtime_functions(runtime_module())


def digest() -> str:
    """Return what the build depends on, as one number: sources, flags, CuPy, compiler."""
    text = [TESTED, FLAGS, str(SOURCES), run("g++", "--version")]
    files = sorted([*SOURCES.glob("*.cpp"), *SOURCES.glob("*.h"), SOURCES / "build.py"])
    text += [each.read_text(encoding="utf-8") for each in files]
    return hashlib.sha256("\0".join(text).encode()).hexdigest()


def build() -> None:
    """Compile the library, its facades, and the header that goes before each kernel."""
    shutil.rmtree(BUILT, ignore_errors=True)  # kernels compiled with other sources too
    BUILT.mkdir(parents=True)
    headers = folder_of("nvidia.cu13")
    options = ("-std=c++17", "-O2", "-Wall", "-fPIC", f"-I{headers / 'include'}")
    objects = []
    for source in sorted(SOURCES.glob("*.cpp")):
        fast = ("-O3",) if source.name == "products.cpp" else ()
        objects.append(BUILT / f"{source.name}.o")
        run("g++", *options, *fast, "-c", source, "-o", objects[-1])
    shared_library(EMULATION, *objects, "-ldl")
    for name in FACADES:
        facade(name, "")
    refusals = (f'extern "C" int {name}() {{ return {NOT_SUPPORTED}; }}\n' for name in unwritten())
    facade(CUBLAS, "".join(refusals))
    shutil.copy(SOURCES / "prelude.h", BUILT)
    precompile(BUILT / "prelude.h")


def precompile(header: Path) -> None:
    """Compile the header that goes before each kernel, with CuPy's headers that it includes."""
    include = folder_of("cupy") / "_core" / "include"
    parts = (include / "cupy" / "_cccl" / each for each in ("cub", "thrust", "libcudacxx"))
    options = [*FLAGS.split(), f"-I{include}", *(f"-I{each}" for each in parts)]
    run("g++", *options, "-x", "c++-header", header, "-o", f"{header}.gch")


def facade(name: str, source: str) -> None:
    """Make a library of one of NVIDIA's names that brings in the emulation."""
    code, versions = BUILT / f"{name}.cpp", BUILT / f"{name}.map"
    code.write_text(source)
    versions.write_text(f"{name} {{ global: *; }};\n")  # CuPy asks for this version of the symbols
    shared_library(
        name, f"-Wl,--version-script={versions}", code, f"-L{BUILT}", "-Wl,--no-as-needed",
        f"-l:{EMULATION}", "-Wl,-rpath,$ORIGIN",
    )  # fmt: skip


def shared_library(name: str, *arguments: object) -> None:
    """Link a library whose name, as the loader sees it, is its file's."""
    run("g++", "-shared", "-fPIC", f"-Wl,-soname,{name}", "-o", BUILT / name, *arguments)


def unwritten() -> Iterable[str]:
    """Return the functions of cuBLAS that CuPy looks up and the emulation has not."""
    (module,) = (runtime_module().parents[1] / "libs").glob("cublas.*.so")
    wanted = {each.name for each in symbols(module, DYNAMIC_SYMBOLS) if not each.defined}
    written = {each.name for each in symbols(BUILT / EMULATION, DYNAMIC_SYMBOLS) if each.defined}
    return sorted(name for name in wanted - written if name.startswith("cublas"))


def run(*command: object) -> str:
    """Run a command; return what it printed."""
    arguments = [str(each) for each in command]
    return subprocess.run(arguments, check=True, stdout=subprocess.PIPE, text=True).stdout


if __name__ == "__main__":
    main()
