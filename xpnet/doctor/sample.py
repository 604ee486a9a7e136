"""The rows that the doctor looks at: evenly spaced ones, with some of every class, however rare.

Evenly spaced rows alone may have none of a class with one row in a thousand, and would not show
whether it is ever recognised. Rows chosen by class have weights, by which each class counts for its
share.
"""

from numbers import Integral
from typing import Any

import numpy as np

from xpnet.backend.device import CPU, Device, to_host
from xpnet.doctor.step import as_array, as_columns, as_host, evenly_spaced
from xpnet.errors import InputError
from xpnet.training.batches import Data, take_rows

MIN_CLASS_ROWS = 10  # rows of a class from which it shows whether it is recognised


def choose_rows(labels: Any, rows: int, limit: int) -> tuple[Any, Any]:
    """Return the numbers of about `limit` rows, ascending, and how many rows each stands for.

    `labels`, host int (rows,), are the classes, or None; the shares are None if all count alike.
    """
    even = evenly_spaced(rows, limit)
    if labels is None:
        return even, None
    counts = np.bincount(labels)
    few = np.minimum(min(MIN_CLASS_ROWS, limit // (4 * len(set(labels)))), counts)
    if np.all(np.bincount(labels[even], minlength=len(counts)) >= few):
        return even, None
    wanted = np.clip(np.rint(limit * counts / rows).astype(np.int64), few, counts)
    members = [(np.flatnonzero(labels == each), wanted[each]) for each in np.flatnonzero(wanted)]
    numbers = np.sort(np.concatenate([own[evenly_spaced(len(own), n)] for own, n in members]))
    return numbers, (counts / np.maximum(wanted, 1))[labels[numbers]]


def _labels(y: Any, device: Device, output: str) -> Any:
    """Return the class of each row, host int32 (rows,); None where targets are not classes."""
    xp, y = device.xp, as_columns(y)
    if output not in ("sigmoid", "softmax") or y.ndim > 2:
        return None
    found = xp.argmax(y, axis=1) if y.shape[1] > 1 else y[:, 0]
    if y.shape[1] > 1:
        classes = xp.all((y == 0) | (y == 1)) and xp.all(xp.sum(y, axis=1) == 1)
    else:
        classes = xp.all((found >= 0) & (found < y.shape[0]) & (found == xp.round(found)))
    return np.asarray(device.get(found), np.int32) if classes else None


def sample(
    data: Data, device: Device, dtype: str, output: str, limit: int, *, weigh: bool = True
) -> tuple[Data, Any]:
    """Return about `limit` rows of data, and the number of rows of each class.

    The numbers are None if all rows are returned, or the targets are not classes. With `weigh`, row
    weights are multiplied by the number of rows that each stands for, if these differ.
    """
    rows = data.y.shape[0]
    labels = _labels(data.y, device, output) if rows > limit else None
    numbers, shares = choose_rows(labels, rows, limit)
    x, y, weights = take_rows(data, numbers, device, dtype)
    if shares is not None and weigh:
        factors = device.put(shares[:, None], dtype)
        weights = factors if weights is None else weights * factors
    return Data(x, y, weights), None if labels is None else np.bincount(labels)


def sample_arrays(
    limit: int, x: Any, y: Any, sample_weight: Any = None, output: str = "", *, weigh: bool = True
) -> tuple[list[Any], Any]:
    """Return the `sample` of a caller's arrays, on the host; the weights, (rows,), may be None.

    Raises `InputError` or `InputTypeError` if rows do not match, or arrays are not of numbers.
    """
    if not isinstance(limit, Integral) or limit < 1:
        raise InputError(f"rows {limit!r} must be an integer >= 1")
    given = {"x": x, "y": y} | ({} if sample_weight is None else {"sample_weight": sample_weight})
    arrays = {name: to_host(as_array(each, name)) for name, each in given.items()}
    shape = arrays["x"].shape
    for name, array in arrays.items():
        if not shape or array.shape[:1] != shape[:1]:
            raise InputError(
                f"{name} has shape {array.shape} but x has shape {shape}; pass one row per "
                "sample in each"
            )
    weights = arrays.get("sample_weight")
    data = Data(arrays["x"], arrays["y"], None if weights is None else as_columns(weights))
    found, counts = sample(data, CPU, "float64", output, int(limit), weigh=weigh)
    x, y = (as_host(each, name=name) for name, each in zip("xy", found[:2], strict=True))
    return [x, y, None if found[2] is None else as_host(found[2]).reshape(-1)], counts
