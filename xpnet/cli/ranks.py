"""`mpiexec -n 4 xpnet train ...`: one network, trained by several processes.

The first one, of rank 0, reads and prepares the table, and sends each of the others its rows. Only
it prints, writes and saves checkpoints.
"""

import os
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any, NoReturn

from xpnet.cli import output
from xpnet.errors import InputError

# What MPICH and Open MPI tell the processes that they start.
RANKS = ("PMI_RANK", "OMPI_COMM_WORLD_RANK")
RANKS_ON_MACHINE = ("MPI_LOCALRANKID", "OMPI_COMM_WORLD_LOCAL_RANK")
SAME_ERROR_SECONDS = 2.0  # an error that all have is told by the first one
HEARD_SECONDS = 0.5  # mpiexec may drop what a process said just before it aborts


def rank() -> int | None:
    """Return this process's number among those that mpiexec started; None without mpiexec."""
    return _number(RANKS)


@cache
def communicator() -> Any:
    """Return the communicator of all processes; None without mpiexec."""
    number = rank()
    if number is None:
        return None
    try:
        from mpi4py import MPI
    except ImportError as error:
        raise InputError("mpiexec: needs mpi4py: pip install 'xpnet[mpi]'") from error
    if number:
        output.speaker = f"rank {number}: "
        warnings.simplefilter("ignore")
    return MPI.COMM_WORLD


def sent(task: Any) -> Any:
    """Return the first process's `Task`, in the others with the rows that it sends them."""
    comm = communicator()
    if comm is None:
        return task
    from xpnet.training.parallel import SentRows

    of_all = comm.bcast(task and replace(task, x=None))
    return replace(of_all, x=SentRows(comm, task and task.x))


def described(chunks: int | None) -> str:
    """Describe the number of processes, and what depends on it."""
    from xpnet.training.parallel import chunks_for

    count = communicator().size
    most = chunks_for(chunks, count)
    same = f"any number up to {most} gives the same bits"
    return f"{count}; {same if most else 'another number gives other bits (plain Allreduce)'}"


def own_device(device: str) -> str:
    """Return the device of this process: each takes another of several GPUs."""
    return f"gpu:{_number(RANKS_ON_MACHINE) or 0}" if device == "gpu" and rank() else device


def end_all(tell: Callable[[], int]) -> NoReturn:
    """Print the error, and end all processes with its exit status."""
    try:
        abort: Callable[[int], Any] = communicator().Abort
    except InputError:  # without mpi4py all have the same error, and none can end the others
        abort = os._exit
        tell = tell if rank() == 0 else lambda: 2
    if rank():
        time.sleep(SAME_ERROR_SECONDS)
    status = tell()
    time.sleep(HEARD_SECONDS)
    try:
        abort(status)
    finally:
        os._exit(status)


def _number(names: tuple[str, ...]) -> int | None:
    found = [os.environ[name] for name in names if name in os.environ]
    return int(found[0]) if found else None
