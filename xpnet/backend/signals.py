"""Ctrl-C, SIGTERM and SIGHUP: the current step is finished first; a second signal stops at once.

The library handles only Ctrl-C, only while training, and it still ends in `KeyboardInterrupt`. A
command calls `interrupt_on_signals` at its start: all three then raise `Interrupted`, at once
outside training and after the current step within it.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


class Interrupted(KeyboardInterrupt):
    """A signal asked to stop. The network is consistent, checkpoints are saved."""

    def __init__(self, number: int) -> None:
        super().__init__(number)  # of which a pickle makes it again
        self.signal = signal.Signals(number)
        self.exit_code = 128 + number  # the shell's convention: 130, 143 or 129

    def __str__(self) -> str:
        return f"stopped by {self.signal.name}"


def interrupt_on_signals() -> None:
    """Let SIGINT, SIGTERM and SIGHUP raise `Interrupted`; what is ignored (nohup) stays ignored."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)  # Windows knows no SIGHUP
        if number is not None and signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _interrupt)


@contextmanager
def finish_step_first(stop: Callable[[], None]) -> Iterator[None]:
    """Within the block, the first signal calls `stop`, and `Interrupted` is raised at the end.

    A second signal raises it at once. Signals that the program handles itself are left to it, and
    nothing changes outside the main thread, where Python delivers no signals.
    """
    received: list[int] = []

    def note(number: int, frame: Any) -> None:
        received.append(number)
        if len(received) > 1:
            raise Interrupted(number)
        stop()

    previous: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        ours = (signal.default_int_handler, _interrupt)
        for number in map(int, signal.valid_signals()):
            if signal.getsignal(number) in ours:
                previous[number] = signal.signal(number, note)
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    if received:
        raise Interrupted(received[0])


def _interrupt(number: int, frame: Any) -> None:
    raise Interrupted(number)
