"""Which BLAS and kernels NumPy uses, and how many threads."""

import os
from collections.abc import Iterator

import numpy as np
import pytest
import threadpoolctl

from xpnet.backend.threads import (
    THREAD_VARIABLES,
    WORTH_SHARING,
    blas,
    gpus,
    one_thread,
    system_report,
    threads_for,
)


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
