"""Two network namespaces joined by a link with a delay and a rate, on which MPI runs; needs root.

Linux' own emulation of a network (netem) is not in every kernel. So the ends of the link are two
TUN devices, and threads of this process carry packets from one to the other, each after its time.
"""

import fcntl
import os
import queue
import struct
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

TUNSETIFF, TUN_WITHOUT_HEADER = 0x400454CA, 0x1001
MTU = 65_000
ADDRESSES = ("10.77.0.1", "10.77.0.2")
LAUNCHER = """#!/bin/sh
while [ "${1#-}" != "$1" ]; do shift; done
name=xpnet-$1; shift
exec ip netns exec "$name" sh -c "$*"
"""


def come_first(*, yes: bool = True) -> None:
    """Let this thread run before all other programs of the machine, where that is allowed."""
    with suppress(PermissionError):
        kind = os.SCHED_FIFO if yes else os.SCHED_OTHER
        os.sched_setscheduler(0, kind, os.sched_param(10 if yes else 0))


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


def _end(number: int) -> int:
    """Make a namespace with a TUN device; return the file of its packets."""
    own, other = ADDRESSES[number], ADDRESSES[1 - number]
    space, device = f"xpnet-{own}", f"xpnet{number}"
    _ip("netns", "add", space)
    end = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(end, TUNSETIFF, struct.pack("16sH22x", device.encode(), TUN_WITHOUT_HEADER))
    _ip("link", "set", device, "netns", space)
    _ip("-n", space, "addr", "add", own, "peer", other, "dev", device)
    _ip("-n", space, "link", "set", device, "mtu", str(MTU), "up")
    _ip("-n", space, "link", "set", "lo", "up")
    return end


def _carry(source: int, target: int, delay: float, rate: float) -> None:
    """Carry packets from one end to the other, with two threads."""
    sent: queue.SimpleQueue[tuple[float, bytes]] = queue.SimpleQueue()

    def read() -> None:
        come_first()
        free = 0.0  # when the last packet has left
        while True:
            try:
                packet = os.read(source, MTU + 100)
            except OSError:  # the link is gone
                return
            free = max(free, time.perf_counter()) + 8 * len(packet) / rate
            sent.put((free + delay, packet))

    def write() -> None:
        come_first()
        while True:
            due, packet = sent.get()
            while (left := due - time.perf_counter()) > 0.0:
                time.sleep(left)
            os.write(target, packet)

    for each in (read, write):
        threading.Thread(target=each, daemon=True).start()


@contextmanager
def link(mpiexec: str, delay: float, rate: float) -> Iterator[list[str]]:
    """Give the words that start mpiexec on both ends; seconds one way, and bits per second."""
    for own in ADDRESSES:
        subprocess.run(["ip", "netns", "delete", f"xpnet-{own}"], check=False, capture_output=True)
    ends = [_end(number) for number in (0, 1)]
    _carry(ends[0], ends[1], delay, rate)
    _carry(ends[1], ends[0], delay, rate)
    with tempfile.TemporaryDirectory() as folder:
        launcher = Path(folder, "launch")
        launcher.write_text(LAUNCHER)
        launcher.chmod(0o755)
        yield ["ip", "netns", "exec", f"xpnet-{ADDRESSES[0]}", "env", "UCX_TLS=tcp,self", mpiexec,
               "-launcher", "ssh", "-launcher-exec", str(launcher), "-hosts", ",".join(ADDRESSES),
               "-ppn", "1"]  # fmt: skip
    for own in ADDRESSES:
        _ip("netns", "delete", f"xpnet-{own}")
