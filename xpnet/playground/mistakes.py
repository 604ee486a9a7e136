"""Mistakes that can be switched on: those of the origin cases, made on purpose."""

from collections.abc import Collection
from typing import Any

from xpnet.backend.device import Array, Namespace
from xpnet.nn.activations import Activation
from xpnet.nn.losses import LOSSES, Loss

MISTAKES = {  # with the setting in `Finding.repair`, or the finding's code, that mends it
    "positive": ("initial weights all positive", "init"),
    "bias": ("bias gradients not summed over the rows", "sum_over_batch"),
    "sign": ("targets minus outputs, then subtracted", "update"),
    "sum": ("the errors of all rows summed to one number", "gradient"),
    "pairs": ("targets (m,) against outputs (m, 1)", "reshape_targets"),
    "raw": ("inputs scaled in training only", "prediction-drift"),
}


def positive(generator: Any, fan_in: int, fan_out: int) -> Any:
    """Draw initial weights from [0, 1), as `numpy.random.rand` does."""
    return generator.uniform(0.0, 1.0, (fan_in, fan_out))


def mistaken(name: str, mistakes: Collection[str]) -> str | Loss:
    """Return a loss with the mistakes that are made where it is computed, if there are any."""
    loss = LOSSES[name]
    if not {"sign", "sum", "pairs"} & set(mistakes):
        return name

    def paired(a: Array, y: Array) -> tuple[Array, Array]:
        """Broadcast to (batch, batch): every output beside every target."""
        return (a + 0.0 * y.T, 0.0 * a + y.T) if "pairs" in mistakes else (a, y)

    def value(xp: Namespace, a: Array, y: Array) -> Array:
        return loss.value(xp, *paired(a, y))

    def derivative(xp: Namespace, a: Array, y: Array) -> Array:
        slopes = xp.sum(loss.derivative(xp, *paired(a, y)), axis=1, keepdims=True)
        if "sum" in mistakes:
            slopes = 0.0 * slopes + xp.sum(slopes)
        return -slopes if "sign" in mistakes else slopes

    return Loss(name, value, derivative, loss.outputs)


class BiasPerRow:
    """A layer's activation with the bias that comes of ``bias = bias - rate * delta``.

    From the first update on it is (batch, units): each row stores its own label in it.
    """

    def __init__(self, activation: Activation, bias: Array) -> None:
        self.activation, self.bias, self.delta = activation, bias, bias

    def forward(self, xp: Namespace, z: Array) -> Array:
        """Apply the activation; other rows than those of training get the mean bias."""
        return self.activation.forward(xp, z + self._own(z))

    def backward(self, xp: Namespace, d_a: Array, z: Array, a: Array) -> Array:
        """Return delta, (batch, units), and keep it."""
        self.delta = self.activation.backward(xp, d_a, z + self._own(z), a)
        return self.delta

    def _own(self, z: Array) -> Array:
        return self.bias if z.shape[0] == self.bias.shape[0] else self.bias.mean(axis=0)
