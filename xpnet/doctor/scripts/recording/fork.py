"""Forked children that run on alone, unnoticed from outside, and answer one question each.

A child gets nothing of the outside and leaves nothing there: its files, sockets and pipes lead
nowhere, its files may not grow, and what Python tells its audit hooks of is refused; what C code
does to files by itself, the kernel refuses.
"""

import builtins
import ctypes
import fcntl
import gc
import io
import os
import pickle
import random
import resource
import select
import signal
import stat
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NoReturn

from xpnet.backend.threads import processors

AT_ONCE = min(4, processors())
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
OUTSIDE = {"os", "shutil", "subprocess", "socket", "sqlite3", "syslog", "webbrowser", "pty"}
HARMLESS = {"os.listdir", "os.scandir", "os.walk", "os.chdir", "os.putenv", "os.unsetenv"}
# Modules that write files, or to other computers, without asking Python.
UNGUARDED = ("h5py", "netCDF4", "tables", "sqlite3", "cv2", "pyarrow", "polars", "torch")
# Landlock's calls have the same numbers on every processor; what its versions can refuse.
CREATE_RULESET, RESTRICT_SELF, NO_NEW_PRIVILEGES = 444, 446, 38
WRITE_REMOVE_MAKE, REFER, TRUNCATE = 0x1FF2, 1 << 13, 1 << 14

_leave = os._exit  # which a script's run replaces


@dataclass(frozen=True)
class Child:
    """The child that this process is; it has yet to answer."""

    pipe: int

    def answer(self, what: Any) -> NoReturn:
        """Send an answer to the parent, and end."""
        with open(self.pipe, "wb") as file:
            pickle.dump(what, file, pickle.HIGHEST_PROTOCOL)
        _leave(0)


def obstacle() -> str:
    """Return why no child may run now; empty if it may."""
    if sys.platform != "linux":
        return "this system is not Linux"
    if threading.active_count() > 1:
        return "other threads of the script are running"
    with open("/proc/self/maps", encoding="utf-8", errors="replace") as file:
        if any(line.split()[1] == "rw-s" for line in file):
            return "the script shares memory with a file, a device or another process"
    loaded = [each for each in UNGUARDED if each in sys.modules]
    if loaded and not _landlock():
        return f"{loaded[0]} could write files, and this kernel has no Landlock to keep it from it"
    return ""


def ask(changes: Sequence[Callable[[], None]], seconds: float) -> "list[Any] | Child":
    """Fork once for each change; return the answers, None where there was none in time.

    A child makes its change, and gets itself as a `Child`: it must go on until it can answer.
    """
    answers: list[Any] = []
    for first in range(0, len(changes), AT_ONCE):
        started: list[tuple[int, int]] = []
        try:
            for change in changes[first : first + AT_ONCE]:
                found = _start(change)
                if isinstance(found, Child):
                    started.clear()  # the other children are not its own
                    return found
                started.append(found)
            deadline = time.monotonic() + seconds
            answers += [_read(pipe, deadline) for _, pipe in started]
        finally:  # also if the script is interrupted meanwhile
            for process, pipe in started:
                os.close(pipe)
                os.kill(process, signal.SIGKILL)
                os.waitpid(process, 0)
    return answers


def _start(change: Callable[[], None]) -> "tuple[int, int] | Child":
    """Return the child's number and the pipe it answers to; in the child, itself."""
    reading, writing = os.pipe()
    state = random.getstate()  # Python gives a child another
    process = os.fork()
    if process:
        os.close(writing)
        return process, reading
    random.setstate(state)
    _isolate(writing)
    change()
    return Child(writing)


def _read(pipe: int, deadline: float) -> Any:
    received = bytearray()
    while select.select([pipe], [], [], max(0.0, deadline - time.monotonic()))[0]:
        block = os.read(pipe, 1 << 20)
        if not block:
            return pickle.loads(received) if received else None  # noqa: S301  # our own child's
        received += block
    return None


def _isolate(pipe: int) -> None:
    """Cut this child off from all but the files that it only reads, and the pipe."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    gc.disable()  # it would copy the memory that parent and child share
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in map(int, os.listdir("/proc/self/fd")):
        if number not in (pipe, nowhere):
            _cut_off(number, nowhere)
    opened = io.open

    def open_nowhere(file: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        writes = set(mode) & set("wax+") and not isinstance(file, int)
        return opened(os.dup(nowhere) if writes else file, mode.replace("x", "w"), *args, **kwargs)

    builtins.open = io.open = open_nowhere
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    # The kernel refuses that files are written, made or removed, by C code too.
    library, version = ctypes.CDLL(None), _landlock()
    refused = WRITE_REMOVE_MAKE | (REFER if version > 1 else 0) | (TRUNCATE if version > 2 else 0)
    ruleset = library.syscall(CREATE_RULESET, ctypes.byref(ctypes.c_uint64(refused)), 8, 0)
    library.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    library.syscall(RESTRICT_SELF, ruleset, 0)
    sys.addaudithook(_refuse)


def _cut_off(number: int, nowhere: int) -> None:
    """Let a descriptor lead nowhere; give a file that is only read a position of its own."""
    try:
        read = fcntl.fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY
        if not (read and stat.S_ISREG(os.fstat(number).st_mode)):
            os.dup2(nowhere, number)
            return
        position = os.lseek(number, 0, os.SEEK_CUR)
        own = os.open(f"/proc/self/fd/{number}", os.O_RDONLY)
        os.lseek(own, position, os.SEEK_SET)
        os.dup2(own, number)
        os.close(own)
    except OSError:  # it is closed, such as the folder's that was listed
        return


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    """Refuse what could be seen outside, as an audit hook."""
    if event == "open":
        path, _, flags = arguments
        outside = bool(flags & WRITING) and not isinstance(path, int) and path != os.devnull
    else:
        outside = event.partition(".")[0] in OUTSIDE and event not in HARMLESS
    if outside:
        raise PermissionError(f"{event}: kept back while a gradient is measured")


@cache
def _landlock() -> int:
    """Return the version of the kernel's Landlock; 0 if it has none."""
    return max(0, int(ctypes.CDLL(None).syscall(CREATE_RULESET, None, 0, 1)))
