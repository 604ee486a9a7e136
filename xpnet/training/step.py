"""One step of training: loss and gradients of a batch, penalties, clipping, the optimiser."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from xpnet.backend.device import Array, Scalar
from xpnet.nn.arrays import Batch
from xpnet.nn.losses import Head, add_penalty_gradients
from xpnet.nn.network import MLP, Gradients, Trace
from xpnet.nn.optimizers import StepArrays, clip_by_norm

if TYPE_CHECKING:
    from xpnet.training.loop import TrainingOptions

Step: TypeAlias = Callable[..., tuple[Array, Gradients, Trace]]
"""``step(batch, masks, coefficients)`` gives loss, gradients and trace, and updates in place."""


def make_step(
    net: MLP,
    gradients: Array,
    state: Sequence[Array],
    head: Head,
    options: "TrainingOptions",
    penalties: tuple[Scalar | None, Scalar | None] | None = None,
    loss_and_gradients: Callable[..., Any] | None = None,
) -> Step:
    """Return ``step(batch, masks, coefficients)``, which writes into all the given arrays.

    Gradients, and each of the optimiser's state, are as `net.flat`; the penalties are l1 and l2,
    by default those of the options.
    """
    penalties = penalties or (options.l1 or None, options.l2 or None)
    xp, optimizer, into = net.device.xp, options.optimizer, net.views(gradients)
    compute = loss_and_gradients or partial(net.loss_and_gradients, head=head, into=into)
    networks = net.flat.shape[0] if net.flat.ndim == 2 else 1
    block = max(1, net.device.block // networks)
    parameters, flat_gradients, weights, weight_gradients = (
        _blocks(each, block)
        for each in (net.flat, gradients, net.flat_weights, net.without_biases(gradients))
    )
    moments = [part for each in state for part in _blocks(each, block)]
    arrays = StepArrays(parameters, flat_gradients, moments, weights)

    def step(
        batch: Batch, masks: list[Array] | None, coefficients: Sequence[Scalar]
    ) -> tuple[Array, Gradients, Trace]:
        loss, grads, trace = compute(batch, masks=masks)
        add_penalty_gradients(xp, weights, weight_gradients, *penalties)
        if options.clip_norm is not None:
            clip_by_norm(xp, [gradients], options.clip_norm)
        optimizer.step(xp, arrays, coefficients)
        return loss, grads, trace

    return step


def _blocks(flat: Array, block: int) -> list[Array]:
    """Cut all parameters into views that are updated one by one."""
    size = flat.shape[-1]
    return [flat[..., i : min(i + block, size)] for i in range(0, size, block)]
