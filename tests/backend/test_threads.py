"""Which BLAS and kernels NumPy uses, and when the command line chooses them."""

import itertools
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import threadpoolctl

from xpnet.backend.threads import (
    AVX512,
    CORETYPE,
    THREAD_VARIABLES,
    WORTH_SHARING,
    blas,
    choose_kernels,
    gpus,
    one_thread,
    processor,
    system_report,
    threads_for,
)


def cpuinfo(folder: Path, flags: str) -> str:
    path = folder / "cpuinfo"
    path.write_text(
        f"processor\t: 0\nmodel name\t: Test CPU\nflags\t\t: {flags}\nmodel name: other\n"
    )
    return str(path)


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """As at the start of the program: NumPy not loaded, nothing chosen."""
    monkeypatch.delitem(sys.modules, "numpy")


def test_the_processor_is_read_from_its_first_entry(tmp_path: Path) -> None:
    assert processor(cpuinfo(tmp_path, "sse avx2")) == ("Test CPU", frozenset({"sse", "avx2"}))
    assert processor(str(tmp_path / "absent")) == ("", frozenset())
    (tmp_path / "arm").write_text("processor : 0\nFeatures : asimd\n")
    assert processor(str(tmp_path / "arm")) == ("", frozenset())


@pytest.mark.usefixtures("fresh")
def test_kernels_are_chosen_where_the_processor_has_every_instruction(tmp_path: Path) -> None:
    environment: dict[str, str] = {}
    assert choose_kernels(environment, cpuinfo(tmp_path, " ".join(AVX512)))
    assert environment == {CORETYPE: "SkylakeX"}


@pytest.mark.usefixtures("fresh")
def test_kernels_are_left_alone_without_one_of_the_instructions(tmp_path: Path) -> None:
    environment: dict[str, str] = {}
    for absent in AVX512:
        assert not choose_kernels(environment, cpuinfo(tmp_path, " ".join(AVX512 - {absent})))
    assert environment == {}


@pytest.mark.usefixtures("fresh")
def test_what_the_user_has_set_is_left_alone(tmp_path: Path) -> None:
    environment = {CORETYPE: "Haswell"}
    assert not choose_kernels(environment, cpuinfo(tmp_path, " ".join(AVX512)))
    assert environment == {CORETYPE: "Haswell"}


def test_kernels_are_not_chosen_once_numpy_is_loaded(tmp_path: Path) -> None:
    assert "numpy" in sys.modules
    assert not choose_kernels({}, cpuinfo(tmp_path, " ".join(AVX512)))


def test_blas_is_named_with_kernels_and_threads() -> None:
    found = blas()
    assert found["name"]
    assert found["version"]
    assert found["threads"] >= 1


@pytest.fixture
def two_threads() -> Iterator[None]:
    with threadpoolctl.threadpool_limits(2, user_api="blas"):
        yield


@pytest.mark.usefixtures("two_threads")
def test_one_thread_limits_blas_and_lets_go() -> None:
    before = blas()["threads"]
    with one_thread():
        assert blas()["threads"] == 1
    assert blas()["threads"] == before


@pytest.mark.usefixtures("two_threads")
def test_small_products_get_one_thread_unless_the_user_chose(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in THREAD_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    before = blas()["threads"]
    with threads_for(WORTH_SHARING / 2):
        assert blas()["threads"] == 1
    with threads_for(WORTH_SHARING):
        assert blas()["threads"] == before
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    with threads_for(WORTH_SHARING / 2):
        assert blas()["threads"] == before


def test_gpus_are_listed_or_the_reason_given() -> None:
    usable, reason = gpus()
    assert reason  # why there is no further one
    assert all(name.startswith("gpu:") for name in usable)


def test_the_report_is_whole() -> None:
    report = system_report()
    assert report["processors"] <= (os.cpu_count() or 1)
    assert {"processor", "numpy", "blas", "gpus", "gpu_reason"} <= set(report)


def test_the_blas_reported_is_numpys_own_whatever_else_is_loaded(monkeypatch):
    one = {"user_api": "blas", "internal_api": "openblas", "num_threads": 2, "prefix": ""}
    pools = [
        one | {"filepath": "/lib/scipy.libs/libopenblas.so", "version": "0.3.30"},
        one | {"filepath": "/lib/torch/lib/libmkl.so", "version": "2024"},
        one | {"filepath": "/lib/numpy.libs/libopenblas.so", "version": "0.3.31"},
    ]
    for order in itertools.permutations(pools):
        monkeypatch.setattr(threadpoolctl, "threadpool_info", lambda order=order: list(order))
        assert blas()["version"] == "0.3.31"


def test_a_library_that_is_not_numpys_is_not_reported_for_it(monkeypatch):
    built = {"Build Dependencies": {"blas": {"name": "mkl-dynamic-lp64-seq", "version": "2026.2"}}}
    scipys = {"user_api": "blas", "internal_api": "openblas", "num_threads": 2}
    scipys |= {"filepath": "/lib/scipy.libs/libopenblas.so", "version": "0.3.30"}
    monkeypatch.setattr(np, "show_config", lambda mode: built)
    monkeypatch.setattr(threadpoolctl, "threadpool_info", lambda: [scipys])
    unknown = {"kernels": None, "threads": None}
    assert blas() == {"name": "mkl-dynamic-lp64-seq", "version": "2026.2"} | unknown
    mine = scipys | {"internal_api": "mkl", "filepath": "/lib/libmkl_rt.so", "version": "2026.2"}
    monkeypatch.setattr(threadpoolctl, "threadpool_info", lambda: [scipys, mine])
    assert blas() == {"name": "mkl", "version": "2026.2", "kernels": None, "threads": 2}
