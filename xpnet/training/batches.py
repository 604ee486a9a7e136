"""Batches: the order of the rows in an epoch, and the rows of each batch.

The order is drawn on the host from the seed and the epoch alone, so it is the same on every device,
and a resumed run needs to know only the epoch and the batch. Rows are gathered in blocks of several
batches, about a megabyte, and a batch is a slice of its block: one call serves many steps of a
small network, and large data are not copied as a whole. Rows used in the order in which they are
stored are not copied at all.
"""

import hashlib
import math
from collections.abc import Iterator
from functools import lru_cache
from itertools import chain, pairwise
from typing import Any, NamedTuple

import numpy as np

from xpnet.backend.device import Array, Device, Namespace, to_host
from xpnet.backend.random import generator
from xpnet.errors import InputError
from xpnet.nn.arrays import Batch, RowSource, is_row_source, row_shares

BLOCK_BYTES = 1 << 20
MAX_VALIDATION_ROWS = 10_000  # of a share of many: they are kept in memory, and used often


class RowSubset:
    """Some rows of a `RowSource`, numbered from 0; no one asks for its blocks."""

    def __init__(self, source: RowSource, rows: Any) -> None:
        self._source, self._rows = source, rows
        self.shape = (len(rows), source.shape[1])

    def read_rows(self, rows: Any) -> Any:
        """Return these rows as a host array (len(rows), columns)."""
        return self._source.read_rows(self._rows[rows])


class Data(NamedTuple):
    """Inputs, targets and row weights of one run, aligned by row, on the device or in a file."""

    x: Array | RowSource  # (n, inputs)
    y: Array  # (n, outputs)
    row_weights: Array | None  # (n, 1), or None for equal weights


def epoch_order(
    rows: int, seed: int, epoch: int, *, shuffle: bool, epoch_rows: int | None = None,
    epochs: int = 1,
) -> Any:  # fmt: skip
    """Return the row numbers of one or more epochs in the order of use, host int64.

    An epoch has `epoch_rows` rows (default: all). Where it is shorter than a pass over the data,
    the next epoch continues where it stopped.
    """
    size = epoch_rows or rows
    first, stop = epoch * size, (epoch + epochs) * size
    if not shuffle:
        return np.arange(first, stop, dtype=np.int64) % rows
    passes = range(first // rows, -(-stop // rows))
    orders = [_pass_order(rows, seed, each) for each in passes]
    order = orders[0] if len(orders) == 1 else np.concatenate(orders)
    start = first - passes.start * rows
    return order[start : start + stop - first]


@lru_cache(maxsize=2)  # an epoch may be a small part of a pass
def _pass_order(rows: int, seed: int, number: int) -> Any:
    return generator(seed, "order", number).permutation(rows)


def batches(
    data: Data, order: Any, batch_size: int, device: Device, dtype: str, *, first: int = 0
) -> Iterator[Batch]:
    """Yield the batches of an epoch, from number `first` on, with the rows in this order."""
    xp = device.xp
    equal = row_shares(xp, data.y[:batch_size, :], None)
    edges = [*range(0, order.shape[0], batch_size), order.shape[0]]
    as_stored = not is_row_source(data.x) and np.array_equal(order, np.arange(order.shape[0]))
    row_bytes = 8 * (data.x.shape[1] + data.y.shape[1])
    block = len(edges) if as_stored else max(1, BLOCK_BYTES // (row_bytes * batch_size))

    for number in range(first, len(edges) - 1, block):
        cuts = edges[number : number + block + 1]
        start = 0 if as_stored else cuts[0]
        block_data = data if as_stored else take_rows(data, order[start : cuts[-1]], device, dtype)
        x, y, weights = block_data
        for left, right in pairwise(cuts):
            part = slice(left - start, right - start)
            if weights is None and right - left == equal.shape[0]:
                shares = equal
            else:
                shares = row_shares(xp, y[part, :], None if weights is None else weights[part, :])
            yield Batch(x[part, :], y[part, :], shares)


def gather(data: Data, order: Any, device: Device) -> Iterator[tuple[slice, Data]]:
    """Yield which steps, and their rows, several steps at a time; the data are on the device.

    The order, host (steps, ..., rows), has row numbers, below 0 where there is none; what is
    gathered is (steps, ..., rows, columns).
    """
    row_bytes = 8 * (data.x.shape[1] + data.y.shape[1])
    several = max(1, BLOCK_BYTES // max(1, row_bytes * math.prod(order.shape[1:])))
    for first in range(0, len(order) if order.size else 0, several):
        steps = slice(first, first + several)
        yield steps, gathered(device.xp, data, device.put(np.maximum(order[steps], 0), "int64"))


def gathered(xp: Namespace, data: Data, numbers: Array) -> Data:
    """Return the rows with these numbers, (..., rows), as arrays (..., rows, columns)."""
    flat = xp.reshape(numbers, (-1,))
    taken = (None if each is None else xp.take(each, flat, axis=0) for each in data)
    shape = numbers.shape
    return Data(
        *(None if each is None else xp.reshape(each, (*shape, each.shape[1])) for each in taken)
    )


def rows_of(x: Any, part: slice, device: Device, dtype: str) -> Array:
    """Return some rows on the device, of an array that is there or of a `RowSource`."""
    if is_row_source(x):
        return device.put(x.read_rows(np.arange(*part.indices(x.shape[0]))), dtype)
    return x[part, :]


def take_rows(data: Data, rows: Any, device: Device, dtype: str, *, lazy: bool = False) -> Data:
    """Return the rows with these numbers; with `lazy`, a `RowSource` is read only when used."""
    numbers = device.put(rows, "int64")

    def take(array: Any) -> Any:
        return None if array is None else device.xp.take(array, numbers, axis=0)

    if not is_row_source(data.x):
        x = take(data.x)
    else:
        x = RowSubset(data.x, rows) if lazy else device.put(data.x.read_rows(rows), dtype)
    return Data(x, take(data.y), take(data.row_weights))


def split(rows: int, fraction: float, seed: int, labels: Any = None) -> tuple[Any, Any]:
    """Draw the row numbers for training and for validation, each in ascending order.

    The fraction is the share of validation rows, between 0 and 1. With class numbers as labels,
    (rows,), it holds for every class, to within a row. At least one row is for validation, and one,
    or one of each class, for training; with fewer rows an `InputError` is raised.
    """
    if not 0.0 < fraction < 1.0:
        raise InputError(f"validation: found {fraction:g}, expected a share between 0 and 1.")
    order = generator(seed, "split").permutation(rows)
    movable = order[1:]
    if labels is not None:
        labels = labels.astype(np.min_scalar_type(int(np.max(labels))))  # small ones sort fast
        order = order[np.argsort(labels[order], kind="stable")]
        first = np.append(True, np.diff(labels[order]) != 0)
        movable = order[~first]
    wanted = max(round(fraction * rows), 1)
    if wanted > len(movable):
        message = f"validation: found {fraction:g} of {rows} rows, which leaves too few to train on"
        raise InputError(f"{message}; give more rows or a smaller share.")
    # Evenly spaced places in rows ordered by class take the same share of each.
    held = np.zeros(rows, dtype=bool)
    held[movable[(np.arange(wanted) * len(movable) + len(movable) // 2) // wanted]] = True
    return np.flatnonzero(~held), np.flatnonzero(held)


def split_groups(groups: Any, fraction: float, seed: int) -> tuple[Any, Any]:
    """Draw the same for whole groups: `groups`, (rows,), has a number for each.

    The fraction is that of the groups.
    """
    distinct, places = np.unique(groups, return_inverse=True)
    _, held = split(len(distinct), fraction, seed)
    out = np.isin(places, held)
    return np.flatnonzero(~out), np.flatnonzero(out)


def digest(data: Data | None, device: Device) -> str:
    """Return a SHA-256 over the shape, all targets and weights, and up to 1,000 rows of inputs."""
    if data is None:
        return "none"
    count, columns = data.x.shape
    rows = np.unique(np.linspace(0, count - 1, min(count, 1000)).astype(np.int64))
    size = max(1, 4 * BLOCK_BYTES // columns)  # all at once, wide rows would take much memory
    parts = (rows[start : start + size] for start in range(0, len(rows), size))
    inputs = (take_rows(data, each, device, "float64").x for each in parts)
    sha256 = hashlib.sha256(str((count, columns)).encode())
    for array in chain(inputs, (data.y, data.row_weights)):
        if array is not None:
            sha256.update(np.ascontiguousarray(to_host(array), dtype=np.float64).data)
    return sha256.hexdigest()[:16]
