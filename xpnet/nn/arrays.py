"""Inputs, targets and row weights: checked, and put on the device, here and nowhere else.

Targets get the shape (n, outputs). A shape that would broadcast against the network's output is
refused: (n,) against (n, 1) gives (n, n) terms, and training that runs but learns nothing.
"""

import math
from typing import Any, NamedTuple, TypeAlias

from xpnet.backend.device import CPU, Array, Namespace, device_of, is_foreign, real_numbers
from xpnet.errors import InputError, InputTypeError

CHECKED = 1 << 18  # numbers checked at a time, so that what a check writes stays in the cache


RowSource: TypeAlias = Any
"""Rows in a file: ``shape`` and ``read_rows(numbers)``. `fit` and `predict`, which go through all
rows in order, also call ``blocks()``."""


def is_row_source(x: Any) -> bool:
    """Return whether x is a `RowSource`, and not an array."""
    return hasattr(x, "read_rows")


class Batch(NamedTuple):
    """The rows of one step.

    For a stack of networks that each have their own rows, x, y and shares begin with an axis
    (networks,).
    """

    x: Array  # (batch, inputs)
    y: Array  # (batch, outputs)
    shares: Array  # (batch,), each row's share in the mean loss


def row_shares(xp: Namespace, y: Array, row_weights: Array | None) -> Array:
    """Return each row's share in the mean over a batch, (batch,); they sum to 1, or are all 0.

    y is (batch, outputs); the row weights are (batch, 1), or None for equal weights.
    """
    if row_weights is None:
        return xp.full_like(y[..., 0], 1.0 / y.shape[-2])
    weights = row_weights[..., 0]
    total = xp.sum(weights, axis=-1, keepdims=True)
    return weights / xp.where(total > 0.0, total, xp.ones_like(total))  # all 0: nothing to learn


def check_finite(xp: Namespace, array: Array, name: str) -> None:
    """Refuse NaN and infinity, and name the first place."""
    rows = array.shape[0]
    step = max(1, CHECKED // max(1, math.prod(array.shape[1:])))
    tiles = (array[i : min(i + step, rows), ...] for i in range(0, rows, step))
    if all(bool(xp.all(xp.isfinite(tile))) for tile in tiles):
        return
    first = int(xp.argmin(xp.astype(xp.reshape(xp.isfinite(array), (-1,)), xp.int32)))
    value, place = float(xp.reshape(array, (-1,))[first]), [first]
    for size in reversed(array.shape[1:]):
        place[:1] = divmod(place[0], size)
    remedy = "must be finite; drop or impute such rows"
    if math.isinf(value):
        largest = float(xp.finfo(array.dtype).max)
        remedy += f", or scale numbers beyond {largest:.2g}, the largest that this dtype holds"
    raise InputError(f"{name} holds {value} at index {tuple(place)}, counted from 0, but {remedy}")


def as_inputs(array: Any, device: Any, dtype: str, inputs: int) -> Array:
    """Return x on the device as (n, inputs).

    Raises `InputError` or `InputTypeError` for another shape, no rows, or values that are not
    finite real numbers.
    """
    x = put_numbers(array, device, dtype, "x")
    if len(x.shape) != 2 or x.shape[1] != inputs:
        remedy = "x.reshape(-1, 1)" if inputs == 1 else "one row per sample, one column per input"
        problem = f"x has shape {tuple(x.shape)} but the network takes (n, {inputs})"
        raise InputError(f"{problem}; pass {remedy}")
    if x.shape[0] == 0:
        raise InputError(f"x has shape {tuple(x.shape)}: no rows; pass at least one")
    check_finite(device.xp, x, "x")
    return x


def put_numbers(array: Any, device: Any, dtype: str, name: str) -> Array:
    """Put an array on the device; refuse one that does not hold real numbers, by its name."""
    if is_row_source(array):
        raise InputTypeError(
            f"{name} is {array}; a file of rows can only be the x of fit or predict. Pass an array"
        )
    numbers = None
    try:
        numbers = real_numbers(array)
        return device.put(numbers, dtype)
    except (TypeError, ValueError, RuntimeError) as error:  # RuntimeError: torch, with gradients
        place = device_of(array).name if is_foreign(numbers) else CPU.name
        problem = f"{name} ({type(array).__name__}) is not an array of real numbers: {error}"
        if CPU.name not in place.lower():
            problem = (
                f"{name} is on the device {place}, but the network is on {device.name}; pass {name}"
                " as a NumPy array, or make the network with "
                f"device=xpnet.backend.device.device_of({name})"
            )
        raise InputTypeError(problem) from error


def as_targets(y: Any, device: Any, dtype: str, outputs: int, output: str, rows: int) -> Array:
    """Return the targets on the device as (rows, outputs), where `rows` is the number of rows of x.

    Accepts (rows, outputs); (rows,) for one output; and for a softmax output class numbers,
    (rows,), from 0 to outputs - 1, which become one-hot rows. Raises `InputError` for any other
    shape, and for values outside the range of the output activation.
    """
    xp = device.xp
    targets = put_numbers(y, device, dtype, "y")
    shape = tuple(targets.shape)
    if not shape or shape[0] != rows:
        raise InputError(f"y has shape {shape} but x has {rows} rows; pass one target per row")
    check_finite(xp, targets, "y")
    if len(shape) == 1 and output == "softmax":
        return one_hot(xp, targets, outputs)
    if len(shape) == 1 and outputs == 1:
        targets = xp.reshape(targets, (rows, 1))
    elif shape != (rows, outputs):
        remedy = "class numbers as (n,), or one column per output"
        raise InputError(
            f"y has shape {shape} but the network's output is ({rows}, {outputs}); pass "
            f"{remedy if output == 'softmax' else 'one column per output'}"
        )
    _check_range(xp, targets, output)
    return targets


def one_hot(xp: Namespace, labels: Array, classes: int) -> Array:
    """Return (n, classes) of 0 and 1 from class numbers, (n,), in their own dtype."""
    low, high = float(xp.min(labels)), float(xp.max(labels))
    if low < 0 or high > classes - 1 or not bool(xp.all(labels == xp.round(labels))):
        raise InputError(
            f"y holds values from {low:g} to {high:g}; with {classes} softmax outputs the classes "
            f"are the integers 0 to {classes - 1}"
        )
    numbers = xp.arange(classes, dtype=labels.dtype, device=getattr(labels, "device", None))
    return xp.astype(labels[:, None] == numbers[None, :], labels.dtype)


def class_numbers(xp: Namespace, values: Array) -> Array:
    """Return the class of each row, (n,), from targets or probabilities, (n, outputs)."""
    if values.shape[1] == 1:
        return xp.astype(values[:, 0] > 0.5, xp.int64)
    return xp.argmax(values, axis=1)


def _check_range(xp: Namespace, targets: Array, output: str) -> None:
    low, high = float(xp.min(targets)), float(xp.max(targets))
    if output in ("sigmoid", "softmax") and (low < 0.0 or high > 1.0):
        raise InputError(
            f"y holds values from {low:g} to {high:g}, but a {output} output lies between 0 and 1; "
            "encode the classes as 0 and 1, or use output='identity'"
        )
    if output == "softmax" and not bool(xp.all(xp.abs(xp.sum(targets, axis=1) - 1.0) < 1e-3)):
        raise InputError(
            "y has rows that do not sum to 1, but a softmax output gives one class per row; for "
            "several labels per row use output='sigmoid'"
        )
    if output == "exp" and low < 0.0:
        raise InputError(f"y holds {low:g}, but a Poisson target cannot be negative")


def as_row_weights(
    array: Any, device: Any, dtype: str, rows: int, name: str = "sample_weight"
) -> Array:
    """Return row weights on the device as (rows, 1); refuse negative weights, and all zero."""
    xp, weights = device.xp, put_numbers(array, device, dtype, name)
    if tuple(weights.shape) != (rows,):
        raise InputError(f"{name} has shape {tuple(weights.shape)}; pass ({rows},)")
    low, total = float(xp.min(weights)), float(xp.sum(weights))
    if not (low >= 0.0 and 0.0 < total < float("inf")):
        raise InputError(
            f"{name} has minimum {low:g} and sum {total:g}; weights must be finite, >= 0 and not "
            "all 0"
        )
    return xp.reshape(weights, (rows, 1))
