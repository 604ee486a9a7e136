"""The objective of a batch: mean loss over its rows, and the penalties on the weights.

What is minimised is put together here, value and gradient side by side.
"""

from typing import TYPE_CHECKING, Any

from xpnet.errors import InputError
from xpnet.losses import Head
from xpnet.targets import put_numbers
from xpnet.types import Array, Namespace, Scalar

if TYPE_CHECKING:
    from xpnet.network import MLP, Gradients, Trace


def read_back(net: "MLP", *numbers: Scalar) -> list[float]:
    """Bring 0-d arrays to the host, and whether all parameters are finite, in one transfer."""
    device, xp = net.device, net.device.xp
    every = [*numbers, xp.all(xp.isfinite(net.flat))]
    return [float(each) for each in device.get(xp.stack([device.put(n, net.dtype) for n in every]))]


def row_shares(xp: Namespace, y: Array, row_weights: Array | None) -> Array:
    """Return each row's share in the mean over a batch, (batch,); they sum to 1, or are all 0.

    Parameters
    ----------
    y : array, (batch, outputs)
    row_weights : array, (batch, 1), or None for equal weights
    """
    if row_weights is None:
        return xp.full_like(y[:, 0], 1.0 / y.shape[0])
    weights = row_weights[:, 0]
    total = xp.sum(weights)
    return weights / xp.where(total > 0.0, total, xp.ones_like(total))  # all 0: nothing to learn


def loss_and_gradients(
    net: "MLP",
    joined: Head,
    x: Array,
    y: Array,
    shares: Array,
    masks: list[Array] | None = None,
    into: "Gradients | None" = None,
) -> tuple[Array, "Gradients", "Trace"]:
    """Forward, loss, backward for one batch, all on the device; the loss is a 0-d array.

    Parameters
    ----------
    net : MLP
    joined : Head
    x : array, (batch, inputs)
    y : array, (batch, outputs)
    shares : array, (batch,)
        From `row_shares`.
    masks : list of array, (batch, units), optional
        Dropout's factors.
    into : Gradients, optional
        Where to write the gradients; new arrays by default.
    """
    xp = net.device.xp
    trace = net.forward(x, masks)
    values, delta = joined.value_and_delta(xp, trace.pre_activations[-1], y)
    loss = net.device.matmul(values, shares)
    return loss, net.backward(trace, delta * shares[:, None], into), trace


def mean_loss(net: "MLP", joined: Head, x: Array, y: Array, row_weights: Array | None) -> Array:
    """Return the (weighted) mean loss over any number of rows, tile by tile, as a 0-d array."""
    xp = net.device.xp
    total = weight = 0.0
    for z, rows in net.tiles(x):
        values, _ = joined.value_and_delta(xp, z, y[rows, :])
        if row_weights is None:
            total, weight = total + xp.sum(values), weight + values.shape[0]
        else:
            tile = row_weights[rows, 0]
            total, weight = total + xp.sum(values * tile), weight + xp.sum(tile)
    return total / weight


def penalty(xp: Namespace, weights: list[Array], l1: float, l2: float) -> float:
    """l1 sum(|w|) + l2/2 sum(w²), over the weights but not the biases."""
    total = 0.0
    for each in weights:
        if l1:
            total += l1 * float(xp.sum(xp.abs(each)))
        if l2:
            total += 0.5 * l2 * float(xp.sum(each * each))
    return total


def add_penalty_gradients(
    xp: Namespace, weights: list[Array], gradients: list[Array], l1: float, l2: float
) -> None:
    """Add l1 sign(w) + l2 w to the gradients in place; the derivative of `penalty`."""
    if not (l1 or l2):
        return
    for each, gradient in zip(weights, gradients, strict=True):
        if l2:
            gradient += l2 * each
        if l1:
            gradient += l1 * (xp.astype(each > 0.0, each.dtype) - xp.astype(each < 0.0, each.dtype))


def as_row_weights(sample_weight: Any, net: "MLP", rows: int) -> Array:
    """Return sample weights on the device as (rows, 1); refuse negative ones and all zero."""
    xp = net.device.xp
    weights = put_numbers(sample_weight, net.device, net.dtype, "sample_weight")
    if tuple(weights.shape) != (rows,):
        raise InputError(f"sample_weight has shape {tuple(weights.shape)}; pass ({rows},)")
    low, total = float(xp.min(weights)), float(xp.sum(weights))
    if not (low >= 0.0 and 0.0 < total < float("inf")):
        raise InputError(
            f"sample_weight has minimum {low:g} and sum {total:g}; weights must be finite, >= 0 "
            "and not all 0"
        )
    return xp.reshape(weights, (rows, 1))
