"""Libraries that are loaded by the tests that use them, not when tests are collected.

All that a process has loaded makes each of the doctor's forks dearer: twice with scikit-learn.
"""

from typing import Any

import pytest


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
