"""Ctrl-C, SIGTERM and SIGHUP: the current step is finished first; a second signal stops at once.

The library handles only Ctrl-C, only while training, and raises a `KeyboardInterrupt`. The command
calls `interrupt_on_signals` at its start: all three signals then raise `Interrupted`, during
training after the current step, and otherwise at once.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


class Interrupted(KeyboardInterrupt):
    """A signal stopped the run. The network is consistent, and checkpoints are saved."""

    def __init__(self, number: int) -> None:
        super().__init__(number)  # of which a pickle makes it again
        self.signal = signal.Signals(number)
        self.exit_code = 128 + number  # the shell's convention: 130, 143 or 129

    def __str__(self) -> str:
        return f"stopped by {self.signal.name}"


def interrupt_on_signals() -> None:
    """Let SIGINT, SIGTERM and SIGHUP raise `Interrupted`, unless they are ignored (nohup)."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)  # Windows knows no SIGHUP
        if number is not None and signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _interrupt)


@contextmanager
def finish_step_first(stop: Callable[[], None]) -> Iterator[None]:
    """Let the first signal within the block call `stop`, and raise `Interrupted` at its end.

    A second signal raises it at once. Signals that the program handles itself are left to it.
    Nothing changes outside the main thread, where Python delivers no signals.
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
