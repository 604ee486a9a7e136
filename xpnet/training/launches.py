"""Many training steps in one launch, for a device that records: an epoch is a few launches.

A recording repeats the same operations on the same memory. So what differs between the steps of an
epoch is brought to the device at its start, in tables with one row for each step: the numbers of
the batch's rows, the optimiser's coefficients, dropout's keys. Within a launch the device gathers
the batches, makes the masks, takes the steps and adds up their losses; between launches the host
says only with which step of the epoch the next one begins.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from xpnet.backend.device import Array, Namespace, Step
from xpnet.nn.arrays import row_shares
from xpnet.nn.network import MLP, Gradients, Trace
from xpnet.training.batches import Data, cut
from xpnet.training.dropout import Dropout

MAX_STEPS = 64  # per launch: what the host does for a launch is then little beside the steps
MAX_BYTES = 64 << 20  # of the rows that a launch gathers


class _Tables(NamedTuple):
    """What launches read, and the sum that they add to; always the same arrays."""

    order: Array
    """Which rows each step takes: int64, (steps of an epoch, rows of a batch)."""
    coefficients: Array
    """The optimiser's, (steps of an epoch, coefficients)."""
    keys: Array
    """Dropout's: int64, (steps of an epoch, hidden layers); no columns without it."""
    total: Array
    """Sum of loss times rows over the epoch so far, 0-d."""
    start: Array
    """The step of the epoch with which the launch begins: int64, 0-d."""


class Launches:
    """Takes the whole batches of an epoch, `count` of them in one launch.

    The network's device has a `record`, and the data are in its memory; `step` is as in
    `xpnet.training.loop.Step`, `rows` and `epoch_rows` are those of a batch and of an epoch. Of an
    epoch's batches `whole` have that size; launches add to `total`, the sum of loss times rows over
    the epoch so far.
    """

    ends_anywhere = False  # a launch is a recording of `count` steps

    def __init__(
        self,
        net: MLP,
        data: Data,
        step: Callable[..., Any],
        dropout: Dropout,
        rows: int,
        epoch_rows: int,
    ) -> None:
        self.rows, self.whole = rows, epoch_rows // rows
        batch_bytes = 8 * rows * (data.x.shape[1] + data.y.shape[1])
        self.count = steps_per_launch(self.whole, batch_bytes)
        self._net, self._data, self._step, self._dropout = net, data, step, dropout
        self.total: Array = None
        self._tables: _Tables
        self._replay: Step

    def begin(
        self,
        order: Any,
        coefficients: Sequence[tuple[float, ...]],
        keys: Sequence[list[int]],
        total: Array,
    ) -> None:
        """Bring what differs between the steps of an epoch to the device, as in `_Tables`.

        `order` is on the host, and may go on with the rows of a short last batch.
        """
        put, dtype, whole = self._net.device.put, self._net.dtype, self.whole
        given = _Tables(
            put(np.reshape(order[: whole * self.rows], (whole, self.rows)), "int64"),
            put(np.reshape(coefficients, (whole, len(coefficients[0]))), dtype),
            put(np.reshape(np.asarray(keys, np.int64), (whole, len(keys[0]))), "int64"),
            put(total, dtype),
            put(np.asarray(0), "int64"),
        )
        if self.total is None:
            self._record(given)
        for own, values in zip(self._tables, given, strict=True):
            own[...] = values

    def steps_from(self, batch: int) -> int:
        """Return how many steps a launch takes from this batch of the epoch on; 0 if too few."""
        return self.count if batch + self.count <= self.whole else 0

    def __call__(self, batch: int, count: int) -> tuple[Array, Array, Gradients, Trace]:
        """Take `count` steps, always as many, beginning with this batch of the epoch.

        Returns the loss of the first step, and loss, gradients and trace of the last one; the next
        launch writes into the same arrays.
        """
        self._tables.start[...] = batch
        first_loss, loss, gradients, trace = self._replay()
        return first_loss, loss, gradients, trace

    def _record(self, like: _Tables) -> None:
        """Make the arrays that every launch reads, and the recording."""
        net, data, step, dropout, rows = (
            self._net, self._data, self._step, self._dropout, self.rows,
        )  # fmt: skip
        xp, count, record = net.device.xp, self.count, net.device.record
        assert record is not None
        tables = _Tables(*(xp.zeros_like(each) for each in like))
        offsets = net.device.put(np.arange(count), "int64")
        equal = row_shares(xp, data.y[:rows, :], None)

        def take_steps() -> tuple[Array, Array, Gradients, Trace]:
            steps, total = tables.start + offsets, tables.total
            numbers = xp.reshape(xp.take(tables.order, steps, axis=0), (-1,))
            gathered = Data(
                *(None if each is None else xp.take(each, numbers, axis=0) for each in data)
            )
            coefficients = _entries(xp, tables.coefficients, steps)
            keys, first_loss = _entries(xp, tables.keys, steps), None
            edges = range(0, count * rows + 1, rows)
            for i, batch in enumerate(cut(xp, gathered, edges, equal)):
                masks = dropout.masks(rows, keys[i])
                loss, gradients, trace = step(batch, masks, coefficients[i])
                total += loss * rows
                first_loss = loss if first_loss is None else first_loss
            return first_loss, loss, gradients, trace

        # Without self: a cycle would keep a GPU's memory until the garbage collector comes by.
        self._tables, self.total, self._replay = tables, tables.total, record(take_steps)


def steps_per_launch(steps: int, batch_bytes: int) -> int:
    """Return how many steps to take in one launch: many, and so that few of an epoch are left."""
    most = max(1, min(steps, MAX_STEPS, MAX_BYTES // batch_bytes))
    return min(range(most, most // 2, -1), key=lambda count: steps % count)


def _entries(xp: Namespace, table: Array, steps: Array) -> list[list[Array]]:
    """Return some rows of a table, each as a list of 0-d arrays."""
    if not table.shape[1]:
        return [[] for _ in range(steps.shape[0])]
    rows = xp.take(table, steps, axis=0)
    return [[rows[i, j, ...] for j in range(rows.shape[1])] for i in range(rows.shape[0])]
