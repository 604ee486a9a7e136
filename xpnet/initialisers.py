"""Initial weights: rules by name, and the rule that ``init="auto"`` takes for each activation.

A rule is ``rule(generator, fan_in, fan_out)`` and returns host weights (fan_in, fan_out) in
float64; biases start at zero. All are symmetric about zero: weights of one sign saturate the next
layer of sigmoid units (`xpnet.explain_init` shows by how much).
"""

from collections.abc import Callable
from math import sqrt
from typing import TYPE_CHECKING, Any, TypeAlias

from xpnet.errors import InputError
from xpnet.types import Array

if TYPE_CHECKING:
    from xpnet.network import MLP

Rule: TypeAlias = Callable[[Any, int, int], Any]

SIGMOID_GAIN = 4.0  # measured: benchmarks/results/initialisers.md


def _uniform(generator: Any, fan_in: int, fan_out: int, std: float) -> Any:
    limit = sqrt(3.0) * std
    return generator.uniform(-limit, limit, (fan_in, fan_out))


def _normal(generator: Any, fan_in: int, fan_out: int, std: float) -> Any:
    return std * generator.standard_normal((fan_in, fan_out))


def glorot_std(fan_in: int, fan_out: int) -> float:
    """sqrt(2 / (fan_in + fan_out)). Glorot and Bengio, 2010."""
    return sqrt(2.0 / (fan_in + fan_out))


def glorot_uniform(generator: Any, fan_in: int, fan_out: int) -> Any:
    """Glorot and Bengio, "Understanding the difficulty of training deep ... networks", 2010."""
    return _uniform(generator, fan_in, fan_out, glorot_std(fan_in, fan_out))


def glorot_normal(generator: Any, fan_in: int, fan_out: int) -> Any:
    """As `glorot_uniform`, normally distributed."""
    return _normal(generator, fan_in, fan_out, glorot_std(fan_in, fan_out))


def glorot_sigmoid(generator: Any, fan_in: int, fan_out: int) -> Any:
    """`glorot_uniform` times the gain that suits sigmoid units, whose slope at 0 is 1/4."""
    return _uniform(generator, fan_in, fan_out, SIGMOID_GAIN * glorot_std(fan_in, fan_out))


def he_uniform(generator: Any, fan_in: int, fan_out: int) -> Any:
    """Std sqrt(2 / fan_in). He et al., "Delving deep into rectifiers", arXiv 1502.01852."""
    return _uniform(generator, fan_in, fan_out, sqrt(2.0 / fan_in))


def he_normal(generator: Any, fan_in: int, fan_out: int) -> Any:
    """As `he_uniform`, normally distributed."""
    return _normal(generator, fan_in, fan_out, sqrt(2.0 / fan_in))


def lecun_normal(generator: Any, fan_in: int, fan_out: int) -> Any:
    """Std sqrt(1 / fan_in). LeCun et al., "Efficient BackProp", 1998."""
    return _normal(generator, fan_in, fan_out, sqrt(1.0 / fan_in))


def orthogonal(generator: Any, fan_in: int, fan_out: int) -> Any:
    """Orthonormal rows or columns. Saxe, McClelland and Ganguli, arXiv 1312.6120.

    Modified Gram-Schmidt, twice for accuracy, on a Gaussian draw: uniform over such matrices.
    """
    rows = min(fan_in, fan_out)
    basis = generator.standard_normal((rows, max(fan_in, fan_out)))
    for row in range(rows):
        for _ in range(2):
            basis[row] -= (basis[:row] @ basis[row]) @ basis[:row]
        basis[row] /= sqrt(float(basis[row] @ basis[row]))
    return basis if fan_in <= fan_out else basis.T.copy()


def zeros(generator: Any, fan_in: int, fan_out: int) -> Any:
    """All zero: every unit of a hidden layer stays equal. For tests and for the doctor."""
    return 0.0 * generator.standard_normal((fan_in, fan_out))


INITIALISERS: dict[str, Rule] = {
    rule.__name__: rule
    for rule in (
        glorot_uniform,
        glorot_normal,
        glorot_sigmoid,
        he_uniform,
        he_normal,
        lecun_normal,
        orthogonal,
        zeros,
    )
}
INIT_NAMES = ("auto", *INITIALISERS, "lsuv")

# Rule and reason for the weights that feed each activation.
AUTO: dict[str, tuple[str, str]] = {
    "relu": ("he_uniform", "half of the units are off, so the variance is doubled"),
    "leaky_relu": ("he_uniform", "nearly half of the units are off"),
    "elu": ("he_uniform", "like ReLU for large inputs"),
    "gelu": ("he_uniform", "like ReLU for large inputs"),
    "silu": ("he_uniform", "like ReLU for large inputs"),
    "softplus": ("he_uniform", "like ReLU for large inputs"),
    "selu": ("lecun_normal", "the rule its fixed point was derived for"),
    "sigmoid": ("glorot_sigmoid", "slope 1/4 at 0: gain measured to keep gradients alive"),
    "tanh": ("glorot_uniform", "slope 1 at 0: keeps activations and gradients alike"),
}
AUTO_DEFAULT = ("glorot_uniform", "keeps outputs of moderate size at the start")


def rule_for(init: str | Rule, activation: str, *, output: bool) -> tuple[str, Rule, str]:
    """Return name, rule and reason of the weights that feed an activation.

    Raises
    ------
    InputError
        For an unknown name.
    """
    if callable(init):
        return getattr(init, "__name__", "callable"), init, "given by the caller"
    if init == "lsuv":
        return "lsuv", INITIALISERS["orthogonal"], "orthogonal, then scaled on the data"
    if init == "auto":
        name, reason = AUTO_DEFAULT if output else AUTO.get(activation, AUTO_DEFAULT)
        return name, INITIALISERS[name], reason
    if init not in INITIALISERS:
        raise InputError(f"init {init!r} is not known; use one of {', '.join(INIT_NAMES)}")
    return init, INITIALISERS[init], "given by name"


def lsuv(net: "MLP", x: Array, *, tolerance: float = 0.01, passes: int = 10) -> None:
    """Scale each layer in place until its pre-activations have unit variance on a batch.

    Parameters
    ----------
    net : MLP
        With orthogonal weights; changed in place.
    x : array, (batch, inputs)
        Device array of prepared inputs; a few hundred rows do.

    Notes
    -----
    Mishkin and Matas, "All you need is a good init", arXiv 1511.06422.
    """
    xp = net.device.xp
    for layer, weights in enumerate(net.weights):
        for _ in range(passes):
            variance = float(xp.var(net.forward(x).pre_activations[layer]))
            if variance <= 0.0 or abs(variance - 1.0) < tolerance:
                break
            weights *= 1.0 / sqrt(variance)
