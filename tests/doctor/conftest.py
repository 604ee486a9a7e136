"""What holds for all tests of the doctor."""

import ctypes
import gc
import sys

import pytest

from xpnet.doctor.scripts.recording.fork import Child

FORKING = ("test_script_", "test_finding_")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run first what forks: that takes ten times as long once PyTorch and others are loaded."""
    items.sort(key=lambda item: not item.path.name.startswith(FORKING))


def pytest_collection_finish():
    """Let no collection of garbage look at what lasts as long as the tests do."""
    gc.freeze()


@pytest.fixture(autouse=True)
def little_memory(request):
    """Give back what earlier tests have left: a fork takes as long as there is memory to share."""
    if sys.platform == "linux" and request.node.get_closest_marker("process"):
        gc.collect()
        getattr(ctypes.CDLL(None), "malloc_trim", int)(0)  # glibc has it


@pytest.fixture(autouse=True)
def enough_time(request, monkeypatch):
    """Let scripts be recorded, however busy the machine is, and by "process" measured at one step.

    Of hundreds of steps fifteen are looked at, as where looking is dear; by "many_steps", sixty.
    """
    process, many_steps = map(request.node.get_closest_marker, ("process", "many_steps"))
    monkeypatch.setattr("xpnet.doctor.scripts.recording.budget.FREE_SECONDS", 60.0)
    monkeypatch.setattr("xpnet.doctor.scripts.gradients.measure.POINTS", int(bool(process)))
    if not many_steps:
        monkeypatch.setattr("xpnet.doctor.scripts.recording.trace.FIRST", -1.0)


@pytest.fixture
def counted(traced, monkeypatch):
    """Let what children execute count in the coverage: they may write, but nothing else is new."""
    coverage = sys.modules.get("coverage")
    running = coverage and coverage.Coverage.current()
    if not running or not traced:
        return
    running.save()  # what the parent has covered need not be written by each child
    answer = Child.answer

    def save_and_answer(self, what):
        running.stop()
        running.save()
        answer(self, what)

    monkeypatch.setattr(Child, "answer", save_and_answer)
    monkeypatch.setattr("xpnet.doctor.scripts.recording.fork._isolate", lambda pipe: None)
