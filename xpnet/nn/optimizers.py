"""Optimisers: SGD, Adam, AdamW. Options, state and parameters are kept apart.

Options are frozen dataclasses. ``start(xp, parameters)`` returns the state, a list of arrays that
belongs to the training run; ``step(xp, arrays, coefficients)`` writes **in place**.
``coefficients(learning_rate, t)`` returns everything that changes from step to step, for many steps
t = 1, 2, ... at once. ``step`` then receives one step's coefficients: numbers or 0-d arrays, or
arrays (networks, 1) when the parameters are (networks, parameters).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from xpnet.backend.device import Array, Namespace, Scalar
from xpnet.errors import check_numbers


class StepArrays(NamedTuple):
    """What steps read and write, the same arrays in every step."""

    parameters: Sequence[Array]  # views of the network's own, in blocks that fit the cache
    gradients: Sequence[Array]
    state: Sequence[Array]  # what ``start`` returned, in the same blocks
    weights: Sequence[Array]  # again the parameters, without the biases


@dataclass(frozen=True)
class SGD:
    """Stochastic gradient descent with classical or Nesterov momentum.

    Convention: v = momentum v - learning_rate g; p += v. With Nesterov p += momentum v -
    learning_rate g, evaluated at the look-ahead point (Sutskever et al., 2013). The learning rate
    enters v (as in scikit-learn), not p (as in PyTorch); they differ if it changes during training.
    (p: parameter, g: its gradient, v: its velocity, 0 at first.)

    Parameters
    ----------
    learning_rate : float, above 0
    momentum : float, from 0 to 1
    nesterov : bool
    """

    learning_rate: float = 0.1
    momentum: float = 0.0
    nesterov: bool = False

    def __post_init__(self) -> None:
        check_numbers("must be finite and above 0", learning_rate=self.learning_rate)
        check_numbers("must be from 0 to 1", momentum=self.momentum)

    def start(self, xp: Namespace, parameters: Sequence[Array]) -> list[Array]:
        """Return a velocity of zero for each parameter; nothing without momentum."""
        return [xp.zeros_like(p) for p in parameters] if self.momentum else []

    def coefficients(self, learning_rate: Any, t: Any) -> tuple[Any, ...]:
        """Return the learning rate."""
        return (learning_rate,)

    def step(self, xp: Namespace, arrays: StepArrays, coefficients: Sequence[Scalar]) -> None:
        """Update parameters and velocities."""
        (learning_rate,) = coefficients
        if not self.momentum:
            for p, g in zip(arrays.parameters, arrays.gradients, strict=True):
                p -= learning_rate * g
            return
        for p, g, v in zip(arrays.parameters, arrays.gradients, arrays.state, strict=True):
            push = learning_rate * g
            v *= self.momentum
            v -= push
            p += self.momentum * v - push if self.nesterov else v


@dataclass(frozen=True)
class Adam:
    """Adam, in the efficient form at the end of section 2 of Kingma and Ba, arXiv 1412.6980.

    Epsilon is added to sqrt(v) before the bias correction ("epsilon hat"), as in scikit-learn and
    Keras; in algorithm 1 of the paper, and in PyTorch, after it. So step t is that of algorithm 1
    with ``epsilon / sqrt(1 - beta_2**t)``, which at first is 32 times epsilon and slows parameters
    whose gradients are below about 1e-6. Otherwise the two agree to rounding.

    The state holds the moments as plain sums, m / (1 - beta_1) and v / (1 - beta_2); the missing
    factors are in the coefficients, which saves two passes over all parameters in every step.

    Parameters
    ----------
    learning_rate : float, above 0
    beta_1, beta_2 : float, from 0 to below 1
        How much of the moments is kept from step to step.
    epsilon : float, above 0
    """

    learning_rate: float = 0.001
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        above_0 = {"learning_rate": self.learning_rate, "epsilon": self.epsilon}
        check_numbers("must be finite and above 0", **above_0)
        check_numbers("must be >= 0 and below 1", beta_1=self.beta_1, beta_2=self.beta_2)

    def start(self, xp: Namespace, parameters: Sequence[Array]) -> list[Array]:
        """Return first and second moments of zero: all m, then all v."""
        return [xp.zeros_like(p) for p in (*parameters, *parameters)]

    def coefficients(self, learning_rate: Any, t: Any) -> tuple[Any, ...]:
        """Return the learning rate, corrected for moments that began at zero."""
        first = (1.0 - self.beta_1) / (1.0 - self.beta_1**t)
        second = (1.0 - self.beta_2) / (1.0 - self.beta_2**t)
        return (learning_rate * first / second**0.5,)

    def step(self, xp: Namespace, arrays: StepArrays, coefficients: Sequence[Scalar]) -> None:
        """Update parameters and moments."""
        parameters, gradients, state, _ = arrays
        count = len(parameters)
        rate, epsilon = coefficients[0], self.epsilon / (1.0 - self.beta_2) ** 0.5
        for p, g, m, v in zip(parameters, gradients, state[:count], state[count:], strict=True):
            m *= self.beta_1
            m += g
            v *= self.beta_2
            v += g * g
            p -= rate * m / (xp.sqrt(v) + epsilon)


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam with decoupled weight decay. Loshchilov and Hutter, arXiv 1711.05101.

    Before each step, weights (not biases) shrink by the factor
    ``1 - learning_rate * weight_decay``. The other parameters are those of `Adam`.
    """

    weight_decay: float = 0.01

    def __post_init__(self) -> None:
        super().__post_init__()
        check_numbers("must be finite and >= 0", weight_decay=self.weight_decay)

    def coefficients(self, learning_rate: Any, t: Any) -> tuple[Any, ...]:
        """Return Adam's coefficient, and the factor by which the weights shrink."""
        shrink = 1.0 - learning_rate * self.weight_decay
        return (*super().coefficients(learning_rate, t), shrink)

    def step(self, xp: Namespace, arrays: StepArrays, coefficients: Sequence[Scalar]) -> None:
        """Shrink the weights, then take Adam's step."""
        for w in arrays.weights:
            w *= coefficients[1]
        super().step(xp, arrays, coefficients)


Optimizer: TypeAlias = SGD | Adam
"""Or any object with the same methods and a `learning_rate` above 0."""
OPTIMIZERS = {"sgd": SGD, "adam": Adam, "adamw": AdamW}
LEARNING_RATES = {"adam": 0.003, "adamw": 0.002, "sgd": 0.03}
"""Usual ones of the command; a remedy for long steps is no larger."""


def usual_rate(optimizer: Optimizer) -> float:
    """Return the usual learning rate of an optimiser; infinity if it is not one of these."""
    names = {kind: name for name, kind in OPTIMIZERS.items()}
    return LEARNING_RATES.get(names.get(type(optimizer), ""), float("inf"))


def lower_rate(optimizer: Optimizer, rate: float) -> str:
    """Return a learning rate to try after one that was too large: a tenth, or the usual one."""
    return f"{min(rate / 10, usual_rate(optimizer)):.2g}"


def clip_by_norm(xp: Namespace, gradients: Sequence[Array], limit: float) -> None:
    """Scale all gradients in place so that their joint Euclidean norm is at most `limit`.

    Each is (parameters,) or (networks, parameters). Pascanu, Mikolov and Bengio, arXiv 1211.5063.
    """
    squares = sum(xp.sum(g * g, axis=-1, keepdims=True) for g in gradients)
    factor = xp.minimum(limit / (xp.sqrt(squares) + 1e-30), xp.ones_like(squares))
    for g in gradients:
        g *= factor
