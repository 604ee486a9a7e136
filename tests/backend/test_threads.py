"""Which BLAS and kernels NumPy uses, and how many threads."""

import os
from collections.abc import Iterator

import pytest
import threadpoolctl

from xpnet.backend.threads import (
    THREAD_VARIABLES,
    WORTH_SHARING,
    blas,
    system_report,
    threads_for,
)


@pytest.fixture
def two_threads() -> Iterator[None]:
    with threadpoolctl.threadpool_limits(2, user_api="blas"):
        yield


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


def test_the_report_names_blas_and_gpus_or_says_why_there_is_none() -> None:
    report = system_report()
    assert report["processors"] <= (os.cpu_count() or 1)
    assert {"processor", "numpy", "blas", "gpus", "gpu_reason"} <= set(report)
    assert report["blas"]["name"]
    assert report["blas"]["version"]
    assert report["blas"]["threads"] >= 1
    assert all(name.startswith("gpu:") for name in report["gpus"])
    assert report["gpus"] or report["gpu_reason"]
