"""Other people's code: loaded by the tests that use it, and coverage does not look.

All that a process has loaded when tests are collected makes each of the doctor's forks dearer:
twice with scikit-learn.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest


@contextmanager
def untraced() -> Iterator[None]:
    """Keep coverage from what runs here: under its eyes all Python code takes twice as long."""
    tracer = sys.gettrace()
    if not type(tracer).__module__.startswith("coverage"):
        yield
        return
    sys.settrace(None)
    try:
        yield
    finally:
        sys.settrace(tracer)


class Library:
    """A library by its name; a test that uses it is skipped where it is not installed."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # pytest asks all that a module holds for some
            raise AttributeError(name)
        return getattr(pytest.importorskip(self._name), name)


numba, onnxruntime, polars, scipy, sklearn = map(
    Library, ("numba", "onnxruntime", "polars", "scipy", "sklearn")
)
verdict = Library("xpnet.estimators.verdict")  # whose warnings are scikit-learn's
