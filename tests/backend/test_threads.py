"""Which BLAS and kernels NumPy uses, and how many threads."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import threadpoolctl

from xpnet.backend.threads import (
    THREAD_VARIABLES,
    WORTH_SHARING,
    blas,
    free_memory,
    system_report,
    threads_for,
)


def test_free_memory_is_what_the_others_in_a_container_have_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("xpnet.backend.threads.CGROUP", str(tmp_path))
    for name, text in (
        ("memory.max", "1000000\n"),
        ("memory.current", "700000\n"),
        ("memory.stat", "anon 1\ninactive_file 200000\nactive_file 3\n"),
    ):
        (tmp_path / name).write_text(text)
    assert free_memory() == 500_000
    (tmp_path / "memory.max").write_text("max\n")
    assert free_memory() > 1_000_000


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
