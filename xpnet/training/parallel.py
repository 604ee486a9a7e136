"""One training on several processes (MPI, extra ``mpi``): each computes its chunks of every batch.

The rows are cut into chunks, and a batch takes as many rows from each. A process holds the rows of
some neighbouring chunks and computes their gradients at once, as those of a stack of networks.
Gradients are added in pairs, and their sums in pairs again: those of one process first, then those
of all, each process a slice. The pairs depend on the number of chunks alone, so the network has the
same bits for any number of processes. With 0 chunks each process has one, and MPI adds them in an
order of its own. Validation rows are on all processes.
"""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from xpnet.backend.device import CPU, for_many, to_host
from xpnet.errors import InputError
from xpnet.nn.arrays import Batch
from xpnet.training.batches import Data, epoch_order, take_rows
from xpnet.training.dropout import Dropout
from xpnet.training.history import History
from xpnet.training.loop import INTERRUPTED, Step, Training, make_step

CHUNKS = 4
MAX_SECONDS = 15.0  # that a process waits for the others at one step
SEEDS_APART = 1 << 32  # of two chunks: the seeds of networks are small
SLICED = 1 << 14  # numbers; to add fewer takes less time than one more message
LOSS, WEIGHT, STOPS = range(-3, 0)  # what is sent with a gradient, at its end


class ParallelTraining(Training):
    """A run whose gradients are computed by all processes of an mpi4py communicator.

    On all of them it is made with the same network, data and options. Row orders and masks differ
    from those of a `Training`; the batch size is rounded up to a multiple of the chunks.
    """

    def __init__(self, comm: Any, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        given = self.options.chunks
        self.comm, self.chunks = comm, (CHUNKS if given is None else given) or comm.size
        if comm.size > self.chunks:
            raise InputError(f"{comm.size} processes are more than the {self.chunks} chunks")
        if self.rows < self.chunks:
            raise InputError(f"{self.rows} rows are less than the {self.chunks} chunks of a batch")
        self._chunk_rows = -(-self.batch_size // self.chunks)
        self.batch_size = self._chunk_rows * self.chunks
        self.epoch_rows = self.batch_size * (self.options.steps_per_epoch or 0) or self.rows
        edges = [self.rows * chunk // self.chunks for chunk in range(self.chunks + 1)]
        own = chunks_of_each(range(self.chunks), comm.size)[comm.rank]
        starts, stops = edges[own.start : own.stop], edges[own.start + 1 : own.stop + 1]
        self._own = _rows(self.net, self.data, range(starts[0], stops[-1]))
        self._starts = np.subtract(starts, starts[0])[:, None]
        self._counts = np.subtract(stops, starts)[:, None]
        self._seeds = [self.seed + SEEDS_APART * (chunk + 1) for chunk in own]
        shape = (len(own), self.net.flat.shape[0])
        flat = self.net.device.xp.broadcast_to(self.net.flat, shape)
        self._stack = self.net.with_parameters(flat, for_many(self.net.device))
        self._dropout = Dropout(self._stack, self.seed)
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
        """Return the row numbers of some epochs, (own chunks, rows).

        A chunk with a row less than others ends with a number that does not count.
        """
        steps, rows = self.options.steps_per_epoch, -(-self.rows // self.chunks)
        orders = np.zeros((len(self._seeds), self._chunk_rows * steps if steps else rows), np.int64)
        for own, count, seed in zip(orders, self._counts[:, 0], self._seeds, strict=True):
            found = epoch_order(
                count, seed, epoch, epochs=epochs, shuffle=self.options.shuffle,
                epoch_rows=len(own) if steps else None,
            )  # fmt: skip
            own[: len(found)] = found
        return orders + self._starts

    def _prepare(self) -> Step:
        """Return the step, whose gradients are those of all processes."""
        self.state.compile = "off"
        net = self.net
        own = np.zeros((len(self._seeds), net.flat.shape[0] + 3), net.dtype)
        total = own[0] if self.comm.size == 1 else np.zeros_like(own[0])
        if net.device is CPU:
            self.flat_gradients = total[:LOSS]
        return make_step(
            net, self.flat_gradients, self.state.optimizer, self.head, self.options,
            loss_and_gradients=self._loss_and_gradients(own, total),
        )  # fmt: skip

    def _loss_and_gradients(self, own: Any, total: Any) -> Any:
        """Return what a step calls with the batches of the chunks here, and their masks.

        Each chunk's gradient and the rest go into `own`, (chunks, numbers); the sum into `total`.
        """
        net, stack, put, xp = self.net, self._stack, self.net.device.put, self.net.device.xp
        on_host, weighted = net.device is CPU, self._own.row_weights is not None
        gradients = own[:, :LOSS] if on_host else put(own[:, :LOSS], net.dtype)
        into, combined = stack.views(gradients), net.views(self.flat_gradients)
        add_all = make_sum(self.comm, len(total), net.dtype, in_pairs=self.options.chunks != 0)

        def compute(batch: Batch, masks: Any) -> Any:
            losses, _, trace = stack.loss_and_gradients(batch, self.head, masks, into)
            add_up(gradients)
            if not on_host:
                own[0, :LOSS] = to_host(gradients[0, :])
            own[:, LOSS] = to_host(losses)
            own[:, WEIGHT] = to_host(xp.sum(batch.shares, axis=-1))
            add_up(own[:, LOSS:STOPS])
            own[0, STOPS] = self._asked_to_stop
            add_all(own[0], total)
            if weighted and total[WEIGHT] > 0.0:
                total[:WEIGHT] /= total[WEIGHT]
            if not on_host:
                self.flat_gradients[...] = put(total[:LOSS], net.dtype)
            if total[STOPS]:
                super(ParallelTraining, self).stop(INTERRUPTED)
            return put(total[LOSS], net.dtype), combined, trace

        return compute

    def _take_steps(self, take_step: Step, order: Any, rates: Any, coefficients: Any) -> None:
        """Take the epoch's steps, each with a batch from every chunk."""
        state, numbers, begin = (
            self.state,
            coefficients.tolist(),
            self.state.step - self.state.batch,
        )
        keys = [Dropout(self.net, seed).keys(begin, len(rates)) for seed in self._seeds]
        keys = np.stack(keys, axis=-1)[..., None, None]  # (steps, layers, chunks, 1, 1)
        while state.batch < len(rates) and not self.stop_reason:
            self.between_steps, self.learning_rate = False, float(rates[state.batch])
            rows = min(self.batch_size, self.epoch_rows - state.batch * self.batch_size)
            batch = self._batch(order, rows)
            key = [self.net.device.put(each, "int64") for each in keys[state.batch]]
            masks = self._dropout.masks(batch.x.shape[1], key)
            found = take_step(batch, masks, numbers[state.batch])
            self.loss, self.gradients, self.trace = found
            self._after_steps(1, rows, self.loss, state.epoch_loss + self.loss * rows)
            self._notify("on_batch_end")

    def _batch(self, order: Any, rows: int) -> Batch:
        """Return the next rows of the chunks here, whose shares are those in the whole batch."""
        net, first = self.net, self.state.batch * self._chunk_rows
        numbers = order[:, first : first + self._chunk_rows]
        x, y, weights = take_rows(self._own, numbers.reshape(-1), net.device, net.dtype)
        shares = np.full(numbers.shape, 1.0 / rows)
        if rows < self.batch_size:
            shares[first + np.arange(numbers.shape[1]) >= self._counts] = 0.0
        if weights is not None:
            shares *= to_host(weights).reshape(numbers.shape)
        x, y = (net.device.xp.reshape(each, (*numbers.shape, each.shape[1])) for each in (x, y))
        return Batch(x, y, net.device.put(shares, net.dtype))


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


def make_sum(comm: Any, size: int, dtype: str, *, in_pairs: bool) -> Callable[[Any, Any], None]:
    """Return ``add_all(own, total)``, by which all processes add what each has, (size,)."""
    count, sliced = comm.size, size >= SLICED
    slices = np.diff([size * rank // count for rank in range(count + 1)]).tolist()
    mine = slices[comm.rank] if sliced else size
    every = np.empty((count, mine), dtype)

    def add_all(own: Any, total: Any) -> None:
        if count == 1:
            return  # it is the same array
        if not in_pairs:
            _wait(comm.Iallreduce(own, total))
        elif sliced:
            _wait(comm.Ialltoallv([own, slices], [every, [mine] * count]))
            add_up(every)
            _wait(comm.Iallgatherv(every[0], [total, slices]))
        else:
            _wait(comm.Iallgather(own, every))
            add_up(every)
            total[...] = every[0]

    return add_all


def _wait(request: Any) -> None:
    until = time.monotonic() + MAX_SECONDS
    while not request.Test():
        if time.monotonic() > until:
            raise InputError(f"another process has not answered for {MAX_SECONDS:g} seconds")
        time.sleep(0)  # there may be fewer processors than processes


def _rows(net: Any, data: Data, rows: range) -> Data:
    """Return some neighbouring rows in memory."""
    if hasattr(data.x, "read_rows"):
        return take_rows(data, np.arange(rows.start, rows.stop), net.device, net.dtype)
    some = slice(rows.start, rows.stop)
    weights = None if data.row_weights is None else data.row_weights[some, :]
    return Data(data.x[some, :], data.y[some, :], weights)
