"""Many training steps in one launch, for a device that records: an epoch is a few launches.

A recording repeats the same operations on the same memory with the same Python numbers. So what
differs between the steps of an epoch is put on the device at its start, in tables with one row for
each step: the numbers of the batch's rows, the optimiser's coefficients, the keys of dropout.
Within a launch the device gathers the batches, makes the masks, takes the steps and adds up their
losses; between launches the host only sets the step at which the next one begins.
"""

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from xpnet.backend.device import Array, Namespace
from xpnet.backend.device import Step as Launch
from xpnet.nn.arrays import Batch, row_shares
from xpnet.training.batches import gathered
from xpnet.training.step import Step

if TYPE_CHECKING:
    from xpnet.training.loop import Training

MAX_STEPS = 64  # per launch: what the host does for a launch is then little beside the steps
MAX_BYTES = 64 << 20  # of the rows that a launch gathers


class _Tables(NamedTuple):
    """What launches read, and the sum that they add to; always the same arrays."""

    order: Array  # which rows each step takes: int64, (steps of an epoch, rows of a batch)
    coefficients: Array  # the optimiser's, (steps of an epoch, coefficients)
    keys: Array  # dropout's: int64, (steps of an epoch, hidden layers); no columns without it
    total: Array  # sum of loss times rows over the epoch so far, 0-d
    start: Array  # the step of the epoch with which the launch begins: int64, 0-d


class Launches:
    """Takes the full batches of an epoch, in launches of `count` steps or of one.

    The run's data are in the memory of its device, which records. Launches add to `total`, the sum
    of loss times rows over the epoch so far.
    """

    ends_anywhere = False  # each number of steps is a recording of its own

    def __init__(self, run: "Training", step: Step) -> None:
        # Not the run itself: a cycle would keep a GPU's memory until the collector comes by.
        self._net, self._data, self._dropout, self._step = run.net, run.data, run.dropout, step
        self.rows, self.full_batches = run.batch_size, run.full_batches
        batch_bytes = 8 * self.rows * (run.data.x.shape[1] + run.data.y.shape[1])
        self.count = steps_per_launch(self.full_batches, batch_bytes)
        self.total: Array = None
        self._tables: _Tables
        self._replays: dict[int, Launch] = {}

    def begin(self, order: Any, coefficients: Any, keys: Any, total: Array) -> None:
        """Put what differs between the steps of an epoch on the device; see `_Tables`.

        All but the total are on the host. The order, (rows,), may end with the rows of a short last
        batch, which is not taken here.
        """
        net, full = self._net, self.full_batches
        tables = _Tables(
            net.device.put(order[: full * self.rows].reshape(full, self.rows), "int64"),
            net.device.put(coefficients[:full], net.dtype),
            net.device.put(keys[:full], "int64"),
            net.device.put(total, net.dtype),
            net.device.put(np.asarray(0), "int64"),
        )
        if self.total is None:
            self._tables = _Tables(*map(net.device.xp.zeros_like, tables))
            self.total = self._tables.total
        for own, values in zip(self._tables, tables, strict=True):
            own[...] = values

    def steps_from(self, batch: int) -> int:
        """Return the number of steps of the launch that begins at this batch; 0 at the end."""
        left = self.full_batches - batch
        return self.count if self.count <= left else min(left, 1)

    def __call__(self, batch: int, count: int) -> Any:
        """Take `count` steps, beginning with this batch of the epoch.

        Returns the first step's loss, and the last step's loss, gradients and trace; the next
        launch writes into the same arrays.
        """
        self._tables.start[...] = batch
        if count not in self._replays:
            self._replays[count] = self._recorded(count)
        return self._replays[count]()

    def _recorded(self, count: int) -> Launch:
        device, data, step, dropout = self._net.device, self._data, self._step, self._dropout
        xp, rows, tables = device.xp, self.rows, self._tables
        offsets = device.put(np.arange(count), "int64")

        def take_steps() -> tuple[Any, ...]:
            steps, total = tables.start + offsets, tables.total
            x, y, weights = gathered(xp, data, xp.take(tables.order, steps, axis=0))
            batches = Batch(x, y, row_shares(xp, y, weights))
            coefficients = _entries(xp, tables.coefficients, steps)
            keys, first_loss = _entries(xp, tables.keys, steps), None
            for i in range(count):
                batch = Batch(*(each[i, ...] for each in batches))
                loss, *seen = step(batch, dropout.masks(rows, keys[i]), coefficients[i])
                total += loss * rows
                first_loss = loss if first_loss is None else first_loss
            return first_loss, loss, *seen

        assert device.record is not None
        return device.record(take_steps)  # without self


def steps_per_launch(steps: int, batch_bytes: int) -> int:
    """Return a number of steps per launch that is large and leaves few steps of an epoch over."""
    most = max(1, min(steps, MAX_STEPS, MAX_BYTES // batch_bytes))
    return min(range(most, most // 2, -1), key=lambda count: steps % count)


def _entries(xp: Namespace, table: Array, steps: Array) -> list[list[Array]]:
    if not table.shape[1]:
        return [[] for _ in range(steps.shape[0])]
    rows = xp.take(table, steps, axis=0)
    return [[rows[i, j, ...] for j in range(rows.shape[1])] for i in range(rows.shape[0])]
