"""Which rows the doctor looks at: evenly spaced ones, but of every class some, however rare.

Evenly spaced rows alone may hold none of a class with one row in a thousand: whether it is ever
recognised would not show. Rows chosen by class get weights, with which each counts for its share.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from xpnet.backend.device import CPU, Device, device_of, is_foreign
from xpnet.doctor.observations import as_array, as_host, columns, same_rows
from xpnet.training.data import Data

if TYPE_CHECKING:
    from xpnet.training.loop import Training

FEWEST = 10  # rows of a class from which it shows whether it is recognised
CLASSIFYING = ("sigmoid", "softmax")


def class_labels(y: Any, device: Device) -> Any:
    """Return the class of each row, host int32 (rows,); None where targets are not classes.

    Parameters
    ----------
    y : device array, (rows, outputs)
        0 or 1 in one column, or in several with a single 1 in each row.
    """
    xp = device.xp
    if not bool(xp.all((y == 0) | (y == 1))):
        return None
    if y.shape[1] == 1:
        return np.asarray(device.get(y[:, 0]), np.int32)
    alone = bool(xp.all(xp.sum(y, axis=1) == 1))
    return np.asarray(device.get(xp.argmax(y, axis=1)), np.int32) if alone else None


def sample(labels: Any, even: Any) -> tuple[Any, Any]:
    """Return rows in ascending order, and how many rows each stands for, or None if all alike.

    Parameters
    ----------
    labels : host int array, (rows,), or None
    even : host int array
        Evenly spaced rows; kept unless there are classes of which they hold too few.
    """
    if labels is None:
        return even, None
    counts, found = np.bincount(labels), np.bincount(labels[even], minlength=1)
    found = np.pad(found, (0, len(counts) - len(found)))
    known = int(np.count_nonzero(counts))
    few = np.minimum(min(FEWEST, len(even) // (4 * known)), counts)
    if np.all(found >= few):
        return even, None
    wanted = np.rint(len(even) * counts / len(labels)).astype(np.int64)
    wanted = np.clip(wanted, few, counts)
    chosen = []
    for label in np.flatnonzero(wanted):
        rows = np.flatnonzero(labels == label)
        chosen.append(rows[np.linspace(0, len(rows) - 1, wanted[label]).astype(np.int64)])
    rows = np.sort(np.concatenate(chosen))
    return rows, (counts / np.maximum(wanted, 1))[labels[rows]]


def sample_of(training: "Training", limit: int) -> tuple[Data, Any]:
    """Return about `limit` rows of the training data, and the rows of each class or None."""
    data, device = training.data, training.net.device
    labels = class_labels(data.y, device)
    rows, share = sample(labels, np.arange(0, training.rows, -(-training.rows // limit)))
    at = device.put(rows, "int64")

    def take(array: Any) -> Any:
        return device.xp.take(array, at, axis=0)

    dtype = training.net.dtype
    from_file = hasattr(data.x, "read_rows")
    x = device.put(data.x.read_rows(rows), dtype) if from_file else take(data.x)
    weights = None if data.row_weights is None else take(data.row_weights)
    if share is not None:
        factors = device.put(share[:, None], dtype)
        weights = factors if weights is None else weights * factors
    return Data(x, take(data.y), weights), None if labels is None else np.bincount(labels)


def thinned(
    limit: int, x: Any, y: Any, sample_weight: Any, output: str, weigh: bool
) -> tuple[list[Any], Any]:
    """Return about `limit` rows on the host as `same_rows` does, and the class counts or None.

    Parameters
    ----------
    output : str
        The output activation: whether the targets are classes.
    weigh : bool
        Put into the sample weights how many rows each stands for, if they differ.
    """
    found = same_rows(limit, x, y, sample_weight)
    labels = _numbers(as_host(y, name="y")) if output in CLASSIFYING else None
    if labels is None or len(labels) <= limit:
        return found, None
    even = np.linspace(0, len(labels) - 1, limit).astype(np.int64)
    rows, share = sample(labels, even)
    if share is not None:
        x, y = _taken(x, rows, "x"), _taken(y, rows, "y")
        if sample_weight is not None:
            sample_weight = _taken(sample_weight, rows, "sample_weight")
        if weigh:
            sample_weight = share if sample_weight is None else share * sample_weight
        found = same_rows(len(rows), x, y, sample_weight)
    return found, np.bincount(labels)


def _numbers(y: Any) -> Any:
    """Return the class of each row as `class_labels` does, also of (rows,) class numbers."""
    y = columns(y)
    if y.ndim > 2:
        return None
    whole = y.shape[1] == 1 and np.all((y >= 0) & (y < len(y)) & (y == np.round(y)))
    return y[:, 0].astype(np.int32) if whole else class_labels(y, CPU)


def _taken(array: Any, rows: Any, name: str) -> Any:
    array = as_array(array, name)
    host = device_of(array).get(array) if is_foreign(array) else np.asarray(array)
    return as_host(host[rows], name=name)
