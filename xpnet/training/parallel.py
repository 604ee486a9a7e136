"""One training on several processes (MPI, extra ``mpi``): each computes its parts of every batch.

The rows are cut into `PARTS` parts, however many processes there are, and a batch takes as many
rows from each. A process holds the rows of some parts and computes one gradient for each; all
gradients go to all processes, which add them in the order of the parts and take the same step. So
the network has the same bits for any number of processes. Validation rows are on all of them.
"""

import time
from typing import Any

import numpy as np

from xpnet.backend.device import CPU, Array, to_host
from xpnet.errors import InputError
from xpnet.nn.arrays import Batch, row_shares
from xpnet.training.batches import Data, epoch_order, take_rows
from xpnet.training.dropout import Dropout
from xpnet.training.history import History
from xpnet.training.loop import INTERRUPTED, Step, Training, make_step

PARTS = 4
MAX_SECONDS = 15.0  # that a process waits for the others at one step
SEEDS_APART = 1 << 32  # of two parts: the seeds of networks are small
LOSS, WEIGHT, ROWS, STOPS = range(-4, 0)  # what is sent with each part's gradient, at its end


class ParallelTraining(Training):
    """A run whose gradients are computed by all processes of an mpi4py communicator.

    On all of them it is made with the same network, data and options. Row orders and masks differ
    from those of a `Training`; the batch size is rounded up to a multiple of `PARTS`.
    """

    def __init__(self, comm: Any, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        if comm.size > PARTS:
            raise InputError(f"{comm.size} processes are more than the {PARTS} parts of a batch")
        if self.rows < PARTS:
            raise InputError(f"{self.rows} rows are less than the {PARTS} parts of a batch")
        self.comm, self.part_rows = comm, -(-self.batch_size // PARTS)
        self.batch_size = self.part_rows * PARTS
        self.epoch_rows = self.batch_size * (self.options.steps_per_epoch or 0) or self.rows
        edges = [self.rows * part // PARTS for part in range(PARTS + 1)]
        self._counts = [
            len(range(PARTS * rank // comm.size, PARTS * (rank + 1) // comm.size))
            for rank in range(comm.size)
        ]
        first = sum(self._counts[: comm.rank])
        own = range(first, first + self._counts[comm.rank])
        self.parts = [_rows(self.net, self.data, range(*edges[i : i + 2])) for i in own]
        self._seeds = [self.seed + SEEDS_APART * (i + 1) for i in own]
        self._dropouts = [Dropout(self.net, seed) for seed in self._seeds]
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

    def order(self, epoch: int, epochs: int) -> list[Any]:
        """Return the row numbers of some epochs for each part that is here."""
        shuffle, steps = self.options.shuffle, self.options.steps_per_epoch
        rows = self.part_rows * steps if steps else None
        return [
            epoch_order(
                part.y.shape[0], seed, epoch, epochs=epochs, shuffle=shuffle, epoch_rows=rows
            )
            for part, seed in zip(self.parts, self._seeds, strict=True)
        ]

    def _prepare(self) -> Step:
        """Return the step, whose gradients are those of all processes."""
        self.state.compile = "off"
        return make_step(
            self.net, self.flat_gradients, self.state.optimizer, self.head, self.options,
            loss_and_gradients=self._loss_and_gradients(),
        )  # fmt: skip

    def _loss_and_gradients(self) -> Any:
        """Return what a step calls with a batch, its weight and its masks for each part here."""
        net, flat, size = self.net, self.flat_gradients, self.net.flat.shape[0]
        own = np.zeros((len(self.parts), size + 4), net.dtype)
        on_host = net.device is CPU
        scratch = [
            each[:size] if on_host else net.device.put(each[:size], net.dtype) for each in own
        ]
        views, combined = [net.views(each) for each in scratch], net.views(flat)

        def compute(batches: Any, masks: Any) -> Any:
            trace = None
            for i, (batch, weight) in enumerate(batches):
                own[i, LOSS:STOPS] = 0.0
                if weight:
                    loss, _, trace = net.loss_and_gradients(batch, self.head, masks[i], views[i])
                    own[i, LOSS:STOPS] = float(loss), weight, batch.x.shape[0]
                    if not on_host:
                        own[i, :size] = to_host(scratch[i])
            own[:, STOPS] = self._asked_to_stop
            every = self._gathered(own)
            flat[...] = net.device.put(weighted_mean(every[:, :size], every[:, WEIGHT]), net.dtype)
            if every[:, STOPS].any():
                super(ParallelTraining, self).stop(INTERRUPTED)
            self._step_rows = int(every[:, ROWS].sum())
            loss = weighted_mean(every[:, [LOSS]], every[:, WEIGHT])[0]
            return net.device.put(loss, net.dtype), combined, trace

        return compute

    def _take_steps(self, take_step: Step, order: Any, rates: Any, coefficients: Any) -> None:
        """Take the epoch's steps, each with a batch from every part."""
        state, numbers = self.state, coefficients.tolist()
        while state.batch < len(rates) and not self.stop_reason:
            self.between_steps, self.learning_rate = False, float(rates[state.batch])
            batches = [
                _batch(self.net, part, numbers[state.batch * self.part_rows :][: self.part_rows])
                for part, numbers in zip(self.parts, order, strict=True)
            ]
            masks = [
                each.of_step(state.step, batch.x.shape[0])
                for each, (batch, _) in zip(self._dropouts, batches, strict=True)
            ]
            found = take_step(batches, masks, numbers[state.batch])
            self.loss, self.gradients, self.trace = found
            total = state.epoch_loss + self.loss * self._step_rows
            self._after_steps(1, self._step_rows, self.loss, total)
            self._notify("on_batch_end")

    def _gathered(self, own: Any) -> Any:
        """Return what all processes send, in the order of the parts."""
        if self.comm.size == 1:
            return own
        every = np.empty((PARTS, own.shape[1]), own.dtype)
        counts = [each * own.shape[1] for each in self._counts]
        request = self.comm.Iallgatherv(own, [every, counts])
        until = time.monotonic() + MAX_SECONDS
        while not request.Test():
            if time.monotonic() > until:
                raise InputError(f"another process has not answered for {MAX_SECONDS:g} seconds")
            time.sleep(0)  # there may be fewer processors than processes
        return every


def weighted_mean(parts: Any, weights: Any) -> Any:
    """Return the mean of the parts, (parts, n), added in their order."""
    shares = weights / weights.sum()
    total, scratch = parts[0] * shares[0], np.empty_like(parts[0])
    for part, share in zip(parts[1:], shares[1:], strict=True):
        if share:  # a part without rows has no gradient
            total += np.multiply(part, share, out=scratch)
    return total


def _rows(net: Any, data: Data, rows: range) -> Data:
    """Return some neighbouring rows in memory."""
    if hasattr(data.x, "read_rows"):
        return take_rows(data, np.arange(rows.start, rows.stop), net.device, net.dtype)
    some = slice(rows.start, rows.stop)
    weights = None if data.row_weights is None else data.row_weights[some, :]
    return Data(data.x[some, :], data.y[some, :], weights)


def _batch(net: Any, part: Data, numbers: Any) -> tuple[Batch, float]:
    """Return the rows with these numbers, and the sum of their weights."""
    x, y, weights = take_rows(part, numbers, net.device, net.dtype)
    weight: Array = len(numbers) if weights is None else float(net.device.xp.sum(weights))
    return Batch(x, y, row_shares(net.device.xp, y, weights)), weight
