"""Which rows the doctor looks at: evenly spaced ones, but of every class some, however rare.

Evenly spaced rows alone may hold none of a class with one row in a thousand: whether it is ever
recognised would not show. Rows chosen by class get weights, with which each counts for its share.
"""

from numbers import Integral
from typing import Any

import numpy as np

from xpnet.backend.device import CPU, Device, to_host
from xpnet.doctor.step import as_array, as_host, columns, evenly_spaced
from xpnet.errors import InputError
from xpnet.nn.network import MLP
from xpnet.training.batches import Data, take_rows

MIN_CLASS_ROWS = 10  # rows of a class from which it shows whether it is recognised
CLASSIFYING = ("sigmoid", "softmax")


def choose_rows(labels: Any, rows: int, limit: int) -> tuple[Any, Any]:
    """Return about `limit` rows in ascending order, and how many rows each stands for.

    `labels`, host int (rows,), are the classes, or None; the shares are None if all count alike.
    """
    even = evenly_spaced(rows, limit)
    if labels is None or rows <= limit:
        return even, None
    counts = np.bincount(labels)
    few = np.minimum(min(MIN_CLASS_ROWS, limit // (4 * len(set(labels)))), counts)
    if np.all(np.bincount(labels[even], minlength=len(counts)) >= few):
        return even, None
    wanted = np.clip(np.rint(limit * counts / rows).astype(np.int64), few, counts)
    members = {label: np.flatnonzero(labels == label) for label in np.flatnonzero(wanted)}
    numbers = np.sort(np.concatenate(
        [own[evenly_spaced(len(own), wanted[label])] for label, own in members.items()]
    ))  # fmt: skip
    return numbers, (counts / np.maximum(wanted, 1))[labels[numbers]]


def class_labels(y: Any, device: Device, output: str) -> Any:
    """Return the class of each row, host int32 (rows,); None where targets are not classes.

    `y`, (rows, outputs) or (rows,), has class numbers in one column, or a single 1 in each row.
    """
    xp, y = device.xp, columns(y)
    if output not in CLASSIFYING or y.ndim > 2:
        return None
    if y.shape[1] > 1:
        ones = xp.all((y == 0) | (y == 1)) and xp.all(xp.sum(y, axis=1) == 1)
        return np.asarray(device.get(xp.argmax(y, axis=1)), np.int32) if ones else None
    y = y[:, 0]
    whole = xp.all((y >= 0) & (y < y.shape[0]) & (y == xp.round(y)))
    return np.asarray(device.get(y), np.int32) if whole else None


def sample_data(data: Data, net: MLP, limit: int) -> tuple[Data, Any]:
    """Return about `limit` rows of training data, and how many rows each class has.

    The counts are None where all rows are returned, or the targets are not classes.
    """
    device, rows = net.device, data.y.shape[0]
    labels = class_labels(data.y, device, net.output.name) if rows > limit else None
    numbers, shares = choose_rows(labels, rows, limit)
    x, y, weights = take_rows(data, numbers, device, net.dtype)
    if shares is not None:
        factors = device.put(shares[:, None], net.dtype)
        weights = factors if weights is None else weights * factors
    return Data(x, y, weights), None if labels is None else np.bincount(labels)


def sample_arrays(
    limit: int, x: Any, y: Any, sample_weight: Any = None, output: str = "", *, weigh: bool = True
) -> tuple[list[Any], Any]:
    """Return about `limit` rows of what a caller gave, on the host, and counts as `sample_data`.

    With `weigh`, sample weights are multiplied by how many rows each stands for, if they differ.
    Rows that do not match, and what is not numbers, raise `InputError` or `InputTypeError`.
    """
    if not isinstance(limit, Integral) or limit < 1:
        raise InputError(f"rows {limit!r} must be an integer >= 1")
    arrays = {"x": as_array(x, "x"), "y": as_array(y, "y")}
    if sample_weight is not None:
        arrays["sample_weight"] = as_array(sample_weight, "sample_weight")
    shape = tuple(arrays["x"].shape)
    for name, array in arrays.items():
        if tuple(array.shape)[:1] != shape[:1]:
            raise InputError(
                f"{name} has shape {tuple(array.shape)} but x has shape {shape}; pass one row per "
                "sample in each"
            )
    rows = shape[0] if shape else 0
    labels = class_labels(as_host(arrays["y"], name="y"), CPU, output) if rows > limit else None
    numbers, shares = choose_rows(labels, rows, limit)
    found = {name: as_host(to_host(each)[numbers] if rows > limit else each, name=name)
             for name, each in arrays.items()}  # fmt: skip
    weights = found.get("sample_weight")
    if shares is not None and weigh:
        weights = shares if weights is None else shares * weights
    return [found["x"], found["y"], weights], None if labels is None else np.bincount(labels)
