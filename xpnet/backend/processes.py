"""Work in forked processes of Linux, which begin with all that this one has in memory."""

import ctypes
import gc
import os
import pickle
import select
import signal
import warnings
from collections.abc import Callable, Generator, Iterable
from typing import Any, NoReturn, TypeVar

Item = TypeVar("Item")
Signals = set[int | signal.Signals]
PR_SET_PDEATHSIG = 1


def in_processes(
    work: Callable[[Item], Any], items: Iterable[Item], count: int
) -> Generator[tuple[Item, Any], None, None]:
    """Yield each item and what the work on it gives, as they finish; None where it fails.

    Up to `count` processes run at once. They end when the iterator is closed.
    """
    waiting, running = list(items), dict[int, tuple[int, Item]]()
    try:
        while waiting or running:
            while waiting and len(running) < count:
                mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
                try:  # a signal just after the fork would run this process's `finally` in the child
                    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
                    process, pipe = _forked(work, waiting[0], mask)
                    running[pipe] = process, waiting.pop(0)
                finally:
                    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            for pipe in select.select([*running], [], [])[0]:
                process, item = running.pop(pipe)
                with open(pipe, "rb") as file:
                    answer = file.read()
                _, status = os.waitpid(process, 0)
                failed = status or not answer
                yield item, None if failed else pickle.loads(answer)  # noqa: S301  # of a child
    finally:
        for pipe, (process, _) in running.items():
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
            os.close(pipe)


def _forked(work: Callable[[Item], Any], item: Item, mask: Signals) -> tuple[int, int]:
    """Return the number of a new process, and the pipe to which it answers."""
    reading, writing = os.pipe()
    with warnings.catch_warnings():  # Polars' threads are not there in the child, nor needed
        warnings.simplefilter("ignore", DeprecationWarning)
        process = os.fork()
    if not process:
        _answer(work, item, writing, mask)
    os.close(writing)
    return process, reading


def _answer(work: Callable[[Item], Any], item: Item, pipe: int, mask: Signals) -> NoReturn:
    status = 1
    try:
        # It ends with the parent, however that ends.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        gc.freeze()  # what is there already need not be looked at, and copied for that
        answer = pickle.dumps(work(item))
        with open(pipe, "wb") as file:
            file.write(answer)
        status = 0
    finally:  # whatever happened: what is left to write, and to tell, is the parent's
        os._exit(status)
