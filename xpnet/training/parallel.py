"""One training on several processes (MPI, extra ``mpi``): each computes its chunks of every batch.

The rows are cut into chunks, and a batch takes as many rows from each. A process holds the rows of
some neighbouring chunks and computes their gradients at once, as those of a stack of networks.
Gradients are added in pairs, and their sums in pairs again: those of one process first, then those
of all, each process a slice. The pairs depend on the number of chunks alone, so the network has the
same bits for any number of processes. With 0 chunks each process has one, and MPI adds them in an
order of its own. Validation rows are on all processes.
"""

import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from xpnet.backend.device import CPU, for_many, to_host
from xpnet.errors import InputError
from xpnet.nn.arrays import Batch, is_row_source
from xpnet.training.batches import Data, epoch_order, gather, rows_of
from xpnet.training.dropout import Dropout
from xpnet.training.history import History
from xpnet.training.loop import INTERRUPTED, Training
from xpnet.training.step import Step, make_step

CHUNKS = 4
MAX_SECONDS = 15.0  # that a process waits for the others at one step
SECONDS_TO_SAY_SO = 2.0
SEEDS_APART = 1 << 32  # of two chunks: the seeds of networks are small
SENT_BYTES = 1 << 23
SLICED = 1 << 17  # numbers; fewer, or those of two, are added by all: one message less
LOSS, WEIGHT, STOPS = range(-3, 0)  # what is sent with a gradient, at its end


class ParallelTraining(Training):
    """A run whose gradients are computed by all processes of an mpi4py communicator.

    On all of them it is made with the same network, data and options. Row orders and masks differ
    from those of a `Training`; the batch size is rounded up to a multiple of the chunks.
    """

    def __init__(self, comm: Any, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        chunks = chunks_for(self.options.chunks, comm.size)
        self.comm, self.chunks, self.in_pairs = comm, chunks or comm.size, chunks > 0
        if not comm.size <= self.chunks <= self.rows:
            told = f"{comm.size} processes, {self.chunks} chunks of a batch, {self.rows} rows"
            raise InputError(f"{told}: give every process a chunk, and every chunk a row")
        self._chunk_rows = -(-self.batch_size // self.chunks)
        self.batch_size = self._chunk_rows * self.chunks
        edges = [self.rows * chunk // self.chunks for chunk in range(self.chunks + 1)]
        every = chunks_of_each(range(self.chunks), comm.size)
        own = every[comm.rank]
        starts, stops = edges[own.start : own.stop], edges[own.start + 1 : own.stop + 1]
        rows_of_each = [range(edges[each.start], edges[each.stop]) for each in every]
        self._own = _rows_here(self.net, self.data, rows_of_each, comm.rank)
        self._starts = [each - starts[0] for each in starts]
        self._counts = [stop - start for start, stop in zip(starts, stops, strict=True)]
        self._seeds = [self.seed + SEEDS_APART * (chunk + 1) for chunk in own]
        shape = (len(own), self.net.flat.shape[0])
        flat = self.net.device.xp.broadcast_to(self.net.flat, shape)
        self._stack = self.net.with_parameters(flat, for_many(self.net.device))
        self.dropout = Dropout(self._stack, self.seed)
        self._asked_to_stop = False

    def run(self) -> History:
        """Train as `Training.run` does; what interrupts one process interrupts all."""
        history = super().run()
        if self.stop_reason == INTERRUPTED:
            raise KeyboardInterrupt(INTERRUPTED)
        return history

    def stop(self, reason: str) -> None:
        """End the run; what comes from outside is agreed on with the next step."""
        if reason == INTERRUPTED:
            self._asked_to_stop = True
        else:
            super().stop(reason)

    def begin(self) -> None:
        """Tell the callbacks; all processes go on from the first one's state."""
        super().begin()
        net = self.net
        given = to_host(net.flat), self.state, self.learning_rate, self.stop_reason
        flat, self.state, self.learning_rate, self.stop_reason = self.comm.bcast(given)
        net.flat[...] = net.device.put(flat, net.dtype)

    def order(self, epoch: int, epochs: int) -> Any:
        """Return which of the rows here an epoch's steps take, (steps, chunks, rows).

        -1 where a batch has no row: the last one may be short.
        """
        steps = self.epoch_steps
        orders = np.full((len(self._seeds), steps * self._chunk_rows), -1)
        chunks = zip(orders, self._starts, self._counts, self._seeds, strict=True)
        epoch_rows = orders.shape[1] if self.options.steps_per_epoch else None
        how: Any = {"shuffle": self.options.shuffle, "epoch_rows": epoch_rows}
        for order, start, count, seed in chunks:
            found = epoch_order(count, seed, epoch, **how)
            order[: len(found)] = start + found
        return orders.reshape(len(orders), steps, -1).swapaxes(0, 1)

    def _prepare(self) -> Step:
        """Return the step, whose gradients are those of all processes.

        Each chunk's gradient, and what else is sent, goes into `own`, (chunks, numbers).
        """
        self.state.compile = "off"
        net, stack, put, xp = self.net, self._stack, self.net.device.put, self.net.device.xp
        on_host, weighted = net.device is CPU, self._own.row_weights is not None
        own, total, add_all = make_sum(
            self.comm, len(self._seeds), net.flat.shape[0] + 3, net.dtype, in_pairs=self.in_pairs
        )
        if on_host:
            self.flat_gradients = total[:LOSS]
        gradients = own[:, :LOSS] if on_host else put(own[:, :LOSS], net.dtype)
        into, combined = stack.views(gradients), net.views(self.flat_gradients)

        def compute(batch: Batch, masks: Any) -> Any:
            losses, _, trace = stack.loss_and_gradients(batch, self.head, masks, into)
            own[:, LOSS], own[:, STOPS] = to_host(losses), self._asked_to_stop
            if weighted:
                own[:, WEIGHT] = to_host(xp.sum(batch.shares, axis=-1))
            if on_host:
                add_up(own)
            else:
                add_up(own[:, LOSS:])
                add_up(gradients)
                own[0, :LOSS] = to_host(gradients[0, :])
            add_all()
            if weighted and total[WEIGHT] > 0.0:
                total[:WEIGHT] /= total[WEIGHT]
            if not on_host:
                self.flat_gradients[...] = put(total[:LOSS], net.dtype)
            if total[STOPS]:
                super(ParallelTraining, self).stop(INTERRUPTED)
            return put(total[LOSS], net.dtype), combined, trace

        return make_step(
            net, self.flat_gradients, self.state.optimizer, self.head, self.options,
            loss_and_gradients=compute,
        )  # fmt: skip

    def mask_keys(self, begin: int, count: int) -> Any:
        """Return the keys of dropout, (steps, layers, chunks, 1, 1)."""
        keys = [Dropout(self.net, seed).keys(begin, count) for seed in self._seeds]
        return np.stack(keys, axis=-1)[..., None, None]

    def _batches(self, order: Any) -> Iterator[Batch]:
        """Yield the epoch's remaining batches: of each array (chunks, rows, ...).

        The shares are those in the whole batch, before they are divided by its weight.
        """
        net, size, first = self.net, self.batch_size, self.state.batch
        rows = np.minimum(size, self.epoch_rows - size * np.arange(len(order)))[first:]
        order = order[first:]
        for steps, (x, y, weights) in gather(self._own, order, net.device):
            shares = net.device.put((order[steps] >= 0) / rows[steps, None, None], net.dtype)
            shares = shares if weights is None else shares * weights[..., 0]
            for i in range(x.shape[0]):
                yield Batch(x[i, ...], y[i, ...], shares[i, ...])


def chunks_for(given: int | None, processes: int) -> int:
    """Return the number of chunks: by default `CHUNKS`, or 0 where there are more processes."""
    if given is not None:
        return given
    return CHUNKS if processes <= CHUNKS else 0


def chunks_of_each(chunks: range, processes: int) -> list[range]:
    """Return which chunks each process computes: a branch of the tree in which `add_up` adds."""
    if processes == 1:
        return [chunks]
    half, left = len(chunks) // 2, processes // 2
    return chunks_of_each(chunks[:half], left) + chunks_of_each(chunks[half:], processes - left)


def add_up(parts: Any) -> None:
    """Add arrays, (parts, n), into the first, in pairs and pairs of pairs."""
    if half := parts.shape[0] // 2:
        add_up(parts[:half, :])
        add_up(parts[half:, :])
        first = parts[0, :]
        first += parts[half, :]


def make_sum(
    comm: Any, chunks: int, size: int, dtype: str, *, in_pairs: bool
) -> tuple[Any, Any, Callable[[], None]]:
    """Return arrays for own numbers and for sums, and a function that adds up between processes.

    Of the own ones, (chunks, size), the first is this process's part of the sum, (size,).
    """
    count, rank = comm.size, comm.rank
    if in_pairs and (count <= 2 or size < SLICED):
        every = np.zeros((count + chunks - 1, size), dtype)  # own ones lie where they are sent

        def add_all() -> None:
            if count > 1:
                _wait(comm, comm.Iallgather(None, every[:count]))
                add_up(every[:count])

        return every[rank : rank + chunks], every[0], add_all

    own, total = np.zeros((chunks, size), dtype), np.zeros(size, dtype)
    if not in_pairs:
        return own, total, lambda: _wait(comm, comm.Iallreduce(own[0], total))
    slices = np.diff([size * each // count for each in range(count + 1)]).tolist()
    mine = np.zeros((count, slices[rank]), dtype)

    def add_slices() -> None:
        _wait(comm, comm.Ialltoallv([own[0], slices], [mine, [slices[rank]] * count]))
        add_up(mine)
        _wait(comm, comm.Iallgatherv(mine[0], [total, slices]))

    return own, total, add_slices


def _wait(comm: Any, request: Any) -> None:
    until = time.monotonic() + MAX_SECONDS
    while not request.Test():
        if time.monotonic() > until:
            silent = ", ".join(map(str, _silent(comm)))
            found = f"rank {silent} has not answered for {MAX_SECONDS:g} seconds"
            raise InputError(f"{found}; see whether that process or its machine hangs")
        os.sched_yield()  # there may be fewer processors than processes


def _silent(comm: Any) -> list[int]:
    """Return the ranks of the processes that do not wait, as this one does, and say so."""
    others = [rank for rank in range(comm.size) if rank != comm.rank]
    for rank in others:
        comm.isend(None, rank)
    time.sleep(SECONDS_TO_SAY_SO)
    return [rank for rank in others if not comm.iprobe(rank)]


class SentRows:
    """The x of all processes, of which the first one has the rows.

    It has checked them: `blocks`, from which `fit` would see whether all are finite, has none.
    """

    def __init__(self, comm: Any, source: Any) -> None:
        self._comm, self._source = comm, source  # an array or a `RowSource`; elsewhere None
        self.shape = comm.bcast(None if source is None else tuple(source.shape))

    def read_rows(self, rows: Any) -> Any:
        """Return these rows, in the first process, as a host array (len(rows), columns)."""
        source = self._source
        return source.read_rows(rows) if is_row_source(source) else source[rows]

    def blocks(self) -> tuple[()]:
        """Return no rows."""
        return ()

    def share(self, rows_of_each: list[range], dtype: str) -> Any:
        """Return the rows of this process: from the file, if all find it here, or sent."""
        parts = getattr(self._source, "shared_out", lambda _: None)(rows_of_each)
        read = self._comm.scatter(parts or [None] * self._comm.size)
        mine = read and read()
        if all(self._comm.allgather(mine is not None)):
            return mine
        mine = np.empty((len(rows_of_each[self._comm.rank]), self.shape[1]), dtype)
        several, blocks = max(1, SENT_BYTES // (8 * self.shape[1])), None
        for first in range(0, max(map(len, rows_of_each)), several):
            here = slice(first, first + several)
            if self._comm.rank == 0:
                blocks = [self.read_rows(np.asarray(rows[here], int)) for rows in rows_of_each]
            mine[here] = self._comm.scatter(blocks)
        return mine


def _rows_here(net: Any, data: Data, rows_of_each: list[range], rank: int) -> Data:
    some = slice(rows_of_each[rank].start, rows_of_each[rank].stop)
    if isinstance(data.x, SentRows):
        x = net.device.put(data.x.share(rows_of_each, net.dtype), net.dtype)
    else:
        x = rows_of(data.x, some, net.device, net.dtype)
    weights = None if data.row_weights is None else data.row_weights[some, :]
    return Data(x, data.y[some, :], weights)
