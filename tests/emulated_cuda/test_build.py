"""What the emulation was not made for is refused in one sentence, wherever these tests run."""

import importlib.metadata
import platform
import shutil
import subprocess
import sys

import pytest

import emulated_cuda
from emulated_cuda import build
from emulated_cuda.elf import DYNAMIC_SYMBOLS, FUNCTION, SYMBOLS, symbols
from emulated_cuda.redirect import runtime_functions


@pytest.fixture
def supported(monkeypatch):
    """Have this machine look like one that can build, up to CuPy."""
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(platform, "python_implementation", lambda: "CPython")
    monkeypatch.setattr(sys, "prefix", "an environment")
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/g++")
    monkeypatch.setattr(importlib.metadata, "version", lambda name: build.TESTED)


@pytest.mark.parametrize(
    ("module", "name", "value", "reason"),
    [
        (platform, "machine", lambda: "aarch64", "x86-64 Linux, and this is Linux aarch64 CPython"),
        (sys, "prefix", sys.base_prefix, "needs a virtual environment of its own"),
        (shutil, "which", lambda name: None, "no g\\+\\+ here"),
        (importlib.metadata, "version", lambda name: "14.9.0", "14.2.0, and this .* has 14.9.0"),
    ],
)
def test_what_cannot_work_is_refused_with_the_reason(
    supported, monkeypatch, module, name, value, reason
):
    monkeypatch.setattr(module, name, value)
    with pytest.raises(SystemExit, match=f"^The emulated GPU cannot be built: .*{reason}"):
        build.main()


@pytest.fixture
def library(tmp_path):
    """Compile a library with one function of its own, and without symbols if it is stripped."""
    if shutil.which("g++") is None:
        pytest.skip("there is no g++ here")

    def compiled(*options):
        source, path = tmp_path / "one.cpp", tmp_path / "one.so"
        source.write_text('extern "C" int cudaMalloc() { return 2; } int cudaless() { return 3; }')
        subprocess.run(["g++", "-shared", "-fPIC", *options, source, "-o", path], check=True)
        return path

    return compiled


@pytest.mark.process
def test_the_runtimes_functions_are_found_by_name_in_a_library(library):
    path = library()
    found = {each.name: each for each in symbols(path, DYNAMIC_SYMBOLS)}
    assert found["cudaMalloc"].defined
    assert found["cudaMalloc"].kind == FUNCTION
    assert runtime_functions(path) == {"cudaMalloc": found["cudaMalloc"].address}


@pytest.mark.process
def test_a_build_of_cupy_without_symbols_is_refused(library):
    path = library("-s")
    assert not list(symbols(path, SYMBOLS))
    with pytest.raises(ImportError, match=r"one.so has no symbols of the CUDA runtime"):
        runtime_functions(path)


def test_without_a_build_the_import_of_cupy_says_what_to_run(monkeypatch, tmp_path):
    monkeypatch.setattr(emulated_cuda, "BUILT", tmp_path)
    with pytest.raises(
        ImportError, match=r"the emulated CUDA is not built in .*; run: make test-cuda"
    ):
        emulated_cuda.install()
