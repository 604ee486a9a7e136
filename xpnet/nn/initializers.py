"""Initial weights: rules by name, and the rule that ``init="auto"`` chooses for each activation.

A rule is ``rule(generator, fan_in, fan_out)`` and returns host weights (fan_in, fan_out) in
float64. All are symmetric about zero: weights of one sign saturate the next layer of sigmoid units
(`xpnet.explain_init` shows by how much). Biases start at zero, except behind sigmoid units under
``"auto"``.

Between tanh layers ``"auto"`` uses Glorot's weights times 1.5, at which the gradient neither fades
nor grows with depth. Sigmoid layers follow from that: since sigmoid(z) = 1/2 + tanh(z/2)/2, a
sigmoid network starts by computing exactly what the tanh network of the same seed computes if

    weights into sigmoid units are twice tanh's          (the slope is half of tanh(z/2)'s in z),
    weights out of sigmoid units are twice tanh's        (the outputs span 1 and not 2),
    biases behind sigmoid units are -1/2 sum of weights  (a unit at rest gives 1/2 and not 0),

hence six times Glorot's between two sigmoid layers. Raiko, Valpola and LeCun ("Deep learning made
easier by linear transformations in perceptrons", 2012) centre activations to the same end.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import sqrt
from typing import Any, TypeAlias

from xpnet.backend.random import generator
from xpnet.errors import InputError, bad_argument

Rule: TypeAlias = Callable[[Any, int, int], Any]

# Times Glorot's weights, under "auto"; measured: benchmarks/results/initialisers.md.
TANH_GAIN = 1.5  # between tanh layers, and the tanh layers that sigmoid layers stand for
SIGMOID_FACTOR = 2.0  # into sigmoid units, and out of them


def _uniform(std: Callable[[int, int], float]) -> Rule:
    """Return the rule that draws uniformly with this standard deviation for fan_in and fan_out."""

    def rule(generator: Any, fan_in: int, fan_out: int) -> Any:
        limit = sqrt(3.0) * std(fan_in, fan_out)
        return generator.uniform(-limit, limit, (fan_in, fan_out))

    return rule


def _normal(std: Callable[[int, int], float]) -> Rule:
    """Like `_uniform`, but normally distributed."""
    return lambda generator, fan_in, fan_out: (
        std(fan_in, fan_out) * generator.standard_normal((fan_in, fan_out))
    )


def orthogonal(generator: Any, fan_in: int, fan_out: int) -> Any:
    """Orthonormal rows or columns. Saxe, McClelland and Ganguli, arXiv 1312.6120.

    QR of a Gaussian draw, where R's diagonal is positive: uniform over such matrices. Mezzadri,
    arXiv math-ph/0609050.
    """
    drawn = generator.standard_normal((max(fan_in, fan_out), min(fan_in, fan_out)))
    xp = drawn.__array_namespace__()
    basis, triangle = xp.linalg.qr(drawn)
    basis *= xp.sign(xp.linalg.diagonal(triangle))
    return basis if fan_in >= fan_out else basis.T.copy()


def _glorot(fan_in: int, fan_out: int) -> float:
    return sqrt(2.0 / (fan_in + fan_out))


def _he(fan_in: int, fan_out: int) -> float:
    return sqrt(2.0 / fan_in)


INITIALIZERS: dict[str, Rule] = {
    # Glorot and Bengio, "Understanding the difficulty of training deep ... networks", 2010
    "glorot_uniform": _uniform(_glorot),
    "glorot_normal": _normal(_glorot),
    # He et al., "Delving deep into rectifiers", arXiv 1502.01852
    "he_uniform": _uniform(_he),
    "he_normal": _normal(_he),
    # LeCun et al., "Efficient BackProp", 1998
    "lecun_normal": _normal(lambda fan_in, fan_out: sqrt(1.0 / fan_in)),
    "orthogonal": orthogonal,
    # Every unit of a hidden layer stays equal: for tests and for the doctor.
    "zeros": lambda generator, fan_in, fan_out: generator.uniform(0.0, 0.0, (fan_in, fan_out)),
}
INIT_NAMES = ("auto", *INITIALIZERS)

# Rule and reason for the weights that feed each activation.
AUTO: dict[str, tuple[str, str]] = {
    "relu": ("he_uniform", "half of the units are off, so the variance is doubled"),
    "leaky_relu": ("he_uniform", "nearly half of the units are off"),
    "elu": ("he_uniform", "like ReLU for large inputs"),
    "gelu": ("he_uniform", "like ReLU for large inputs"),
    "silu": ("he_uniform", "like ReLU for large inputs"),
    "softplus": ("he_uniform", "like ReLU for large inputs"),
    "selu": ("lecun_normal", "the rule its fixed point was derived for"),
    "sigmoid": ("glorot_uniform", "like tanh"),
    "tanh": ("glorot_uniform", "slope 1 at 0: keeps activations and gradients alike"),
}
AUTO_DEFAULT = ("glorot_uniform", "keeps outputs of moderate size at the start")


def rule_for(
    init: str | Rule, activation: str, *, output: bool, fed_by: str | None = None
) -> tuple[str, Rule, str]:
    """Return name, rule and reason for the weights into this activation, from those `fed_by`."""
    if callable(init):
        return getattr(init, "__name__", "callable"), init, "given by the caller"
    if init == "auto":
        return _auto_rule(activation, output, fed_by)
    if init not in INITIALIZERS:
        raise bad_argument("init", init, f"is not known; use one of {', '.join(INIT_NAMES)}")
    return init, INITIALIZERS[init], "given by name"


def _auto_rule(activation: str, output: bool, fed_by: str | None) -> tuple[str, Rule, str]:
    name, reason = AUTO_DEFAULT if output else AUTO.get(activation, AUTO_DEFAULT)
    if output and fed_by == "selu":
        name, reason = AUTO["selu"]
    rule, gain = INITIALIZERS[name], 1.0
    if not output and activation == fed_by and activation in ("tanh", "sigmoid"):
        gain, reason = TANH_GAIN, "at this gain gradients keep their size"
    if not output and activation == "sigmoid":
        gain, reason = gain * SIGMOID_FACTOR, f"{reason}; x 2 for half of tanh's slope"
    if fed_by == "sigmoid":
        gain, reason = gain * SIGMOID_FACTOR, f"{reason}; x 2 for half of tanh's range"
        reason += "; biases cancel the mean"
    if gain == 1.0:
        return name, rule, reason

    def scaled(generator: Any, fan_in: int, fan_out: int) -> Any:
        return gain * rule(generator, fan_in, fan_out)

    return f"{name} x {gain:g}", scaled, reason


def draw(
    init: str | Rule, sizes: Sequence[int], activations: Sequence[str], seed: int
) -> list[Any]:
    """Return all weights, then all biases, as host float64: the same for every device.

    `activations` has a name for each layer, the output included.
    """
    weights, biases = [], []
    for layer, (fan_in, fan_out) in enumerate(pairwise(sizes)):
        fed_by = activations[layer - 1] if layer else None
        last = layer == len(activations) - 1
        _, rule, _ = rule_for(init, activations[layer], output=last, fed_by=fed_by)
        drawn = rule(generator(seed, "weights", layer), fan_in, fan_out)
        shape = getattr(drawn, "shape", type(drawn).__name__)
        if shape != (fan_in, fan_out) or not abs(drawn).max() < float("inf"):
            wrong = f"weights of shape {shape}" if shape != (fan_in, fan_out) else "NaN or infinity"
            raise InputError(
                f"init gave {wrong} for layer {layer}, which needs an array of finite numbers of "
                f"shape ({fan_in}, {fan_out})"
            )
        weights.append(drawn)
        sums, centred = drawn.sum(axis=0), init == "auto" and fed_by == "sigmoid"
        biases.append(-0.5 * sums if centred else abs(0.0 * sums))  # zeros, without a minus
    return [*weights, *biases]
