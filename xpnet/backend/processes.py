"""Work in forked processes of Linux, which start with the memory of this one."""

import ctypes
import gc
import signal
import warnings
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import active_children, get_context
from typing import Any, TypeVar

Item = TypeVar("Item")
PR_SET_PDEATHSIG = 1
_work: Callable[[Any], Any]  # that a process does


def in_processes(
    work: Callable[[Item], Any], items: Iterable[Item], count: int
) -> Generator[tuple[Item, Any], None, None]:
    """Yield each item and its result, in the order in which they finish; None if the work fails.

    Up to `count` processes run at once. They end when the iterator is closed.
    """
    others = {*active_children()}
    pool = ProcessPoolExecutor(count, get_context("fork"), _begin, (work,))
    # Signals stay blocked in the processes: they are for this one, which ends the others.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        with warnings.catch_warnings():  # Polars' threads are not there in the child, nor needed
            warnings.simplefilter("ignore", DeprecationWarning)
            running = {_submitted(pool, each): each for each in items}
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for each in as_completed(running):
            yield running[each], None if each.exception() else each.result()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        pool.shutdown(wait=False, cancel_futures=True)
        for process in {*active_children()} - others:
            process.kill()


def _submitted(pool: ProcessPoolExecutor, item: Any) -> Future[Any]:
    try:
        return pool.submit(_answer, item)
    except BrokenProcessPool as error:  # an earlier item's process has ended already
        failed = Future[Any]()
        failed.set_exception(error)
        return failed


def _begin(work: Callable[[Any], Any]) -> None:
    global _work
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # ends it with its parent
    gc.freeze()  # what is there already need not be looked at, and copied for that
    _work = work


def _answer(item: Any) -> Any:
    return _work(item)
