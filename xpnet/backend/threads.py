"""What this machine computes with: processors, memory, NumPy's BLAS and its kernels."""

import os
import platform
import sys
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from pathlib import Path
from typing import Any

from xpnet.errors import DeviceError

THREAD_VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
# Two threads on two processors that other programs also used took 8 to 50 times as long as one
# for products of 13 million operations (128 x 784 x 64), and 4 times as long for 537 million.
WORTH_SHARING = 1e8
CGROUP = "/sys/fs/cgroup"  # of the container, if any, by cgroup v2


def blas() -> dict[str, Any]:
    """Return the name, version, kernels and threads of NumPy's BLAS; None if not known."""
    import numpy  # noqa: F401  # only libraries that are loaded are found
    from threadpoolctl import threadpool_info

    pools = [each for each in threadpool_info() if each["user_api"] == "blas"]
    found: dict[str, Any] = min(pools, key=lambda each: "numpy" not in each["filepath"], default={})
    names = {"name": "internal_api", "version": "version", "kernels": "architecture",
             "threads": "num_threads"}  # fmt: skip
    return {ours: found.get(its) for ours, its in names.items()}


def blas_threads(count: int) -> AbstractContextManager[Any]:
    """Let BLAS use `count` threads; with one, the number of processors changes no bit."""
    return _controller().limit(limits=count, user_api="blas")  # type: ignore[no-any-return]


@cache
def _controller() -> Any:
    """Return what limits NumPy's BLAS; finding it among all that is loaded takes 10 ms."""
    import numpy  # noqa: F401  # only libraries that are loaded are found
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def threads_for(operations: float) -> AbstractContextManager[Any]:
    """Limit BLAS to one thread if a step's largest product has too few operations to be shared.

    A number of threads set by the user is kept.
    """
    return nullcontext() if operations >= WORTH_SHARING or _user_chose() else blas_threads(1)


def threads_of_each(processes: int) -> AbstractContextManager[Any]:
    """Limit BLAS in one of several processes to its share of the processors; see `threads_for`."""
    return nullcontext() if _user_chose() else blas_threads(max(1, processors() // processes))


def _user_chose() -> bool:
    return any(name in os.environ for name in THREAD_VARIABLES)


def processors() -> int:
    """Return the number of processors that this process may use."""
    linux = sys.platform == "linux"  # which knows
    return len(os.sched_getaffinity(0)) if linux else os.cpu_count() or 1


def free_memory() -> int:
    """Return the bytes that this process may still use; `sys.maxsize` if that is not known."""
    found = [sys.maxsize]
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            found += [int(line.split()[1]) * 1024 for line in file if "MemAvailable" in line]
        limit, used, stat = (
            Path(CGROUP, name).read_text(encoding="ascii").split()
            for name in ("memory.max", "memory.current", "memory.stat")
        )
        if limit != ["max"]:  # what is cached of files goes when memory is needed
            cached = int(stat[stat.index("inactive_file") + 1])
            found.append(max(0, int(limit[0]) - int(used[0]) + cached))
    except OSError:  # another system, or no limit of a container
        pass
    return min(found)


def system_report() -> dict[str, Any]:
    """Return all that `xpnet devices` shows, ready for JSON, with the reason if there is no GPU."""
    import numpy as np

    from xpnet.backend.device import open_device

    gpus, reason = list[str](), ""
    while not reason:
        try:
            open_device(name := f"gpu:{len(gpus)}")
            gpus.append(name)
        except DeviceError as error:
            reason = str(error)
    return {
        "processor": platform.processor() or platform.machine(),
        "processors": processors(),
        "numpy": np.__version__,
        "blas": blas(),
        "gpus": gpus,
        "gpu_reason": "" if gpus else reason,
    }
