"""Losses and penalties: each value with its derivative beside it; heads, for output and loss.

Convention, the same for all: the loss of a row is the **sum** over its outputs, the loss of a
batch the **mean** over its rows. (PyTorch's ``MSELoss`` takes the mean over the outputs too, so
its gradient is smaller by the number of outputs.) Shapes: a, y, z (batch, outputs), or a and z
(networks, batch, outputs).

A `Head`, resolved once before training, gives the loss of every row and delta = dL/dz from the
last pre-activations. The canonical pairs of output and loss have stable formulas, finite for every
finite z; all other pairs follow the chain rule.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from xpnet.backend.device import Array, Namespace, Scalar
from xpnet.errors import InputError, bad_argument
from xpnet.nn.activations import ACTIVATIONS, Activation

_SMALLEST = 1e-37  # keeps log() finite in float32 without touching any usual probability


@dataclass(frozen=True)
class Loss:
    """A loss and its derivative; one of your own can stand in place of a name.

    Attributes
    ----------
    name : str
    value : callable
        ``value(xp, a, y)`` gives the loss of each row, (batch,).
    derivative : callable
        ``derivative(xp, a, y)`` gives dL/da of each row's own loss, (batch, outputs).
    outputs : tuple of str or None
        The output activations that the loss is defined for; None for all.
    """

    name: str
    value: Callable[[Namespace, Array, Array], Array]
    derivative: Callable[[Namespace, Array, Array], Array]
    outputs: tuple[str, ...] | None = None

    def __repr__(self) -> str:
        return f"Loss({self.name!r})"


def huber(threshold: float = 1.0) -> Loss:
    """Squared error (with the factor 1/2) up to a threshold, then linear. Huber, 1964.

    Parameters
    ----------
    threshold : float, above 0
        In the targets' unit.
    """
    if not threshold > 0.0:
        raise InputError(f"huber: threshold {threshold} must be above 0")

    def value(xp: Namespace, a: Array, y: Array) -> Array:
        distance = xp.abs(a - y)
        inside = xp.minimum(distance, threshold)
        return xp.sum(inside * (distance - 0.5 * inside), axis=-1)

    def derivative(xp: Namespace, a: Array, y: Array) -> Array:
        return xp.maximum(xp.minimum(a - y, threshold), -threshold)

    return Loss("huber", value, derivative)


def _log(xp: Namespace, a: Array) -> Array:
    return xp.log(xp.maximum(a, _SMALLEST))


_LOSSES = (
    Loss(
        "squared_error",
        lambda xp, a, y: xp.sum(xp.square(a - y), axis=-1),
        lambda xp, a, y: 2.0 * (a - y),
    ),
    Loss(
        "half_squared_error",
        lambda xp, a, y: 0.5 * xp.sum(xp.square(a - y), axis=-1),
        lambda xp, a, y: a - y,
    ),
    Loss(
        "binary_cross_entropy",
        lambda xp, a, y: -xp.sum(y * _log(xp, a) + (1.0 - y) * _log(xp, 1.0 - a), axis=-1),
        lambda xp, a, y: (a - y) / xp.maximum(a * (1.0 - a), _SMALLEST),
        ("sigmoid",),
    ),
    Loss(
        "categorical_cross_entropy",
        lambda xp, a, y: -xp.sum(y * _log(xp, a), axis=-1),
        lambda xp, a, y: -y / xp.maximum(a, _SMALLEST),
        ("softmax",),
    ),
    Loss(
        "absolute_error",
        lambda xp, a, y: xp.sum(xp.abs(a - y), axis=-1),
        lambda xp, a, y: xp.astype(a > y, a.dtype) - xp.astype(a < y, a.dtype),  # 0 at the kink
    ),
    huber(),
    Loss(  # negative log likelihood without log(y!), which does not depend on the prediction
        "poisson",
        lambda xp, a, y: xp.sum(a - y * _log(xp, a), axis=-1),
        lambda xp, a, y: 1.0 - y / xp.maximum(a, _SMALLEST),
        ("exp", "softplus"),
    ),
)
LOSSES: dict[str, Loss] = {loss.name: loss for loss in _LOSSES}

DEFAULT_LOSS = {
    "sigmoid": "binary_cross_entropy",
    "softmax": "categorical_cross_entropy",
    "exp": "poisson",
}  # every other output: squared_error


@dataclass(frozen=True)
class Head:
    """An output activation and a loss as one: ``value_and_delta(xp, z, y)``.

    It gives the loss of each row, (batch,), and its derivative by z, (batch, outputs).
    """

    loss: Loss
    value_and_delta: Callable[[Namespace, Array, Array], tuple[Array, Array]]


def _sigmoid_binary_cross_entropy(xp: Namespace, z: Array, y: Array) -> tuple[Array, Array]:
    """L = max(z, 0) - z y + log(1 + exp(-|z|)), dL/dz = sigmoid(z) - y."""
    above, below = xp.maximum(z, 0.0), xp.minimum(z, 0.0)
    log_sum = xp.log1p(xp.exp(below - above))
    value = above - z * y + log_sum
    return xp.sum(value, axis=-1), xp.exp(below - log_sum) - y


def _softmax_cross_entropy(xp: Namespace, z: Array, y: Array) -> tuple[Array, Array]:
    """L = log(sum exp(z)) - sum(y z), dL/dz = softmax(z) - y; both since sum(y) is 1."""
    z = xp.maximum(z - xp.max(z, axis=-1, keepdims=True), -1e30)  # no 0 * inf below
    e = xp.exp(z)
    total = xp.sum(e, axis=-1, keepdims=True)
    return xp.log(total[..., 0]) - xp.sum(y * z, axis=-1), e / total - y


def _exp_poisson(xp: Namespace, z: Array, y: Array) -> tuple[Array, Array]:
    """L = exp(z) - y z, dL/dz = exp(z) - y."""
    a = ACTIVATIONS["exp"].forward(xp, z)
    return xp.sum(a - y * z, axis=-1), a - y


def _identity_half_squared_error(xp: Namespace, z: Array, y: Array) -> tuple[Array, Array]:
    """L = (z - y)² / 2, dL/dz = z - y."""
    delta = z - y
    return 0.5 * xp.sum(delta * delta, axis=-1), delta


CANONICAL = {
    ("sigmoid", "binary_cross_entropy"): _sigmoid_binary_cross_entropy,
    ("softmax", "categorical_cross_entropy"): _softmax_cross_entropy,
    ("exp", "poisson"): _exp_poisson,
    ("identity", "half_squared_error"): _identity_half_squared_error,
}


def _check_shape(loss: Loss, name: str, result: Array, wanted: tuple[int, ...]) -> None:
    """Refuse the result of a user's function if it has another shape: it might broadcast."""
    shape = tuple(getattr(result, "shape", ()))
    if shape != tuple(wanted):
        raise InputError(
            f"loss {loss.name!r}: its {name} has shape {shape} where the batch needs "
            f"{tuple(wanted)}, one for each {'row' if name == 'value' else 'output'}"
        )


def _resolve_loss(output: Activation, loss: str | Loss) -> Loss:
    name = DEFAULT_LOSS.get(output.name, "squared_error") if loss == "auto" else loss
    if not isinstance(name, Loss) and name not in LOSSES:
        remedy = f"is not known; use one of {', '.join(LOSSES)}"
        if callable(name):
            remedy += ", or give its derivative too, as xpnet.Loss('mine', value, derivative)"
        raise bad_argument("loss", name, remedy)
    resolved = name if isinstance(name, Loss) else LOSSES[name]
    if resolved.outputs is not None and output.name not in resolved.outputs:
        allowed = " or ".join(map(repr, resolved.outputs))
        raise InputError(
            f"loss {resolved.name!r} needs output={allowed}, but this network's output is "
            f"{output.name!r}; change the output or use loss='squared_error'"
        )
    return resolved


def resolve_head(output: Activation, loss: str | Loss = "auto") -> Head:
    """Combine an output activation with a loss, by default the usual one for it.

    Raises `InputError` for an unknown name, or a loss that is not defined for this output.
    """
    resolved = _resolve_loss(output, loss)
    own_loss, pair = LOSSES.get(resolved.name) == resolved, (output.name, resolved.name)
    if own_loss and ACTIVATIONS.get(output.name) is output and pair in CANONICAL:
        return Head(resolved, CANONICAL[pair])

    def by_chain_rule(xp: Namespace, z: Array, y: Array) -> tuple[Array, Array]:
        a = output.forward(xp, z)
        value, d_a = resolved.value(xp, a, y), resolved.derivative(xp, a, y)
        if not own_loss:
            _check_shape(resolved, "value", value, a.shape[:-1])
            _check_shape(resolved, "derivative", d_a, a.shape)
        return value, output.backward(xp, d_a, z, a)

    return Head(resolved, by_chain_rule)


def penalty(xp: Namespace, weights: Array, l1: Scalar, l2: Scalar) -> Array:
    """Return l1 sum(|w|) + l2/2 sum(w²) for all weights, without biases, in one vector."""
    return l1 * xp.sum(xp.abs(weights), axis=-1) + 0.5 * l2 * xp.sum(weights * weights, axis=-1)


def add_penalty_gradients(
    xp: Namespace, weights: Sequence[Array], gradients: Sequence[Array],
    l1: Scalar | None, l2: Scalar | None,
) -> None:  # fmt: skip
    """Add l1 sign(w) + l2 w to the gradients in place; the derivative of `penalty`.

    l1 and l2 are numbers, or arrays (networks, 1); None adds nothing.
    """
    if l1 is None and l2 is None:
        return
    for w, gradient in zip(weights, gradients, strict=True):
        if l2 is not None:
            gradient += l2 * w
        if l1 is not None:
            gradient += l1 * (xp.astype(w > 0.0, w.dtype) - xp.astype(w < 0.0, w.dtype))
